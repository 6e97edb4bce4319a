"""Anchors of every pyramid level, and the code that turns network deltas into boxes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ssd_perception.core.boxes import cxcywh_to_xyxy

# A delta beyond this would scale an anchor by more than 1000/16: only a diverged network
# says so, and exp() of it would overflow. The bound is Detectron's.
MAX_LOG_SCALE = math.log(1000.0 / 16)


@dataclass(frozen=True)
class AnchorSpec:
    """How anchors are laid out; stored in the weights' metadata.

    Attributes:
        base_scale: side of the smallest square anchor of a level, in strides of that level
            (EfficientDet's ``anchor_scale``, 4 there).
        octave_scales: factors on that side, several sizes per level (RetinaNet, section 4).
        aspect_ratios: height / width of the anchors at equal area.
    """

    base_scale: float = 3.0
    octave_scales: tuple[float, ...] = (1.0, 2 ** (1 / 3), 2 ** (2 / 3))
    aspect_ratios: tuple[float, ...] = (0.5, 1.0, 2.0)

    @property
    def per_cell(self) -> int:
        """Number of anchors at each position of a feature map."""
        return len(self.octave_scales) * len(self.aspect_ratios)


def level_shape(input_hw: tuple[int, int], stride: int) -> tuple[int, int]:
    """Rows and columns of the feature map of ``stride`` for an input of (height, width) px."""
    return math.ceil(input_hw[0] / stride), math.ceil(input_hw[1] / stride)


def make_anchors(spec: AnchorSpec, input_hw: tuple[int, int],
                 strides: tuple[int, ...]) -> np.ndarray:
    """Return float32 (n, 4) anchors as cx, cy, w, h in pixels of the network input.

    Order: level, row, column, octave scale, aspect ratio; the heads' channels have the
    same order. Anchors at the border reach outside the image, as in SSD.
    """
    ratios = np.sqrt(np.asarray(spec.aspect_ratios, dtype=np.float64))
    scales = np.asarray(spec.octave_scales, dtype=np.float64)
    levels = []
    for stride in strides:
        sides = spec.base_scale * stride * scales  # (S,)
        sizes = np.stack([sides[:, None] / ratios, sides[:, None] * ratios], -1).reshape(-1, 2)
        levels.append(_cells(level_shape(input_hw, stride), stride, sizes))
    return np.concatenate(levels).astype(np.float32)


@dataclass(frozen=True)
class LevelAnchors:
    """The anchors of one level of a feature map, size by size.

    For networks whose levels follow no common rule, such as those of Liu et al. 2016.

    Attributes:
        shape: rows and columns of the level.
        step: distance between the centres of neighbouring cells, px of the network's input; the
            first centre is at half of it.
        sizes: width and height of each anchor of a cell, px.
    """

    shape: tuple[int, int]
    step: float
    sizes: tuple[tuple[float, float], ...]

    @property
    def count(self) -> int:
        """Anchors of the level."""
        return self.shape[0] * self.shape[1] * len(self.sizes)


def place_anchors(levels: Sequence[LevelAnchors]) -> np.ndarray:
    """Return float32 (n, 4) anchors as ``make_anchors`` does: level, row, column, size."""
    return np.concatenate([_cells(each.shape, each.step, np.asarray(each.sizes, np.float64))
                           for each in levels]).astype(np.float32)


def _cells(shape: tuple[int, int], step: float, sizes: np.ndarray) -> np.ndarray:
    """Return float64 (rows * columns * S, 4) anchors with the (S, 2) sizes in every cell."""
    rows, columns = shape
    y, x = np.meshgrid((np.arange(rows) + 0.5) * step, (np.arange(columns) + 0.5) * step,
                       indexing='ij')
    centres = np.stack([x, y], -1).reshape(-1, 1, 2)  # (rows * columns, 1, 2)
    both = (len(centres), len(sizes), 2)
    return np.concatenate([np.broadcast_to(centres, both), np.broadcast_to(sizes, both)],
                          -1).reshape(-1, 4)


@dataclass(frozen=True)
class BoxCoder:
    """SSD's box coding: centre offsets in anchor sizes, sizes as logarithms, both scaled.

    Attributes:
        centre_variance, size_variance: the scale factors of Liu et al. 2016 (0.1 and 0.2);
            a delta of 1 moves the centre by ``centre_variance`` anchor sides.
    """

    centre_variance: float = 0.1
    size_variance: float = 0.2

    def decode(self, deltas: np.ndarray, anchors: np.ndarray) -> np.ndarray:
        """Return (n, 4) edges for (n, 4) deltas on (n, 4) cxcywh anchors; the anchors' unit."""
        centre = anchors[:, :2] + deltas[:, :2] * self.centre_variance * anchors[:, 2:]
        scale = np.exp(np.minimum(deltas[:, 2:] * self.size_variance, MAX_LOG_SCALE))
        return cxcywh_to_xyxy(np.concatenate([centre, anchors[:, 2:] * scale], -1))
