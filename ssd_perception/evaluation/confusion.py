"""The confusion matrix of a detector: which class is taken for which, missed, or made up."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ssd_perception.core.boxes import iou
from ssd_perception.core.detections import Detections, GroundTruth


def confusion_matrix(detections: Sequence[Detections], truths: Sequence[GroundTruth],
                     class_count: int, score_threshold: float,
                     iou_threshold: float = 0.5) -> np.ndarray:
    """Count detections by the class of the object they lie on, whatever class they say.

    The convention, since there are several: detections of at least ``score_threshold``, highest
    score first over all classes of an image, each take the free object that they overlap most,
    if by at least ``iou_threshold``; of objects overlapped alike one of the detection's own
    class is preferred. A detection without an object counts as made up, an object that none
    took as missed. A second box on an object already taken is made up too, also when its class
    is the right one. Difficult objects count nowhere, nor do detections that have only them.

    Returns:
        int64 (C + 1, C + 1): rows are the objects' classes, columns the detections'; the last
        row holds what was made up ("background" detected as a class), the last column what was
        missed. Each row but the last sums to that class's objects.
    """
    matrix = np.zeros((class_count + 1, class_count + 1), np.int64)
    for found, truth in zip(detections, truths, strict=True):
        labels, difficult = np.asarray(truth.labels, int), truth.flags()
        found = found[found.scores >= score_threshold]
        overlaps = iou(found.xyxy.astype(np.float64), truth.boxes())  # (n, m)
        free = ~difficult
        for label, overlap in zip(found.labels, overlaps):
            reached = overlap >= iou_threshold
            candidates = np.nonzero(reached & free)[0]
            if len(candidates):
                order = np.lexsort((labels[candidates] != label, -overlap[candidates]))
                taken = candidates[order[0]]
                free[taken] = False
                matrix[labels[taken], label] += 1
            elif not (reached & difficult).any():
                matrix[class_count, label] += 1
        np.add.at(matrix, (labels[free], class_count), 1)
    return matrix


def most_confused(matrix: np.ndarray, limit: int = 10) -> list[tuple[int, int, int]]:
    """Return (object's class, detected class, count) of wrong classes, most frequent first."""
    wrong = matrix[:-1, :-1] * ~np.eye(len(matrix) - 1, dtype=bool)
    order = np.argsort(-wrong, axis=None, kind='stable')[:limit]
    return [(int(t), int(d), int(wrong[t, d])) for t, d in
            zip(*np.unravel_index(order, wrong.shape)) if wrong[t, d]]
