"""From raw network output to Detections: threshold, decode, class-wise NMS, source pixels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ssd_perception.core.anchors import BoxCoder
from ssd_perception.core.boxes import area, clip
from ssd_perception.core.detections import Detections
from ssd_perception.core.errors import SettingError
from ssd_perception.core.placement import Placement
from ssd_perception.core.text import listed

# Candidates per image that may reach NMS. At a threshold of 0.01 thousands of anchors can
# pass; RetinaNet keeps 1000 per level for the same reason.
MAX_CANDIDATES = 1000


@dataclass(frozen=True)
class PostprocessSettings:
    """What a user may change while the detector runs.

    Raises:
        ValueError: for a threshold outside of 0 to 1, or ``max_detections`` below 1.

    Attributes:
        score_threshold: lowest score reported, in [0, 1].
        class_thresholds: (class name, its own threshold) pairs; they replace
            ``score_threshold``.
        nms_threshold: boxes of one class overlapping a better one by more than this IoU go.
        max_detections: most boxes reported per image, over all classes.
        classes: names to report; empty means all.
    """

    score_threshold: float = 0.5
    class_thresholds: tuple[tuple[str, float], ...] = ()
    nms_threshold: float = 0.5
    max_detections: int = 100
    classes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        thresholds = [('score_threshold', self.score_threshold),
                      ('nms_threshold', self.nms_threshold),
                      *((f'class_thresholds[{name}]', t) for name, t in self.class_thresholds)]
        for name, value in thresholds:
            if not 0.0 <= value <= 1.0:
                raise SettingError(f'{name} must be within 0 and 1, got {value}.')
        if self.max_detections < 1:
            raise SettingError(f'max_detections must be at least 1, got {self.max_detections}.')

    def per_class(self, class_names: tuple[str, ...]) -> np.ndarray:
        """Return float64 (C,) thresholds; a class not wanted gets 2, which no score reaches.

        Raises:
            ValueError: naming a class that the weights do not have.
        """
        for name in (*self.classes, *(name for name, _ in self.class_thresholds)):
            if name not in class_names:
                raise SettingError(f'Class "{name}" is not one of the weights\' classes: '
                                   f'{listed(class_names, 20)}.')
        own = dict(self.class_thresholds)
        return np.array([
            2.0 if self.classes and name not in self.classes
            else own.get(name, self.score_threshold) for name in class_names])


@dataclass(frozen=True)
class Scoring:
    """How scores follow from the network's output; stored in the weights' metadata.

    Attributes:
        activation: ``sigmoid`` of each class by itself, or ``softmax`` over all columns.
        other_columns: columns behind those of the classes that stand for no class: the background,
            which softmax needs. Their scores are not reported.
        candidates_per_class: most candidates of one class that may reach NMS, the best ones; 0
            limits all classes together to ``MAX_CANDIDATES``.
    """

    activation: str = 'sigmoid'
    other_columns: int = 0
    candidates_per_class: int = 0


def logit(probability: np.ndarray) -> np.ndarray:
    """Return log(p / (1 - p)) in float64; 0 gives -inf and 1 or more gives +inf."""
    p = np.asarray(probability, dtype=np.float64)
    with np.errstate(divide='ignore'):
        return np.where(p >= 1, np.inf, np.log(np.maximum(p, 0)) - np.log1p(-np.minimum(p, 1)))


def nms(xyxy: np.ndarray, scores: np.ndarray, threshold: float) -> np.ndarray:
    """Return indices of the boxes kept by greedy NMS, best first.

    Args:
        xyxy: (n, 4) edges.
        scores: (n,); of equal scores the earlier box wins.
        threshold: a box goes when its IoU with a kept, better one is GREATER than this.
    """
    order = np.argsort(-scores, kind='stable')
    boxes, areas = xyxy[order], area(xyxy[order])
    alive = np.ones(len(order), dtype=bool)
    kept = []
    for i in range(len(order)):
        if not alive[i]:
            continue
        kept.append(order[i])
        rest = slice(i + 1, None)
        size = np.clip(np.minimum(boxes[i, 2:], boxes[rest, 2:])
                       - np.maximum(boxes[i, :2], boxes[rest, :2]), 0, None)
        intersection = size[:, 0] * size[:, 1]
        union = areas[i] + areas[rest] - intersection
        alive[rest] &= intersection <= threshold * union
    return np.array(kept, dtype=np.int64)


def _candidates(logits: np.ndarray, thresholds: np.ndarray,
                per_class: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return row, label and float64 logit of each candidate, in the order of ``logits``.

    A candidate reaches the threshold of its class. Comparing logits instead of scores needs the
    exponential for a few anchors only. If there are more than ``per_class`` of a class, or for 0
    more than ``MAX_CANDIDATES`` in all, the best stay; of equal ones, the first.

    Args:
        logits: float (A, C).
        thresholds: float64 (C,), logits too.
    """
    # First compare all logits with the lowest threshold: one number for the whole array takes a
    # tenth of the time of one threshold per class. It is rounded to the logits' type; a logit of
    # that type that reaches the exact threshold also reaches the rounded one.
    flat = logits.reshape(-1)
    least = thresholds.min().astype(logits.dtype)
    places = np.flatnonzero(flat >= least)  # NaN compares false and is dropped
    candidates = flat[places].astype(np.float64)
    rows, labels = np.divmod(places, logits.shape[1])
    reached = candidates >= thresholds[labels]
    rows, labels, candidates = rows[reached], labels[reached], candidates[reached]
    if per_class:
        best = _best_of_each(labels, candidates, per_class)
        rows, labels, candidates = rows[best], labels[best], candidates[best]
    elif len(rows) > MAX_CANDIDATES:
        last = np.partition(candidates, -MAX_CANDIDATES)[-MAX_CANDIDATES]
        better, equal = candidates > last, np.flatnonzero(candidates == last)
        better[equal[:MAX_CANDIDATES - np.count_nonzero(better)]] = True
        rows, labels, candidates = rows[better], labels[better], candidates[better]
    return rows, labels, candidates


def _best_of_each(labels: np.ndarray, values: np.ndarray, count: int) -> np.ndarray:
    """Return ascending indices of the ``count`` highest values of each label."""
    order = np.lexsort((-values, labels))  # stable: of equal values the first
    ordered = labels[order]
    rank = np.arange(len(order)) - np.searchsorted(ordered, ordered)
    return np.sort(order[rank < count])


def _log_softmax(logits: np.ndarray, classes: int,
                 least: float) -> tuple[np.ndarray, np.ndarray]:
    """Return the rows that may reach ``least``, and their float64 (n, C) log probabilities.

    A probability is at most exp(logit - highest logit of the row). So the exponentials of most
    rows, where the background is far above every class, are not needed.

    Args:
        logits: float (A, C + other columns).
        least: the lowest log probability that counts.
    """
    with np.errstate(invalid='ignore'):  # infinities and NaN are dropped
        highest = logits.max(1)
        margin = logits[:, :classes].max(1) - highest
    rows = np.flatnonzero(margin >= least - 1e-3)  # room for float32's rounding
    shifted = logits[rows].astype(np.float64) - highest[rows, None]
    return rows, shifted[:, :classes] - np.log(np.exp(shifted).sum(1, keepdims=True))


def _scored(logits: np.ndarray, thresholds: np.ndarray,
            scoring: Scoring) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return row, label and float64 score of each candidate; see ``_candidates``.

    Args:
        thresholds: float64 (C,), of scores.
    """
    if scoring.activation == 'softmax':
        with np.errstate(divide='ignore'):
            limits = np.log(thresholds)
        places, values = _log_softmax(logits, len(limits), limits.min())
        rows, labels, values = _candidates(values, limits, scoring.candidates_per_class)
        return places[rows], labels, np.exp(values)
    rows, labels, values = _candidates(logits[:, :len(thresholds)], logit(thresholds),
                                       scoring.candidates_per_class)
    return rows, labels, 1.0 / (1.0 + np.exp(-np.clip(values, -60, 60)))


def postprocess(logits: np.ndarray, deltas: np.ndarray, anchors: np.ndarray, coder: BoxCoder,
                settings: PostprocessSettings, class_names: tuple[str, ...],
                placement: Placement, scoring: Scoring = Scoring()) -> Detections:
    """Turn one image's raw network output into Detections.

    Args:
        logits: float (A, C + ``scoring.other_columns``), before sigmoid or softmax.
        deltas: float (A, 4), coded boxes.
        anchors: float32 (A, 4), cx, cy, w, h in network-input pixels.
        coder: of ``deltas``.
        settings: thresholds in force.
        class_names: C names in label order.
        placement: where the image lies in the network's input.
        scoring: of ``logits``.

    Returns:
        Detections in source pixels, clipped to the source image.

    Raises:
        ValueError: for a class in ``settings`` that is not in ``class_names``.
    """
    rows, labels, scores = _scored(logits, settings.per_class(class_names), scoring)
    if len(rows) == 0:
        return Detections.empty()
    xyxy = placement(coder.decode(deltas[rows].astype(np.float64), anchors[rows]))
    xyxy = clip(xyxy, placement.source_width, placement.source_height)
    finite = np.isfinite(xyxy).all(1) & (area(xyxy) > 0)
    xyxy, scores, labels = xyxy[finite], scores[finite], labels[finite]
    kept = [np.nonzero(labels == label)[0] for label in np.unique(labels)]
    kept = [group[nms(xyxy[group], scores[group], settings.nms_threshold)] for group in kept]
    index = np.concatenate(kept) if kept else np.zeros(0, np.int64)
    index = index[np.argsort(-scores[index], kind='stable')][:settings.max_detections]
    return Detections(xyxy[index], scores[index], labels[index])
