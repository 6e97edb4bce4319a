"""The inverse of ``BoxCoder.decode``: which deltas take anchors to boxes, as SSD defines them."""

from __future__ import annotations

import numpy as np

from ssd_perception.core.anchors import BoxCoder
from ssd_perception.core.boxes import xyxy_to_cxcywh


def encode(coder: BoxCoder, xyxy: np.ndarray, anchors: np.ndarray) -> np.ndarray:
    """Return (n, 4) deltas that take (n, 4) cxcywh anchors to (n, 4) boxes; same unit."""
    boxes = xyxy_to_cxcywh(xyxy)
    centre = (boxes[:, :2] - anchors[:, :2]) / anchors[:, 2:] / coder.centre_variance
    size = np.log(boxes[:, 2:] / anchors[:, 2:]) / coder.size_variance
    return np.concatenate([centre, size], -1)
