"""Everything that is to be known about detections of labelled pictures, ready for JSON."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ssd_perception.core.boxes import area
from ssd_perception.core.detections import Detections, GroundTruth
from ssd_perception.evaluation.calibration import calibration
from ssd_perception.evaluation.coco import SIZES, size_of
from ssd_perception.evaluation.confusion import confusion_matrix
from ssd_perception.evaluation.evaluate import report
from ssd_perception.evaluation.failures import (
    KINDS,
    FalsePositive,
    Miss,
    false_positives,
    misses,
)
from ssd_perception.evaluation.matching import match_class
from ssd_perception.evaluation.thresholds import at_threshold, best_of, over_thresholds
from ssd_perception.evaluation.voc import Curve, curve

IOU = 0.5
STRICT_IOU = 0.75
MAX_CURVE_POINTS = 300


@dataclass(frozen=True)
class Analysis:
    """Figures, and the single failures behind them.

    Attributes:
        figures: see ``examine``.
        false_positives: highest score first.
        misses: largest first.
    """

    figures: dict
    false_positives: list[FalsePositive]
    misses: list[Miss]


def analyse(detections: Sequence[Detections], truths: Sequence[GroundTruth],
            class_names: tuple[str, ...], threshold: float) -> Analysis:
    """Examine detections as they leave ``evaluate.measure``.

    Args:
        threshold: the score threshold of the operating point; single detections are counted
            right or wrong there, at IoU 0.5.

    Returns:
        figures: those of ``evaluate.report``; in ``per_class`` also ``at_threshold`` and
        ``best_f1`` (with its ``threshold``); further ``operating_point``, ``best_f1``,
        ``over_thresholds``, ``sizes``, ``false_positives`` (count per kind), ``misses``
        (count), ``confusion``, ``calibration``, ``pr_curves``.
    """
    matches = [match_class(detections, truths, label, IOU) for label in range(len(class_names))]
    strict = [match_class(detections, truths, label, STRICT_IOU)
              for label in range(len(class_names))]
    curves = [curve(m) for m in matches]
    wrong = false_positives(matches, detections, truths, threshold, IOU)
    missed = misses(matches, truths, threshold)
    figures = report(detections, truths, class_names)
    for name, c in zip(class_names, curves):
        figures['per_class'][name] |= {
            'at_threshold': _point([c], threshold), 'best_f1': _best([c])}
    figures['operating_point'] = {'score_threshold': threshold, 'iou_threshold': IOU,
                                  **_point(curves, threshold)}
    figures['best_f1'] = _best(curves)
    figures['over_thresholds'] = over_thresholds(curves)
    figures['sizes'] = _sizes(figures, truths, missed)
    figures['false_positives'] = {kind: sum(f.kind == kind for f in wrong) for kind in KINDS}
    figures['misses'] = len(missed)
    matrix = confusion_matrix(detections, truths, len(class_names), threshold, IOU)
    figures['confusion'] = {'score_threshold': threshold, 'iou_threshold': IOU,
                            'rows': 'object', 'columns': 'detected as',
                            'names': [*class_names, 'background'], 'counts': matrix.tolist()}
    figures['calibration'] = calibration(matches, threshold)
    figures['pr_curves'] = {
        name: {'iou_0.50': _thinned(c), 'iou_0.75': _thinned(curve(s))}
        for name, c, s in zip(class_names, curves, strict)}
    return Analysis(figures, wrong, missed)


def _point(curves: Sequence[Curve], threshold: float) -> dict:
    """Return ``at_threshold``, with None for each figure where there is no object to find."""
    point = at_threshold(curves, threshold)
    return point if any(c.objects for c in curves) else dict.fromkeys(point)


def _best(curves: Sequence[Curve]) -> dict | None:
    if not any(c.objects for c in curves):
        return None
    threshold, point = best_of(curves)
    return {'threshold': threshold, **point}


def _sizes(figures: dict, truths: Sequence[GroundTruth], missed: Sequence[Miss]) -> dict:
    """Return objects, recall at the operating point and COCO AP of each of COCO's sizes."""
    counts = _count(np.concatenate([np.zeros(0), *(area(t.boxes())[~t.flags()] for t in truths)]))
    missing = _count(np.array([miss.area for miss in missed]))
    return {name: {'objects': int(n), 'recall': round(1 - int(m) / int(n), 5) if n else None,
                   'coco_ap': figures[f'coco_ap_{name}']}
            for name, n, m in zip(SIZES, counts, missing)}


def _count(areas: np.ndarray) -> np.ndarray:
    return np.bincount(size_of(areas), minlength=len(SIZES))


def _thinned(c: Curve) -> dict[str, list[float]]:
    """Return a curve's ends and its corners, of more than ``MAX_CURVE_POINTS`` an even choice.

    Its corners are the true detections, where recall rises, and the last false one before each:
    most detections are false ones of low score after them, in one straight line.
    """
    true = np.nonzero(c.true)[0]
    ends = [0, len(c.true) - 1] if len(c.true) else []
    at = np.unique([*ends, *true, *(true[true > 0] - 1)]).astype(int)
    if len(at) > MAX_CURVE_POINTS:
        at = at[np.linspace(0, len(at) - 1, MAX_CURVE_POINTS).round().astype(int)]
    return {key: values[at].round(5).tolist() for key, values in
            (('score', c.scores), ('precision', c.precision), ('recall', c.recall))}
