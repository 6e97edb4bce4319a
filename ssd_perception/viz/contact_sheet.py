"""Many frames on one sheet, each with a caption."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from ssd_perception.core.text import printable

PAPER = 24  # grey
MOST_TALL = 4  # an image 1 px wide and 16,384 high would fill 32 GB of paper
_GAP, _CAPTION, _INK = 8, 26, 225


def contact_sheet(images: Sequence[np.ndarray], captions: Sequence[str], columns: int = 4,
                  tile_width: int = 480) -> np.ndarray:
    """Return uint8 (H, W, 3) RGB: the images row by row, each above its caption.

    Args:
        images: uint8 (H, W, 3) RGB each, at least one; tiles have the first one's proportions,
            up to ``MOST_TALL`` times as high as wide, and others are fitted into them.
        captions: one per image.
        tile_width: pixels.
    """
    height, width = images[0].shape[:2]
    tile_height = max(1, round(tile_width * min(height / width, MOST_TALL)))
    columns = min(columns, len(images))
    rows = -(-len(images) // columns)
    sheet = np.full((_GAP + rows * (tile_height + _CAPTION + _GAP),
                     _GAP + columns * (tile_width + _GAP), 3), PAPER, np.uint8)
    for i, (image, caption) in enumerate(zip(images, captions)):
        y = _GAP + i // columns * (tile_height + _CAPTION + _GAP)
        x = _GAP + i % columns * (tile_width + _GAP)
        fitted = fit(image, tile_width, tile_height)
        left, top = x + (tile_width - fitted.shape[1]) // 2, y + (tile_height - len(fitted)) // 2
        sheet[top:top + len(fitted), left:left + fitted.shape[1]] = fitted
        # OpenCV crashes on surrogates, which file names may have.
        cv2.putText(sheet, printable(caption), (x + 2, y + tile_height + _CAPTION - 8),
                    cv2.FONT_HERSHEY_SIMPLEX, 0.5, (_INK, _INK, _INK), 1, cv2.LINE_AA)
    return sheet


def fit(image: np.ndarray, width: int, height: int) -> np.ndarray:
    """Return the image as large as it fits into ``width`` x ``height`` px, undistorted."""
    scale = min(width / image.shape[1], height / image.shape[0])
    size = (min(width, max(1, round(image.shape[1] * scale))),
            min(height, max(1, round(image.shape[0] * scale))))
    return cv2.resize(image, size,
                      interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)


def centred(image: np.ndarray, width: int, height: int) -> np.ndarray:
    """Return the image, which must fit, in the middle of ``width`` x ``height`` px of paper."""
    field = np.full((height, width, 3), PAPER, np.uint8)
    top, left = (height - image.shape[0]) // 2, (width - image.shape[1]) // 2
    field[top:top + image.shape[0], left:left + image.shape[1]] = image
    return field


def spread(count: int, wanted: int) -> list[int]:
    """Return up to ``wanted`` indices, evenly spread over ``count`` items, ends included."""
    if count <= wanted:
        return list(range(count))
    return [round(i * (count - 1) / (wanted - 1)) for i in range(wanted)] if wanted > 1 else [0]
