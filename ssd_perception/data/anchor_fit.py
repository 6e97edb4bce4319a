"""Anchor coverage: how well the anchors can match a data set's boxes, and better anchors."""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np
from scipy.cluster.vq import kmeans2

from ssd_perception.core.anchors import AnchorSpec, level_shape
from ssd_perception.core.boxes import clip, xyxy_to_cxcywh
from ssd_perception.core.metadata import Architecture, Preprocessing
from ssd_perception.core.placement import Placement

MATCH_IOU = 0.5  # what an anchor needs to be trained on an object by its own merit
ENOUGH = 0.95  # share of objects; below it other anchors are suggested
_MAX_BOXES = 6_000  # that a suggestion is fitted to, in 5 s; more hardly change it
_BASE_SCALES = np.geomspace(0.5, 8, 33)
_MAX_RATIOS = 5
_NOT_WORTH = 0.01  # share of objects


@dataclass(frozen=True)
class Coverage:
    """How well anchors match boxes.

    Attributes:
        best_iou: float64 (n,), each box's IoU with its best anchor.
        covered: share of boxes whose best anchor reaches ``MATCH_IOU``; None without boxes.
        mean_iou: mean of ``best_iou``; None without boxes.
    """

    best_iou: np.ndarray

    @property
    def covered(self) -> float | None:
        """Share with IoU of at least ``MATCH_IOU``."""
        return float((self.best_iou >= MATCH_IOU).mean()) if len(self.best_iou) else None

    @property
    def mean_iou(self) -> float | None:
        """Mean of the best IoUs."""
        return float(self.best_iou.mean()) if len(self.best_iou) else None


def placed_boxes(images: Iterable[tuple[np.ndarray, tuple[int, int]]],
                 architecture: Architecture, preprocessing: Preprocessing) -> np.ndarray:
    """Return float64 (n, 4) edges of all boxes in network-input px, as training places them.

    Args:
        images: (n_i, 4) edges and (height, width) of each image; what lies outside of it is
            cut off, and a box that is outside as a whole is left out.
    """
    placed = []
    for xyxy, (height, width) in images:
        inside = clip(np.asarray(xyxy, np.float64).reshape(-1, 4), width, height)
        inside = inside[(inside[:, 2:] > inside[:, :2]).all(1)]
        placement = Placement.of((height, width), architecture.input_hw, preprocessing.resize)
        placed.append(placement.to_input(inside))
    return np.concatenate(placed) if placed else np.zeros((0, 4))


def coverage(boxes: np.ndarray, architecture: Architecture,
             spec: AnchorSpec | None = None) -> Coverage:
    """Return each box's best IoU with the anchors.

    The best anchor of one size is at the nearest position, since overlap only shrinks with
    distance along either axis: a few candidates per box give what all anchors would.

    Args:
        boxes: (n, 4) edges in network-input px, each with an area.
        spec: other anchors than the architecture's own.
    """
    spec = spec or architecture.anchors
    boxes = np.asarray(boxes, np.float64).reshape(-1, 4)
    centre, size = np.split(xyxy_to_cxcywh(boxes), 2, axis=1)  # (n, 2) each
    ratios = np.sqrt(np.asarray(spec.aspect_ratios, np.float64))
    best = np.zeros(len(boxes))
    for stride in architecture.strides:
        rows, columns = level_shape(architecture.input_hw, stride)
        cell = np.clip(np.floor(centre / stride), 0, np.array([columns, rows]) - 1)
        offset = np.abs(centre - (cell + 0.5) * stride)  # (n, 2)
        for octave in spec.octave_scales:
            side = spec.base_scale * stride * octave
            for ratio in ratios:
                anchor = np.array([side / ratio, side * ratio])
                overlap = np.clip((size + anchor) / 2 - offset, 0, np.minimum(size, anchor))
                shared = overlap.prod(1)
                best = np.maximum(best, shared / (size.prod(1) + anchor.prod() - shared))
    return Coverage(best)


@dataclass(frozen=True)
class Suggestion:
    """Anchors that match better, and what they reach."""

    spec: AnchorSpec
    covered: float
    mean_iou: float


def suggest(boxes: np.ndarray, architecture: Architecture) -> Suggestion | None:
    """Return no more anchors than needed to cover enough boxes, or nearly all that can be.

    The spec's terms part into shape and size. Aspect ratios are the centres of k-means over
    log(height / width), in which distance is a factor, so that k-means' means are geometric;
    ``base_scale`` is the one of a grid that covers most; octave scales stay even parts of the
    octave between two levels.

    Args:
        boxes: (n, 4) edges in network-input px, each with an area.

    Returns:
        None when there is no box, or nothing covers more than the architecture's own anchors.
    """
    boxes = np.asarray(boxes, np.float64).reshape(-1, 4)
    own = coverage(boxes, architecture)
    if own.covered is None:
        return None
    rng = np.random.default_rng(0)
    fitted = boxes if len(boxes) <= _MAX_BOXES else boxes[
        rng.choice(len(boxes), _MAX_BOXES, replace=False)]
    found = []
    for ratios in _ratio_choices(fitted, len(architecture.anchors.aspect_ratios), rng):
        for octaves in sorted({len(architecture.anchors.octave_scales), 3, 4}):
            base = AnchorSpec(1.0, tuple(round(2 ** (i / octaves), 4) for i in range(octaves)),
                              ratios)
            found += [replace(base, base_scale=round(float(scale), 2))
                      for scale in _BASE_SCALES]
    rated = []
    for spec in found:
        rating = coverage(fitted, architecture, spec)
        rated.append((rating.covered or 0.0, rating.mean_iou or 0.0, spec))
    # Anchors cost time in every forward pass: the last per cent is not worth twice as many.
    target = min(ENOUGH, max(covered for covered, _, _ in rated) - _NOT_WORTH)
    *_, spec = min((row for row in rated if row[0] >= target),
                   key=lambda row: (max(row[2].per_cell, architecture.anchors.per_cell),
                                    -row[0], -row[1]))
    reached = coverage(boxes, architecture, spec)
    covered, mean_iou = reached.covered or 0.0, reached.mean_iou or 0.0
    return Suggestion(spec, covered, mean_iou) if covered > own.covered else None


def _ratio_choices(boxes: np.ndarray, own: int,
                   rng: np.random.Generator) -> list[tuple[float, ...]]:
    """Return sorted aspect ratios of k-means for every k from 1 on."""
    sides = boxes[:, 2:] - boxes[:, :2]
    logs = np.log(sides[:, 1] / sides[:, 0])
    choices = []
    for k in range(1, max(own, _MAX_RATIOS) + 1):
        if len(np.unique(logs)) < k:
            break
        with warnings.catch_warnings():  # of a cluster that stays empty: its centre does no harm
            warnings.simplefilter('ignore')
            centres, _ = kmeans2(logs, k, minit='++', rng=rng)
        # AnchorSpec's bounds; two centres may round to one.
        ratios = np.unique(np.round(np.clip(np.exp(centres), 0.06, 16), 2))
        choices.append(tuple(float(ratio) for ratio in ratios))
    return choices
