"""What a detector gets wrong: false positives by kind, misses, confused classes, false boxes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ssd_perception.core.boxes import area, iou
from ssd_perception.core.detections import Detections, GroundTruth
from ssd_perception.evaluation.voc import FALSE, TRUE, Matches

# How a false positive is wrong, after TIDE (Bolya et al. 2020, which also has 0.1 as the
# overlap below which a box lies on background); the first kind that fits is taken.
KINDS = ('duplicate', 'wrong class', 'badly placed', 'background')
BACKGROUND_IOU = 0.1


@dataclass(frozen=True)
class FalsePositive:
    """A detection that is not true.

    Attributes:
        image, index: which detection of which image.
        label, score: of the detection.
        kind: one of ``KINDS``.
        overlap: the greatest IoU with an object of its class, in [0, 1].
    """

    image: int
    index: int
    label: int
    score: float
    kind: str
    overlap: float


@dataclass(frozen=True)
class Miss:
    """An object that no detection of its class found.

    Attributes:
        image, index: which object of which image.
        label: its class.
        area: square pixels.
        below_threshold: the best score of the detections of its class on it, which are all
            below the threshold; None without any.
    """

    image: int
    index: int
    label: int
    area: float
    below_threshold: float | None


def false_positives(matches: Sequence[Matches], detections: Sequence[Detections],
                    truths: Sequence[GroundTruth], threshold: float,
                    iou_threshold: float = 0.5) -> list[FalsePositive]:
    """Return the false positives of at least ``threshold``, highest score first.

    Args:
        matches: of every class, made from ``detections`` and ``truths`` at ``iou_threshold``.
    """
    found = []
    for m in matches:
        for row in np.nonzero((m.outcome == FALSE) & (m.scores >= threshold))[0]:
            image, index = int(m.image[row]), int(m.index[row])
            kind = _kind(float(m.overlap[row]), m.label, detections[image].xyxy[index],
                         truths[image], iou_threshold)
            found.append(FalsePositive(image, index, m.label, float(m.scores[row]), kind,
                                       round(float(m.overlap[row]), 4)))
    return sorted(found, key=lambda f: (-f.score, f.image, f.index))


def _kind(overlap: float, label: int, box: np.ndarray, truth: GroundTruth,
          iou_threshold: float) -> str:
    if overlap >= iou_threshold:
        return 'duplicate'
    others = truth.boxes()[np.asarray(truth.labels) != label]
    if (iou(box[None].astype(np.float64), others) >= iou_threshold).any():
        return 'wrong class'
    return 'badly placed' if overlap >= BACKGROUND_IOU else 'background'


def misses(matches: Sequence[Matches], truths: Sequence[GroundTruth],
           threshold: float) -> list[Miss]:
    """Return the objects not found at ``threshold``, largest first; difficult ones are none.

    Args:
        matches: of every class, made from ``truths``.
    """
    result = []
    for m in matches:
        hit = m.outcome == TRUE
        scores = dict(zip(zip(m.image[hit], m.target[hit]), m.scores[hit]))
        for image, truth in enumerate(truths):
            areas = area(truth.boxes())
            for index in np.nonzero((np.asarray(truth.labels) == m.label) & ~truth.flags())[0]:
                score = scores.get((image, index))
                if score is None or score < threshold:
                    result.append(Miss(image, int(index), m.label, float(areas[index]),
                                       None if score is None else float(score)))
    return sorted(result, key=lambda miss: (-miss.area, miss.image, miss.index))


def confusion_matrix(detections: Sequence[Detections], truths: Sequence[GroundTruth],
                     class_count: int, score_threshold: float,
                     iou_threshold: float = 0.5) -> np.ndarray:
    """Count detections by their class and by the class of the object that they lie on.

    There are several conventions; this is the one here. The detections of an image with a score
    of at least ``score_threshold`` come in the order of their scores, all classes together. Each
    takes the free object that it overlaps most, if the IoU is at least ``iou_threshold``; of
    objects with equal IoU it prefers one of its own class. A detection that gets no object is
    false, and that includes a second box on one object. An object that no detection took is
    missed. Difficult objects do not count, nor do detections on difficult objects only.

    Returns:
        int64 (C + 1, C + 1): rows are the objects' classes, columns the detections'. The last
        row counts false detections ("background" detected as a class), the last column missed
        objects. Each other row sums to the objects of its class.
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


@dataclass(frozen=True)
class FalseBoxes:
    """What was detected in images that hold none of the classes.

    Attributes:
        images: how many there are.
        score_threshold: score from which on a detection counts.
        false_boxes: detections that count.
        images_with_false_boxes: images with at least one.
        highest_score: of all detections; NaN without any.
    """

    images: int
    score_threshold: float
    false_boxes: int
    images_with_false_boxes: int
    highest_score: float

    def describe(self) -> str:
        """Return the counts as a phrase."""
        boxes, where = self.false_boxes, self.images_with_false_boxes
        return (f'{boxes or "no"} false box{"" if boxes == 1 else "es"} on {self.images} '
                'images without these classes' + (f', in {where} of them' if boxes else ''))


def count_false_boxes(detections: Sequence[Detections], threshold: float) -> FalseBoxes:
    """Count the detections in images that hold none of the classes.

    Args:
        detections: one entry per image, found at a threshold not above ``threshold``.
    """
    counts = [int((found.scores >= threshold).sum()) for found in detections]
    scores = np.concatenate([np.zeros(0), *(found.scores for found in detections)])
    return FalseBoxes(len(counts), threshold, sum(counts), sum(count > 0 for count in counts),
                      round(float(scores.max()), 5) if len(scores) else math.nan)
