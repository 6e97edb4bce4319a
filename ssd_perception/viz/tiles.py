"""Small images for pages: a whole frame, or a box with its surroundings."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from ssd_perception.core.detections import Detections, GroundTruth
from ssd_perception.viz.contact_sheet import MOST_TALL
from ssd_perception.viz.drawing import draw_detections

FRAME_WIDTH = 480  # px
TILE = 230  # px: five of them side by side on the page
CONTEXT = 2.5  # sides of a tile in longer sides of its box
LEAST_SIDE = 64  # px of the source: fewer, enlarged, show nothing


def small_frame(image: np.ndarray, detections: Detections, weak: Detections,
                class_names: Sequence[str]) -> np.ndarray:
    """Return uint8 (h, FRAME_WIDTH, 3) RGB: the whole image with detections drawn.

    What is more than ``MOST_TALL`` times as high as wide becomes narrower.

    Args:
        image: uint8 (H, W, 3) RGB.
        detections, weak: what is drawn plain and dashed, in the image's pixels.
    """
    height, width = image.shape[:2]
    scale = FRAME_WIDTH * min(1 / width, MOST_TALL / height)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    return draw_detections(cv2.resize(image, size, interpolation=cv2.INTER_AREA),
                           detections.scaled(scale), class_names, weak=weak.scaled(scale))


def tile(image: np.ndarray, box: np.ndarray, detections: Detections, truth: GroundTruth,
         class_names: Sequence[str]) -> np.ndarray:
    """Return uint8 (TILE, TILE, 3) RGB: the surroundings of ``box``, ground truth dashed.

    Args:
        image: uint8 (H, W, 3) RGB.
        box: (4,) edges in the image's pixels.
        detections, truth: what is drawn, in the image's pixels.
    """
    x, y, side = window(box, image.shape[:2])
    part = image[max(y, 0):y + side, max(x, 0):x + side]
    # Where the image is smaller than the window, the rest stays grey; of the window's own size it
    # would fill 3 GB beside an image 1 px wide and 32,767 high.
    scaled = np.full((TILE, TILE, 3), 127, np.uint8)
    top, left = (min(round(max(-start, 0) * TILE / side), TILE - 1) for start in (y, x))
    size = (min(max(1, round(part.shape[1] * TILE / side)), TILE - left),
            min(max(1, round(part.shape[0] * TILE / side)), TILE - top))
    scaled[top:top + size[1], left:left + size[0]] = cv2.resize(
        part, size, interpolation=cv2.INTER_AREA if side > TILE else cv2.INTER_CUBIC)
    found, inside = _moved(detections.xyxy, x, y, side)
    objects, near = _moved(truth.boxes(), x, y, side)
    return draw_detections(
        scaled, Detections(found, detections.scores, detections.labels)[inside], class_names,
        GroundTruth(objects[near], np.asarray(truth.labels)[near]))


def window(box: np.ndarray, shape: tuple[int, int]) -> tuple[int, int, int]:
    """Return left, top and side, px, of the square around ``box`` that a tile shows.

    It is moved into the image of ``shape`` (height, width) where it fits, and centred on it
    where it does not.
    """
    height, width = shape
    x0, y0, x1, y1 = (float(v) for v in box)
    side = round(max(LEAST_SIDE, CONTEXT * max(x1 - x0, y1 - y0)))
    side = min(side, max(height, width))

    def start(centre: float, length: int) -> int:
        if side >= length:
            return (length - side) // 2
        return int(np.clip(round(centre - side / 2), 0, length - side))

    return start((x0 + x1) / 2, width), start((y0 + y1) / 2, height), side


def _moved(boxes: np.ndarray, x: int, y: int, side: int) -> tuple[np.ndarray, np.ndarray]:
    """Return (n, 4) boxes in the tile's pixels, and bool (n,) whether they meet the window."""
    xyxy = (boxes - np.array([x, y, x, y])) * TILE / side
    return xyxy, (xyxy[:, :2] < TILE).all(1) & (xyxy[:, 2:] > 0).all(1)
