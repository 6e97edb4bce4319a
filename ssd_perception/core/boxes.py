"""Box geometry in numpy: formats, IoU, clipping; boxes are continuous edges in one unit."""

from __future__ import annotations

import numpy as np


def xyxy_to_cxcywh(boxes: np.ndarray) -> np.ndarray:
    """Convert (..., 4) edges to centre and size; same unit."""
    low, high = boxes[..., :2], boxes[..., 2:]
    return np.concatenate([(low + high) / 2, high - low], axis=-1)


def cxcywh_to_xyxy(boxes: np.ndarray) -> np.ndarray:
    """Convert (..., 4) centre and size to edges; same unit."""
    centre, half = boxes[..., :2], boxes[..., 2:] / 2
    return np.concatenate([centre - half, centre + half], axis=-1)


def area(boxes: np.ndarray) -> np.ndarray:
    """Return (...,) areas of (..., 4) edges; reversed edges count as zero."""
    size = np.maximum(boxes[..., 2:] - boxes[..., :2], 0)
    return size[..., 0] * size[..., 1]


def clip(boxes: np.ndarray, width: float, height: float) -> np.ndarray:
    """Clip (..., 4) edges to an image of ``width`` x ``height`` in the boxes' unit."""
    return np.clip(boxes, 0, np.array([width, height, width, height], dtype=boxes.dtype))


def iou(boxes_a: np.ndarray, boxes_b: np.ndarray) -> np.ndarray:
    """Return the (n, m) pairwise intersection over union of (n, 4) and (m, 4) edges.

    Two boxes without area have IoU 0, not NaN.
    """
    a, b = boxes_a[:, None, :], boxes_b[None, :, :]
    size = np.maximum(np.minimum(a[..., 2:], b[..., 2:])
                      - np.maximum(a[..., :2], b[..., :2]), 0)
    intersection = size[..., 0] * size[..., 1]  # (n, m)
    union = area(a) + area(b) - intersection
    return np.divide(intersection, union, out=np.zeros_like(intersection), where=union > 0)
