"""Average precision as Pascal VOC defines it: 2007's 11 points and 2010's all points."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ssd_perception.core.boxes import iou
from ssd_perception.core.detections import Detections


@dataclass(frozen=True)
class GroundTruth:
    """The objects of one image.

    Attributes:
        xyxy: (n, 4) edges in the image's pixels.
        labels: int (n,).
        difficult: bool (n,), not counted as objects, nor as false positives when found;
            None means none is.
    """

    xyxy: np.ndarray
    labels: np.ndarray
    difficult: np.ndarray | None = None

    def of_class(self, label: int) -> tuple[np.ndarray, np.ndarray]:
        """Return the (m, 4) boxes of one class and their bool (m,) difficult flags."""
        mine = np.asarray(self.labels) == label
        flags = np.zeros(len(mine), bool) if self.difficult is None else self.difficult
        return np.asarray(self.xyxy, np.float64).reshape(-1, 4)[mine], flags[mine]


@dataclass(frozen=True)
class Curve:
    """Precision and recall of one class, detections in descending score.

    Attributes:
        scores, precision, recall: (n,) after each counted detection.
        objects: number of objects that are not difficult.
    """

    scores: np.ndarray
    precision: np.ndarray
    recall: np.ndarray
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


def precision_recall(detections: Sequence[Detections], truths: Sequence[GroundTruth], label: int,
                     iou_threshold: float = 0.5) -> Curve:
    """Match one class's detections to objects, best score first, as VOC's devkit does.

    A detection belongs to the object it overlaps most. It is true when that IoU is at least
    ``iou_threshold`` and the object was not found before; a difficult object makes it count
    neither way. ``detections`` and ``truths`` are parallel, one entry per image.
    """
    if len(detections) != len(truths):
        raise ValueError(f'{len(detections)} images of detections, {len(truths)} of truth.')
    scores, outcomes, objects = [], [], 0  # outcome: 1 true, 0 false, -1 ignored
    for found, truth in zip(detections, truths):
        boxes, difficult = truth.of_class(label)
        objects += int((~difficult).sum())
        mine = found[found.labels == label]
        overlaps = iou(mine.xyxy.astype(np.float64), boxes)  # (n, m)
        taken = np.zeros(len(boxes), bool)
        for score, overlap in zip(mine.scores, overlaps):
            best = int(overlap.argmax()) if len(boxes) else -1
            if best < 0 or overlap[best] < iou_threshold:
                outcome = 0
            elif difficult[best]:
                outcome = -1
            else:
                outcome = 0 if taken[best] else 1
                taken[best] = True
            scores.append(float(score))
            outcomes.append(outcome)
    order = np.argsort(-np.array(scores), kind='stable')
    counted = [i for i in order if outcomes[i] >= 0]
    true = np.cumsum([outcomes[i] for i in counted])
    return Curve(scores=np.array([scores[i] for i in counted]),
                 precision=true / np.arange(1, len(counted) + 1),
                 recall=true / max(objects, 1), objects=objects)


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
