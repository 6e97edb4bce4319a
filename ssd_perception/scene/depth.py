"""Depth images as REP 118 has them: the encoding alone says the unit."""

from __future__ import annotations

import numpy as np

from ssd_perception.core.errors import UserError
from ssd_perception.core.text import printable

# encoding: (numpy type, metres per unit)
ENCODINGS: dict[str, tuple[np.dtype, float]] = {
    '16UC1': (np.dtype(np.uint16), 0.001), '32FC1': (np.dtype(np.float32), 1.0)}
_INNER_WIDTH, _TOP, _BOTTOM = 0.4, 0.2, 0.8
_MIN_VALUES, _MIN_SHARE = 6, 0.2
# Of a large box so many rows and columns are enough.
_MAX_LINES = 32


class DepthError(UserError):
    """A depth image that cannot be used; the text says why."""


def depth_in_metres(image: np.ndarray, encoding: str) -> np.ndarray:
    """Return a depth image in metres along the optical axis.

    Args:
        image: (H, W), uint16 or float32.
        encoding: of the message: ``16UC1`` is millimetres, ``32FC1`` metres.

    Returns:
        float32 (H, W); NaN for what is no measurement: 0, negative, NaN, infinite.

    Raises:
        DepthError: for another encoding.
    """
    if encoding not in ENCODINGS:
        raise DepthError(f'The depth image has the encoding "{printable(encoding, 40)}"; '
                         f'expected {" or ".join(ENCODINGS)}.')
    metres = image.astype(np.float32) * np.float32(ENCODINGS[encoding][1])
    metres[~(np.isfinite(metres) & (metres > 0))] = np.nan
    return metres


def depth_in_box(depth: np.ndarray, box: np.ndarray) -> tuple[float, float] | None:
    """Return the median depth of the inside of a box and its spread, metres.

    The inner two fifths of the width leave out most of what is beside a cone; the upper and
    lower fifth, what is behind its tip and the floor before it. The spread is the median
    absolute deviation.

    Args:
        depth: (H, W) metres, NaN where there is no measurement.
        box: (4,) edges in pixels of that image.

    Returns:
        None where less than a fifth of the inside, or fewer than six pixels, are measured.
    """
    x1, y1, x2, y2 = box
    middle, half = (x1 + x2) / 2, (x2 - x1) * _INNER_WIDTH / 2
    left, right = int(max(middle - half, 0)), int(np.ceil(middle + half))
    top, bottom = int(y1 + (y2 - y1) * _TOP), int(np.ceil(y1 + (y2 - y1) * _BOTTOM))
    rows, columns = (max(1, (b - a) // _MAX_LINES) for a, b in ((top, bottom), (left, right)))
    inside = depth[top:bottom:rows, left:right:columns]
    values = inside[np.isfinite(inside)]
    if len(values) < max(_MIN_VALUES, _MIN_SHARE * inside.size):
        return None
    median = float(np.median(values))
    return median, float(np.median(np.abs(values - median)))
