"""Read YAML files that other programs wrote: bounded in size and depth, without aliases."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import yaml

MAX_BYTES = 1_000_000
_MAX_DEPTH = 20
_MAX_SCALAR = 100_000  # characters; a number of more takes minutes to convert


class _Plain(yaml.SafeLoader):
    """A loader that refuses aliases: ten nested ones stand for a thousand million nodes."""

    depth = 0

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.AliasEvent):
            raise yaml.composer.ComposerError(
                None, None, 'aliases (*name) are not read here', self.peek_event().start_mark)
        event = self.peek_event()
        if isinstance(event, yaml.ScalarEvent) and len(event.value) > _MAX_SCALAR:
            raise ValueError(f'a value has more than {_MAX_SCALAR} characters')
        self.depth += 1
        if self.depth > _MAX_DEPTH:
            raise yaml.composer.ComposerError(
                None, None, f'more than {_MAX_DEPTH} levels', event.start_mark)
        try:
            return super().compose_node(parent, index)
        finally:
            self.depth -= 1


class _Texts(_Plain):
    """Leaves every scalar a text, so that a class called ``no`` is not read as False."""

    yaml_implicit_resolvers: dict = {}


def parse_yaml(text: str | bytes, as_texts: bool = False) -> Any:
    """Return what one YAML document holds: mappings, lists and scalars.

    Args:
        as_texts: return every scalar as it is written (``no``, ``1e3``), as str.

    Raises:
        ValueError: a sentence's part that says what is wrong, for example "has 12 MB".
    """
    if len(text) > MAX_BYTES:
        raise ValueError(f'it has {len(text)} bytes, more than the {MAX_BYTES} that are read')
    try:
        return yaml.load(text, _Texts if as_texts else _Plain)  # noqa: S506  # both are safe
    except (yaml.YAMLError, RecursionError, ValueError, OverflowError, TypeError) as error:
        raise ValueError(_one_line(error)) from error


def read_yaml(path: str | os.PathLike, as_texts: bool = False) -> Any:
    """Return what the YAML file ``path`` holds; see ``parse_yaml``.

    Raises:
        OSError: when it cannot be read.
        ValueError: when it is no such YAML; the message does not name the file.
    """
    with open(Path(path), 'rb') as file:
        return parse_yaml(file.read(MAX_BYTES + 1), as_texts)


def _one_line(error: Exception) -> str:
    mark = getattr(error, 'problem_mark', None)
    problem = getattr(error, 'problem', None) or str(error)
    return ' '.join(f'{problem}{f" (line {mark.line + 1})" if mark else ""}'.split())[:200]
