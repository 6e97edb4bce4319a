"""Average precision as Pascal VOC defines it: 2007's 11 points and 2010's all points."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ssd_perception.core.detections import Detections, GroundTruth
from ssd_perception.evaluation.matching import TRUE, Matches, match_class


@dataclass(frozen=True)
class Curve:
    """Precision and recall of one class, detections in descending score.

    Attributes:
        scores, precision, recall: float (n,) after each counted detection.
        true: bool (n,), which detection found an object.
        objects: number of objects that are not difficult.
    """

    scores: np.ndarray
    precision: np.ndarray
    recall: np.ndarray
    true: np.ndarray
    objects: int

    def ap(self, method: str = 'voc10') -> float:
        """Return the area under the curve, in [0, 1]; NaN when there is no object to find.

        Args:
            method: ``voc07`` averages the best precision at recalls 0, 0.1 ... 1;
                ``voc10`` integrates the monotone curve exactly.
        """
        if method not in ('voc07', 'voc10'):
            raise ValueError(f'method must be voc07 or voc10, got "{method}".')
        if self.objects == 0:
            return float('nan')
        if method == 'voc07':
            return float(np.mean([self.precision[self.recall >= point].max(initial=0.0)
                                  for point in np.arange(11) / 10]))
        recall = np.concatenate([[0.0], self.recall, [1.0]])
        precision = np.concatenate([[0.0], self.precision, [0.0]])
        envelope = np.maximum.accumulate(precision[::-1])[::-1]
        return float(np.sum(np.diff(recall) * envelope[1:]))


def curve(matches: Matches) -> Curve:
    """Return precision and recall along one class's matches."""
    counted = matches.counted
    true = matches.outcome[counted] == TRUE
    hits = np.cumsum(true)
    return Curve(scores=matches.scores[counted], precision=hits / np.arange(1, len(hits) + 1),
                 recall=hits / max(matches.objects, 1), true=true, objects=matches.objects)


def precision_recall(detections: Sequence[Detections], truths: Sequence[GroundTruth], label: int,
                     iou_threshold: float = 0.5) -> Curve:
    """Return the ``curve`` of one class's ``match_class``."""
    return curve(match_class(detections, truths, label, iou_threshold))


def average_precision(detections: Sequence[Detections], truths: Sequence[GroundTruth],
                      class_names: Sequence[str], method: str = 'voc10',
                      iou_threshold: float = 0.5) -> dict[str, float]:
    """Return AP per class name; NaN for a class without objects."""
    return {name: precision_recall(detections, truths, label, iou_threshold).ap(method)
            for label, name in enumerate(class_names)}


def mean_ap(per_class: dict[str, float]) -> float:
    """Return the mean over the classes that have objects; NaN when none has."""
    values = [value for value in per_class.values() if not np.isnan(value)]
    return float(np.mean(values)) if values else float('nan')
