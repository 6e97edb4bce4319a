"""Read YAML that somebody handed over: plain values only, in bounded time and memory."""

from __future__ import annotations

import os

import yaml

# A recording's metadata or a recipe has kilobytes; these are never met.
MAX_BYTES = 2_000_000
# What aliases stand for counts each time: nine lines of nine aliases each are 9**9 values.
MAX_VALUES = 1_000_000
_MAX_SCALAR = 100_000  # characters; converting a longer number takes minutes


class YamlError(ValueError):
    """A text that is no YAML, or more than is read; the message says why, in half a sentence."""


# Ten times as fast where PyYAML was built with libyaml; without it the bytes take some seconds.
_Safe: type = getattr(yaml, 'CSafeLoader', yaml.SafeLoader)


class _Texts(_Safe):
    """Leaves every scalar a text, so that a class called ``no`` is not read as False."""

    yaml_implicit_resolvers: dict = {}


def read_yaml(path: str | os.PathLike, as_texts: bool = False,
              max_bytes: int = MAX_BYTES) -> object:
    """Return what the YAML file ``path`` holds; see ``load_yaml``.

    Raises:
        OSError: when it cannot be read.
        YamlError: also when it has more than ``max_bytes``.
    """
    with open(path, 'rb') as file:
        data = file.read(max_bytes + 1)
    if len(data) > max_bytes:
        raise YamlError(f'is longer than the {max_bytes} bytes that are read')
    try:
        text = data.decode('utf-8-sig' if data[:2] not in (b'\xff\xfe', b'\xfe\xff') else 'utf-16')
    except UnicodeDecodeError as error:
        raise YamlError('is not UTF-8') from error
    return load_yaml(text, as_texts)


def load_yaml(text: str, as_texts: bool = False) -> object:
    """Parse a YAML text into dicts, lists, strings, numbers, dates, booleans and None.

    Args:
        as_texts: leave every scalar a string, as it is written.

    Raises:
        YamlError: for what is no YAML, refers to itself, or has more than ``MAX_BYTES`` or, with
            its aliases written out, ``MAX_VALUES``.
    """
    if len(text) > MAX_BYTES:
        raise YamlError(f'is longer than the {MAX_BYTES} characters that are read')
    try:
        loader = (_Texts if as_texts else _Safe)(text)
        node = loader.get_single_node()
        if node is not None and _count(node, {}) > MAX_VALUES:
            raise YamlError(f'holds more than the {MAX_VALUES} values allowed')
        return None if node is None else loader.construct_document(node)
    except RecursionError as error:
        raise YamlError('is nested too deeply') from error
    except (yaml.YAMLError, ValueError, OverflowError) as error:  # a date such as 2026-99-99
        if isinstance(error, YamlError):
            raise
        if 'nesting depth' in str(error):  # libyaml's RecursionError
            raise YamlError('is nested too deeply') from error
        raise YamlError(f'is not valid YAML ({" ".join(str(error).split())[:200]})') from error


def _count(node: yaml.Node, known: dict[int, int]) -> int:
    """Return how many values a node stands for; ``known`` holds those of nodes seen before."""
    if id(node) in known:
        if not known[id(node)]:
            raise YamlError('refers to itself')
        return known[id(node)]
    known[id(node)] = 0  # not finished: an alias to it inside of it would never end
    children: list[yaml.Node] = []
    if isinstance(node, yaml.ScalarNode) and len(node.value) > _MAX_SCALAR:
        raise YamlError(f'has a value of more than the {_MAX_SCALAR} characters allowed')
    if isinstance(node, yaml.MappingNode):
        children = [child for pair in node.value for child in pair]
    elif isinstance(node, yaml.SequenceNode):
        children = node.value
    known[id(node)] = 1 + sum(_count(child, known) for child in children)
    return known[id(node)]
