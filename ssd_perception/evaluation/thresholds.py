"""Precision, recall and F1 over the score threshold, and the default one chosen by them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ssd_perception.core.detections import Detections, GroundTruth
from ssd_perception.evaluation.voc import Curve, precision_recall

GRID = np.arange(5, 96) / 100


def at_threshold(curves: Sequence[Curve], threshold: float) -> dict[str, float]:
    """Return ``precision``, ``recall`` and ``f1`` of all classes together at one threshold.

    Every detection and every object weighs the same, whatever its class. Where nothing is
    detected precision is 0, where nothing is to be found recall is 0.
    """
    kept = [int((curve.scores >= threshold).sum()) for curve in curves]
    hits = sum(curve.true[:n].sum() for curve, n in zip(curves, kept))
    precision = float(hits / max(1, sum(kept)))
    recall = float(hits / max(1, sum(curve.objects for curve in curves)))
    return {'precision': round(precision, 4), 'recall': round(recall, 4),
            'f1': round(2 * precision * recall / max(1e-12, precision + recall), 4)}


def over_thresholds(curves: Sequence[Curve]) -> dict[str, list[float]]:
    """Return ``threshold``, ``precision``, ``recall`` and ``f1`` along ``GRID``."""
    rows = [at_threshold(curves, threshold) for threshold in GRID]
    return {'threshold': GRID.tolist(), **{key: [row[key] for row in rows] for key in rows[0]}}


def best_f1(detections: Sequence[Detections], truths: Sequence[GroundTruth],
            class_count: int) -> tuple[float, dict[str, float]]:
    """Return the threshold with the best F1 over all classes, and the figures there.

    F1 counts a match at IoU 0.5; see ``best_of``.
    """
    return best_of([precision_recall(detections, truths, label) for label in range(class_count)])


def best_of(curves: Sequence[Curve]) -> tuple[float, dict[str, float]]:
    """Return the threshold with the best F1 of all ``curves`` together, and the figures there.

    Of thresholds within 0.002 of the best F1 the middle one is taken: at the edge of the
    plateau the next picture would tip it.

    Returns:
        The threshold, rounded to 0.01, and ``precision``, ``recall``, ``f1`` there.
    """
    f1 = np.array(over_thresholds(curves)['f1'])
    plateau = GRID[f1 >= f1.max() - 0.002]
    threshold = round(float(plateau[len(plateau) // 2]), 2)
    return threshold, at_threshold(curves, threshold)
