"""Small images for pages: a whole frame, or a box with its surroundings."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from ssd_perception.core.detections import Detections, GroundTruth
from ssd_perception.viz.drawing import draw_detections

FRAME_WIDTH = 480  # px
TILE = 230  # px: five of them side by side on the page
CONTEXT = 2.5  # sides of a tile in longer sides of its box
LEAST_SIDE = 64  # px of the source: fewer, enlarged, show nothing


def small_frame(image: np.ndarray, detections: Detections, weak: Detections,
                class_names: Sequence[str]) -> np.ndarray:
    """Return uint8 (h, FRAME_WIDTH, 3) RGB: the whole image with detections drawn.

    Args:
        image: uint8 (H, W, 3) RGB.
        detections, weak: what is drawn plain and dashed, in the image's pixels.
    """
    scale = FRAME_WIDTH / image.shape[1]
    size = FRAME_WIDTH, max(1, round(image.shape[0] * scale))
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
    height, width = image.shape[:2]
    # Where the image is smaller than the window, the rest stays grey.
    square = np.full((side, side, 3), 127, np.uint8)
    part = image[max(y, 0):y + side, max(x, 0):x + side]
    top, left = max(-y, 0), max(-x, 0)
    square[top:top + part.shape[0], left:left + part.shape[1]] = part
    scaled = cv2.resize(square, (TILE, TILE),
                        interpolation=cv2.INTER_AREA if side > TILE else cv2.INTER_CUBIC)
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
