"""Decode pictures from disk to RGB, with an optional bounded cache of decoded ones."""

from __future__ import annotations

import os
from pathlib import Path

import cv2
import numpy as np

from ssd_perception.data.voc import DataError


def read_picture(path: str | os.PathLike) -> np.ndarray:
    """Return the picture as uint8 (H, W, 3) RGB, as stored: EXIF rotation is not applied.

    Raises:
        DataError: when the file is missing, truncated or no picture.
    """
    try:
        data = np.fromfile(path, np.uint8)
    except OSError as error:
        raise DataError(f'{path} cannot be read: {error.strerror}.') from error
    # Boxes were drawn on the stored pixels, so a rotation flag must not turn them.
    flags = cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION
    try:
        image = cv2.imdecode(data, flags) if data.size else None
    except cv2.error:
        image = None
    if image is None:
        raise DataError(f'{path} is not a picture that OpenCV can decode.')
    return cv2.cvtColor(image, cv2.COLOR_BGR2RGB)


class PictureCache:
    """Decoded pictures shrunk to a longest side, kept while they fit in a byte budget.

    Args:
        longest_side: px; larger pictures are shrunk, since the network sees no more anyway.
        max_bytes: of decoded pictures kept; 0 keeps none.
    """

    def __init__(self, longest_side: int, max_bytes: int):
        self._longest_side, self._free = longest_side, max_bytes
        self._kept: dict[Path, tuple[np.ndarray, float, float]] = {}

    def read(self, path: Path) -> tuple[np.ndarray, float, float]:
        """Return uint8 (H, W, 3) RGB and the factors x and y it was scaled by."""
        if path in self._kept:
            return self._kept[path]
        image = read_picture(path)
        height, width = image.shape[:2]
        factor = min(1.0, self._longest_side / max(height, width))
        if factor < 1:
            size = max(1, round(width * factor)), max(1, round(height * factor))
            image = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
        entry = image, image.shape[1] / width, image.shape[0] / height
        if image.nbytes <= self._free:
            self._free -= image.nbytes
            self._kept[path] = entry
        return entry
