"""The default score threshold, chosen by measurement."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ssd_perception.core.detections import Detections
from ssd_perception.evaluation.voc import GroundTruth, precision_recall


def best_f1(detections: Sequence[Detections], truths: Sequence[GroundTruth],
            class_count: int) -> tuple[float, dict[str, float]]:
    """Return the threshold with the best F1 over all classes, and the figures there.

    Of thresholds within 0.002 of the best F1 the middle one is taken: at the edge of the
    plateau the next picture would tip it. F1 counts a match at IoU 0.5.

    Returns:
        The threshold, rounded to 0.01, and ``precision``, ``recall``, ``f1`` there.
    """
    curves = [precision_recall(detections, truths, label) for label in range(class_count)]
    objects = sum(curve.objects for curve in curves)
    scores = np.concatenate([c.scores for c in curves])
    # precision * rank is the count of true detections so far; its steps are the outcomes.
    true = np.concatenate([np.diff(c.precision * np.arange(1, len(c.scores) + 1), prepend=0)
                           for c in curves])
    grid = np.arange(5, 96) / 100

    def at(threshold: float) -> dict[str, float]:
        kept = scores >= threshold
        hits = float(true[kept].sum())
        precision, recall = hits / max(1, kept.sum()), hits / max(1, objects)
        return {'precision': round(precision, 4), 'recall': round(recall, 4),
                'f1': round(2 * precision * recall / max(1e-12, precision + recall), 4)}

    f1 = np.array([at(threshold)['f1'] for threshold in grid])
    plateau = grid[f1 >= f1.max() - 0.002]
    threshold = round(float(plateau[len(plateau) // 2]), 2)
    return threshold, at(threshold)
