"""How values are written: as JSON, where NaN becomes null, and as text for people."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from typing import Any

import numpy as np


def to_json(value: object) -> Any:
    """Return what ``json.dumps`` takes: dataclasses as objects, NaN and infinities as null."""
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


def number_from_json(value: float | None) -> float:
    """Return a number of ``to_json``; NaN for null."""
    return math.nan if value is None else value


def format_number(value: float | None, unit: str = '', digits: int = 3,
                  missing: str = '–') -> str:
    """Return a number as text: ``digits`` after the point and its unit.

    Args:
        missing: stands for None and NaN, which mean that nothing could be measured.
    """
    return missing if value is None or math.isnan(value) else f'{value:.{digits}f}{unit}'
