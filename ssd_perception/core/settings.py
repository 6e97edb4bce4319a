"""Declare a setting once, at its field: default, meaning, range, choices; all else follows.

The node's parameters, training recipes and the command line's shared arguments are dataclasses
whose fields are declared by ``setting``. Checks, messages, help, YAML comments and the tables in
docs are made from these fields.
"""

from __future__ import annotations

import argparse
import dataclasses
import types
import typing
from collections.abc import Callable
from dataclasses import Field, dataclass
from typing import Any, TypeVar

from ssd_perception.core.errors import SettingError
from ssd_perception.core.text import quoted

_KEY = 'setting'
METAVARS = {str: 'NAME', int: 'N', float: 'X'}  # what --help shows for a value
Options = TypeVar('Options')


@dataclass(frozen=True)
class Setting:
    """What is known of a field beside its default.

    Attributes:
        meaning: one or two sentences, for help and docs.
        limits: lowest and highest value of a number, or of each in a tuple; None for any.
        choices: the only values; empty for any.
        also: values outside of ``limits`` that are allowed, such as 0 for "off".
        fixed: cannot be changed while the node runs.
    """

    meaning: str
    limits: tuple[float, float] | None = None
    choices: tuple[str, ...] = ()
    also: tuple[float, ...] = ()
    fixed: bool = False

    def allows(self, value: Any) -> bool:
        """Say whether a value of the right type is in range and among the choices."""
        if value is None:
            return True
        if isinstance(value, tuple):
            return all(self.allows(item) for item in value)
        if self.choices:
            return value in self.choices
        return self.limits is None or value in self.also \
            or self.limits[0] <= value <= self.limits[1]


def setting(default: Any = dataclasses.MISSING, meaning: str = '', *,
            limits: tuple[float, float] | None = None, choices: tuple[str, ...] = (),
            also: tuple[float, ...] = (), fixed: bool = False,
            default_factory: Any = dataclasses.MISSING) -> Any:
    """Return a dataclass field; see ``Setting``. Without a default the value must be given."""
    metadata = {_KEY: Setting(meaning, limits, choices, also, fixed)}
    if default_factory is not dataclasses.MISSING:
        return dataclasses.field(default_factory=default_factory, metadata=metadata)
    if default is dataclasses.MISSING:
        return dataclasses.field(metadata=metadata)
    return dataclasses.field(default=default, metadata=metadata)


def of(spec: Field) -> Setting:
    """Return what is known of a field; a field that was not declared by ``setting`` takes all."""
    return spec.metadata.get(_KEY) or Setting('')


def type_of(kind: type, name: str) -> Any:
    """Return a field's type without None: ``int`` for ``int | None``."""
    hint = typing.get_type_hints(kind)[name]
    if isinstance(hint, types.UnionType):
        return next(item for item in typing.get_args(hint) if item is not types.NoneType)
    return hint


def expected(kind: type, spec: Field, number: str = 'a number') -> str:
    """Say in words what values a field takes; ``number`` names a value of type float."""
    known, hint = of(spec), type_of(kind, spec.name)
    if known.choices:
        return f'one of {", ".join(known.choices)}'
    if typing.get_origin(hint) is tuple:
        item = typing.get_args(hint)[0]
        return f'a list of {"strings" if item is str else "numbers"}' + _range(known)
    words = {bool: 'true or false', str: 'a string', int: 'a whole number', float: number}
    also = ''.join(f'{value} or ' for value in known.also)
    return also + words.get(hint, 'settings of its own') + _range(known)


def _range(known: Setting) -> str:
    return f' from {known.limits[0]} to {known.limits[1]}' if known.limits else ''


def check(options: Any, where: str = '', sentence: Callable[[Field, Any], str] | None = None
          ) -> None:
    """Refuse a value out of its range or not among its choices; for ``__post_init__``.

    Args:
        where: what goes before the name in the message, such as ``loss.``.
        sentence: makes the message instead, from the field and its value.

    Raises:
        SettingError: with the setting, its allowed values and the given value.
    """
    for spec in dataclasses.fields(options):
        value = getattr(options, spec.name)
        if of(spec).allows(value):
            continue
        raise SettingError(sentence(spec, value) if sentence else
                           f'"{where}{spec.name}" must be {expected(type(options), spec)}, '
                           f'got {quoted(list(value) if isinstance(value, tuple) else value)}.')


def add_arguments(parser: argparse._ActionsContainer, kind: type, *names: str) -> None:
    """Declare ``--NAME`` for fields of a dataclass of settings; all of them without names."""
    for spec in dataclasses.fields(kind):
        if names and spec.name not in names:
            continue
        known, hint = of(spec), type_of(kind, spec.name)
        flag = f'--{spec.name.replace("_", "-")}'
        if hint is bool:
            parser.add_argument(flag, action='store_true', help=known.meaning)
            continue
        default = '' if spec.default in (None, '') else f' (default: {spec.default})'
        parser.add_argument(flag, type=hint, default=spec.default, choices=known.choices or None,
                            metavar=None if known.choices else METAVARS[hint],
                            help=(known.meaning + default).replace('%', '%%'))


def from_arguments(kind: type[Options], args: argparse.Namespace) -> Options:
    """Return the dataclass of settings that parsed arguments hold.

    Raises:
        SettingError: from the dataclass, for a value out of its range.
    """
    return kind(**{spec.name: getattr(args, spec.name)
                   for spec in dataclasses.fields(kind)  # type: ignore[arg-type]
                   if hasattr(args, spec.name)})
