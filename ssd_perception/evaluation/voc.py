"""Pascal VOC's matching of detections to objects, and its average precision of 2007 and 2010."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ssd_perception.core.boxes import iou
from ssd_perception.core.detections import Detections, GroundTruth

TRUE, FALSE, IGNORED = 1, 0, -1


@dataclass(frozen=True)
class Matches:
    """The outcome of each detection of one class, best score first; equal scores in image order.

    A detection's outcome does not depend on lower scores: cutting all arrays at a score gives
    the matches at that threshold.

    Attributes:
        label: the class.
        image, index: int (n,), which detection of which image this is.
        scores: float (n,), descending.
        outcome: int (n,), ``TRUE``, ``FALSE`` or ``IGNORED``.
        target: int (n,), the object of ``image`` (index into its GroundTruth, all classes)
            that overlaps most; -1 where the class has no object there.
        overlap: float (n,), IoU with that object; 0 without one.
        objects: how many objects there are to find; difficult ones are not.
    """

    label: int
    image: np.ndarray
    index: np.ndarray
    scores: np.ndarray
    outcome: np.ndarray
    target: np.ndarray
    overlap: np.ndarray
    objects: int

    def __len__(self) -> int:
        return len(self.scores)

    @property
    def counted(self) -> np.ndarray:
        """bool (n,): true or false, not ignored."""
        return self.outcome != IGNORED


def match_class(detections: Sequence[Detections], truths: Sequence[GroundTruth], label: int,
                iou_threshold: float = 0.5) -> Matches:
    """Match one class's detections to its objects, best score first.

    A detection belongs to the object it overlaps most. It is true when that IoU is at least
    ``iou_threshold`` and the object was not found before; a difficult object makes it count
    neither way. ``detections`` and ``truths`` are parallel, one entry per image.

    Raises:
        ValueError: when they differ in length.
    """
    if len(detections) != len(truths):
        raise ValueError('Detections and ground truth need one entry for each image, got '
                         f'{len(detections)} and {len(truths)}.')
    rows, objects = [], 0
    for image, (found, truth) in enumerate(zip(detections, truths)):
        places = np.nonzero(np.asarray(truth.labels) == label)[0]
        boxes, difficult = truth.of_class(label)
        objects += int((~difficult).sum())
        mine = np.nonzero(found.labels == label)[0]
        if not len(mine):
            continue
        overlaps = iou(found.xyxy[mine].astype(np.float64), boxes)  # (n, m)
        taken = np.zeros(len(boxes), bool)
        for index, overlap in zip(mine, overlaps):
            best = int(overlap.argmax()) if len(boxes) else -1
            if best < 0 or overlap[best] < iou_threshold:
                outcome = FALSE
            elif difficult[best]:
                outcome = IGNORED
            else:
                outcome = FALSE if taken[best] else TRUE
                taken[best] = True
            rows.append((image, index, float(found.scores[index]), outcome,
                         places[best] if best >= 0 else -1, overlap[best] if best >= 0 else 0.0))
    # Within an image the scores descend already, so a stable sort keeps each image's order, and
    # matching image by image is the same as matching in the order over all images.
    rows.sort(key=lambda row: -row[2])
    columns: list[tuple] = list(zip(*rows)) if rows else [()] * 6
    image_of, index_of, scores, outcomes, targets, ious = columns
    return Matches(label, np.array(image_of, int), np.array(index_of, int),
                   np.array(scores, float), np.array(outcomes, int), np.array(targets, int),
                   np.array(ious, float), objects)


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


def precision_recall(detections: Sequence[Detections], truths: Sequence[GroundTruth],
                     label: int) -> Curve:
    """Return the ``curve`` of one class's ``match_class``, at IoU 0.5."""
    return curve(match_class(detections, truths, label))


def average_precision(detections: Sequence[Detections], truths: Sequence[GroundTruth],
                      class_names: Sequence[str], method: str = 'voc10') -> dict[str, float]:
    """Return AP per class name; NaN for a class without objects."""
    return {name: precision_recall(detections, truths, label).ap(method)
            for label, name in enumerate(class_names)}


def mean_ap(per_class: dict[str, float]) -> float:
    """Return the mean over the classes that have objects; NaN when none has."""
    values = [value for value in per_class.values() if not np.isnan(value)]
    return float(np.mean(values)) if values else float('nan')
