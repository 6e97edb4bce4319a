"""Write a recipe as YAML with a comment above each key, made from the recipe's fields."""

from __future__ import annotations

import dataclasses
import json
import re
import textwrap
from collections.abc import Iterator, Mapping
from typing import Any

import yaml

from ssd_perception.core import settings
from ssd_perception.training.recipe import Recipe

WIDTH = 99
_PLAIN = re.compile(r'[A-Za-z][\w./ -]*')
# Keys that every recipe leaves at their defaults.
_LEFT_OUT = ('channel_order', 'box_coder', 'pixel_type')


def to_yaml(recipe: Recipe, header: str = '', reasons: Mapping[str, str] | None = None) -> str:
    """Return YAML that ``load_recipe`` reads as the same recipe.

    Args:
        header: what the file is for, without comment signs.
        reasons: key, such as ``architecture.input_hw``, -> why it has its value; a second
            comment above the key.
    """
    lines = [f'# {line}'.rstrip() for line in header.splitlines()]
    return '\n'.join([*lines, *([''] if lines else []), *_lines(recipe, '', reasons or {})]) + '\n'


def _lines(part: Any, where: str, reasons: Mapping[str, str]) -> Iterator[str]:
    indent = '  ' * where.count('.')
    for spec in dataclasses.fields(part):
        key, value = where + spec.name, getattr(part, spec.name)
        if spec.name in _LEFT_OUT:
            continue
        for text in (settings.of(spec).meaning, reasons.get(key, '')):
            yield from textwrap.wrap(text, WIDTH, initial_indent=f'{indent}# ',
                                     subsequent_indent=f'{indent}# ', break_on_hyphens=False)
        if dataclasses.is_dataclass(value) and spec.name != 'anchors':
            yield f'{indent}{spec.name}:'
            yield from _lines(value, key + '.', reasons)
        elif dataclasses.is_dataclass(value):
            yield f'{indent}{spec.name}:'
            for name, each in vars(value).items():
                yield f'{indent}  {name}: {_value(each)}'
        else:
            yield from _wrapped(f'{indent}{spec.name}: ', _value(value))


def _wrapped(key: str, value: str) -> Iterator[str]:
    """Break a list that is too long for one line."""
    yield from textwrap.wrap(key + value, WIDTH, subsequent_indent=' ' * len(key),
                             break_long_words=False, break_on_hyphens=False)


def _value(value: Any) -> str:
    """Return a value as YAML reads it back with the same type."""
    if isinstance(value, (tuple, list)):
        return f'[{", ".join(_value(each) for each in value)}]'
    if isinstance(value, str):
        plain = _PLAIN.fullmatch(value) and yaml.safe_load(value) == value
        return value if plain else json.dumps(value, ensure_ascii=False)
    if isinstance(value, bool):
        return 'true' if value else 'false'
    text = repr(value)
    # YAML 1.1 takes 1e-07 for a text.
    return text.replace('e', '.0e') if 'e' in text and '.' not in text else text
