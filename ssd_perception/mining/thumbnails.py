"""What a frame looks like, in a few pixels: enough to see that two frames are alike."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np

from ssd_perception.imaging.encodings import to_rgb, to_rgb_shrunk

SIZE = 16, 12  # width and height, px


def small_image(message: Any) -> np.ndarray:
    """Return an image that is large enough for its thumbnail: uint8 (H, W, 3) RGB.

    A JPEG is decoded at an eighth where it can be; thumbnails differ by one level at most.

    Raises:
        ImageError: as ``to_rgb``.
    """
    if hasattr(message, 'encoding'):
        return to_rgb(message)
    return to_rgb_shrunk(message, lambda height, width: SIZE[::-1])[0]


def thumbnail(image: np.ndarray) -> np.ndarray:
    """Return uint8 (d,), the mean colours of areas, for an image: uint8 (H, W, 3) RGB.

    An orange thing may be as bright as the grey floor, so colours are kept.
    """
    return cv2.resize(image, SIZE, interpolation=cv2.INTER_AREA).reshape(-1)
