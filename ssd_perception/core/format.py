"""Write values as JSON, where NaN becomes null, and as text for people."""

from __future__ import annotations

import dataclasses
import math
import types
import typing
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

import numpy as np

Value = TypeVar('Value')


def to_json(value: object) -> Any:
    """Convert a value for ``json.dumps``: dataclasses to objects, NaN and infinities to null."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: to_json(getattr(value, field.name))
                for field in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {key: to_json(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [to_json(item) for item in value]
    if isinstance(value, (np.ndarray, np.generic)):
        return to_json(value.tolist())
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def from_json(kind: type[Value], data: Mapping[str, Any]) -> Value:
    """Make a dataclass of what ``to_json`` made of one.

    null becomes NaN where a field is a float, absent fields take their defaults, unknown keys
    are ignored.

    Raises:
        TypeError, ValueError: when the data have another form.
    """
    hints = typing.get_type_hints(kind)
    return kind(**{name: _read(hint, data[name]) for name, hint in hints.items() if name in data})


def _read(hint: Any, value: Any) -> Any:
    """Return a value of JSON as the type ``hint`` says."""
    inner = typing.get_args(hint)
    if isinstance(hint, types.UnionType):  # ``X | None``
        return None if value is None else _read(inner[0], value)
    if hint is float:
        return math.nan if value is None else float(value)
    if dataclasses.is_dataclass(hint):
        return from_json(hint, value)  # type: ignore[arg-type]  # a class, not a value
    if typing.get_origin(hint) in (tuple, list, Sequence):
        return tuple(_read(inner[0], item) for item in value)
    if typing.get_origin(hint) in (dict, Mapping):
        return {key: _read(inner[1], item) for key, item in value.items()}
    return value


def format_number(value: float | None, unit: str = '', digits: int = 3,
                  missing: str = '–') -> str:
    """Return a number as text: ``digits`` after the point and its unit.

    Args:
        missing: stands for None and NaN, which mean that nothing could be measured.
    """
    return missing if value is None or math.isnan(value) else f'{value:.{digits}f}{unit}'
