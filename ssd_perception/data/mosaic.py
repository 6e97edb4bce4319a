"""Mosaic of four images (Bochkovskiy et al. 2020, YOLOv4), boxes clipped, slivers dropped."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from ssd_perception.data.sample import TrainingItem, keep_visible
from ssd_perception.imaging.placing import resize

SCALES = 0.4, 1.2  # least and greatest longest side of an image, in sides of the canvas
WIDEST = 4 / 3  # shorter side of a canvas in those of the input


def canvas_hw(input_hw: tuple[int, int]) -> tuple[int, int]:
    """Return height and width of a mosaic for an input: square, narrower for narrow inputs.

    A square would fill a fifth of an input of 5:1, and its objects would be a fifth as large.
    """
    side = max(input_hw)
    height, width = (min(side, round(WIDEST * each)) for each in input_hw)
    return height, width


def mosaic(images: Sequence[TrainingItem], hw: tuple[int, int], padding_value: int,
           rng: np.random.Generator) -> TrainingItem:
    """Compose four images around a random centre of a canvas.

    Args:
        images: exactly four.
        hw: height and width of the canvas, px.
        padding_value: grey of the canvas where no image reaches, 0 to 255.

    Returns:
        The canvas with the boxes of all four, clipped to what is seen of them.

    Raises:
        ValueError: for another number of images.
    """
    if len(images) != 4:
        raise ValueError(f'A mosaic takes 4 images, got {len(images)}.')
    canvas = np.full((*hw, 3), padding_value, np.uint8)
    centre_x, centre_y = (rng.uniform(0.3, 0.7, 2) * hw[::-1]).astype(int)
    boxes, labels = [], []
    for index, (image, xyxy, label) in enumerate(images):
        right, below = index % 2, index // 2
        x0, x1 = (centre_x, hw[1]) if right else (0, centre_x)
        y0, y1 = (centre_y, hw[0]) if below else (0, centre_y)
        factor = rng.uniform(*SCALES) * max(hw) / max(image.shape[:2])
        height, width = (max(1, round(s * factor)) for s in image.shape[:2])
        # The tile's inner corner is at the centre; the part outside the canvas is cut off, before
        # it is resized.
        left = centre_x if right else centre_x - width
        top = centre_y if below else centre_y - height
        a, b, c, d = max(x0, left), max(y0, top), min(x1, left + width), min(y1, top + height)
        columns = _seen(a - left, c - left, image.shape[1] / width, image.shape[1])
        rows = _seen(b - top, d - top, image.shape[0] / height, image.shape[0])
        canvas[b:d, a:c] = resize(image[rows, columns], c - a, d - b, 'area')
        factors = np.array([(c - a) / (columns.stop - columns.start),
                            (d - b) / (rows.stop - rows.start)] * 2)
        whole = (xyxy - [columns.start, rows.start] * 2) * factors + [a, b] * 2
        cut = np.clip(whole, [a, b, a, b], [c, d, c, d])
        visible = keep_visible(cut, whole)
        boxes.append(cut[visible])
        labels.append(label[visible])
    return TrainingItem(canvas, np.concatenate(boxes).astype(np.float32), np.concatenate(labels))


def _seen(first: int, end: int, factor: float, size: int) -> slice:
    """Return the pixels of a side of ``size`` px that ``first`` to ``end`` of its tile show.

    Args:
        factor: pixels of the image in one of the tile.
    """
    return slice(math.floor(first * factor), min(size, math.ceil(end * factor)))
