"""Mosaic of four images (Bochkovskiy et al. 2020, YOLOv4), boxes clipped, slivers dropped."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from ssd_perception.data.sample import TrainingItem, keep_visible

SCALES = 0.4, 1.2  # least and greatest longest side of an image, in sides of the canvas


def mosaic(images: Sequence[TrainingItem], side: int, padding_value: int,
           rng: np.random.Generator) -> TrainingItem:
    """Compose four images around a random centre of a square canvas.

    Args:
        images: exactly four.
        side: of the canvas, px.
        padding_value: grey of the canvas where no image reaches, 0 to 255.

    Returns:
        The canvas with the boxes of all four, clipped to what is seen of them.

    Raises:
        ValueError: for another number of images.
    """
    if len(images) != 4:
        raise ValueError(f'A mosaic takes 4 images, got {len(images)}.')
    canvas = np.full((side, side, 3), padding_value, np.uint8)
    centre_x, centre_y = (rng.uniform(0.3, 0.7, 2) * side).astype(int)
    boxes, labels = [], []
    for index, (image, xyxy, label) in enumerate(images):
        right, below = index % 2, index // 2
        x0, x1 = (centre_x, side) if right else (0, centre_x)
        y0, y1 = (centre_y, side) if below else (0, centre_y)
        factor = rng.uniform(*SCALES) * side / max(image.shape[:2])
        height, width = (max(1, round(s * factor)) for s in image.shape[:2])
        method = cv2.INTER_AREA if factor < 1 else cv2.INTER_LINEAR
        tile = cv2.resize(image, (width, height), interpolation=method)
        # The tile's inner corner is at the centre; the part outside the canvas is cut off.
        left = centre_x if right else centre_x - width
        top = centre_y if below else centre_y - height
        a, b, c, d = max(x0, left), max(y0, top), min(x1, left + width), min(y1, top + height)
        canvas[b:d, a:c] = tile[b - top:d - top, a - left:c - left]
        factors = np.array([width / image.shape[1], height / image.shape[0]] * 2)
        whole = xyxy * factors + np.array([left, top, left, top])
        cut = np.clip(whole, [a, b, a, b], [c, d, c, d])
        visible = keep_visible(cut, whole)
        boxes.append(cut[visible])
        labels.append(label[visible])
    return TrainingItem(canvas, np.concatenate(boxes).astype(np.float32), np.concatenate(labels))
