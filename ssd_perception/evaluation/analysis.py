"""All figures about detections in labelled images, as typed results."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ssd_perception.core.boxes import area
from ssd_perception.core.detections import Detections, GroundTruth
from ssd_perception.core.format import to_json
from ssd_perception.evaluation.accuracy import Accuracy, ClassAccuracy, accuracy
from ssd_perception.evaluation.calibration import Calibration, calibration
from ssd_perception.evaluation.coco import SIZES, size_of
from ssd_perception.evaluation.corruptions import CorruptedAccuracy
from ssd_perception.evaluation.failures import (
    KINDS,
    FalseBoxes,
    FalsePositive,
    Miss,
    confusion_matrix,
    false_positives,
    misses,
)
from ssd_perception.evaluation.latency import Latency
from ssd_perception.evaluation.thresholds import (
    OperatingPoint,
    at_threshold,
    best_f1,
    over_thresholds,
)
from ssd_perception.evaluation.voc import Curve, curve, match_class

IOU = 0.5
STRICT_IOU = 0.75
MAX_CURVE_POINTS = 300


@dataclass(frozen=True)
class ClassAnalysis:
    """The figures of one class.

    Attributes:
        accuracy: at all thresholds together.
        at_threshold: at the analysis' threshold.
        best_f1: at the class's own best threshold; None without objects.
        curve, strict_curve: precision and recall at ``IOU`` and ``STRICT_IOU``, at most
            ``MAX_CURVE_POINTS`` of their points.
    """

    accuracy: ClassAccuracy
    at_threshold: OperatingPoint
    best_f1: OperatingPoint | None
    curve: Curve
    strict_curve: Curve


@dataclass(frozen=True)
class SizeFigures:
    """Objects of one of COCO's sizes; their recall and COCO AP, NaN without any."""

    objects: int
    recall: float
    coco_ap: float


@dataclass(frozen=True)
class Analysis:
    """Detections compared with ground truth; single ones at a score threshold and at ``IOU``.

    Attributes:
        accuracy: at all thresholds together.
        operating_point: precision, recall and F1 at the score threshold.
        best_f1: the same at the threshold with the best F1; None without objects.
        over_thresholds: the same along ``thresholds.GRID``.
        classes: class name -> its figures, in the order of the labels.
        sizes: name of ``coco.SIZES`` -> its figures at the score threshold.
        false_positives: highest score first.
        misses: largest first.
        confusion: int64 (C + 1, C + 1), see ``failures.confusion_matrix``.
        calibration: of all classes together.
    """

    accuracy: Accuracy
    operating_point: OperatingPoint
    best_f1: OperatingPoint | None
    over_thresholds: list[OperatingPoint]
    classes: Mapping[str, ClassAnalysis]
    sizes: Mapping[str, SizeFigures]
    false_positives: list[FalsePositive]
    misses: list[Miss]
    confusion: np.ndarray
    calibration: Calibration

    @property
    def threshold(self) -> float:
        """The score threshold from which on single detections count."""
        return self.operating_point.threshold

    @property
    def false_positive_kinds(self) -> dict[str, int]:
        """How many false positives there are of each of ``failures.KINDS``."""
        counts = Counter(false.kind for false in self.false_positives)
        return {kind: counts[kind] for kind in KINDS}

    def to_json(self) -> dict[str, Any]:
        """Return the figures as docs/evaluation.md lists them, ready for ``json.dumps``."""
        at = {'score_threshold': self.threshold, 'iou_threshold': IOU}
        over = self.over_thresholds
        return {
            **to_json(self.accuracy),
            'per_class': {name: {**to_json(row.accuracy),
                                 'at_threshold': point_to_json(row.at_threshold),
                                 'best_f1': to_json(row.best_f1)}
                          for name, row in self.classes.items()},
            'operating_point': {**at, **point_to_json(self.operating_point)},
            'best_f1': to_json(self.best_f1),
            'over_thresholds': {key: to_json([getattr(point, key) for point in over])
                                for key in ('threshold', 'precision', 'recall', 'f1')},
            'sizes': to_json(self.sizes),
            'false_positives': self.false_positive_kinds,
            'misses': len(self.misses),
            'confusion': {**at, 'rows': 'object', 'columns': 'detected as',
                          'names': [*self.classes, 'background'],
                          'counts': to_json(self.confusion)},
            'calibration': to_json(self.calibration),
            'pr_curves': {name: {'iou_0.50': _curve_to_json(row.curve),
                                 'iou_0.75': _curve_to_json(row.strict_curve)}
                          for name, row in self.classes.items()}}


@dataclass(frozen=True)
class Evaluation:
    """What ``ssd_perception evaluate`` measured.

    Attributes:
        analysis: of the images that could be decoded.
        latency: of the detector during the measurement.
        skipped: file names of the images that could not be decoded.
        measured: the weights, the data and the conditions: name -> value, texts for people.
        negatives: only where the images hold no object.
        corruptions: only where they were asked for.
    """

    analysis: Analysis
    latency: Latency
    skipped: list[str]
    measured: Mapping[str, str]
    negatives: FalseBoxes | None = None
    corruptions: list[CorruptedAccuracy] | None = None

    def to_json(self) -> dict[str, Any]:
        """Return the figures as docs/evaluation.md lists them, ready for ``json.dumps``."""
        optional = {'negatives': self.negatives, 'corruptions': self.corruptions}
        return {**self.analysis.to_json(), 'latency': to_json(self.latency),
                'skipped': self.skipped, 'measured': dict(self.measured),
                **{key: to_json(value) for key, value in optional.items() if value is not None}}


def analyse(detections: Sequence[Detections], truths: Sequence[GroundTruth],
            class_names: tuple[str, ...], threshold: float) -> Analysis:
    """Compare detections, as ``accuracy.measure`` returns them, with ground truth.

    Args:
        threshold: the score threshold of the operating point.
    """
    matches = [match_class(detections, truths, label, IOU) for label in range(len(class_names))]
    curves = [curve(m) for m in matches]
    strict = [curve(match_class(detections, truths, label, STRICT_IOU))
              for label in range(len(class_names))]
    missed = misses(matches, truths, threshold)
    figures = accuracy(detections, truths, class_names)
    return Analysis(
        accuracy=figures, operating_point=at_threshold(curves, threshold),
        best_f1=best_f1(curves), over_thresholds=over_thresholds(curves),
        classes={name: ClassAnalysis(figures.per_class[name], at_threshold([c], threshold),
                                     best_f1([c]), _thinned(c), _thinned(s))
                 for name, c, s in zip(class_names, curves, strict)},
        sizes=_sizes(figures, truths, missed),
        false_positives=false_positives(matches, detections, truths, threshold, IOU),
        misses=missed,
        confusion=confusion_matrix(detections, truths, len(class_names), threshold, IOU),
        calibration=calibration(matches, threshold))


def point_to_json(point: OperatingPoint) -> dict[str, float | None]:
    """Return precision, recall and F1, where the threshold stands beside them already."""
    return {key: value for key, value in to_json(point).items() if key != 'threshold'}


def _sizes(figures: Accuracy, truths: Sequence[GroundTruth],
           missed: Sequence[Miss]) -> dict[str, SizeFigures]:
    counts = _count(np.concatenate([np.zeros(0), *(area(t.boxes())[~t.flags()] for t in truths)]))
    missing = _count(np.array([miss.area for miss in missed]))
    aps = figures.coco_ap_small, figures.coco_ap_medium, figures.coco_ap_large
    return {name: SizeFigures(n, round(1 - m / n, 5) if n else float('nan'), ap)
            for name, n, m, ap in zip(SIZES, counts, missing, aps)}


def _count(areas: np.ndarray) -> list[int]:
    return np.bincount(size_of(areas), minlength=len(SIZES)).tolist()


def _thinned(c: Curve) -> Curve:
    """Return a curve's ends and its corners, of more than ``MAX_CURVE_POINTS`` an even choice.

    Its corners are the true detections, where recall rises, and the last false one before each:
    most detections are false ones of low score after them, in one straight line.
    """
    true = np.nonzero(c.true)[0]
    ends = [0, len(c.true) - 1] if len(c.true) else []
    at = np.unique([*ends, *true, *(true[true > 0] - 1)]).astype(int)
    if len(at) > MAX_CURVE_POINTS:
        at = at[np.linspace(0, len(at) - 1, MAX_CURVE_POINTS).round().astype(int)]
    return Curve(c.scores[at].round(5), c.precision[at].round(5), c.recall[at].round(5),
                 c.true[at], c.objects)


def _curve_to_json(c: Curve) -> dict[str, list[float]]:
    return {'score': to_json(c.scores), 'precision': to_json(c.precision),
            'recall': to_json(c.recall)}
