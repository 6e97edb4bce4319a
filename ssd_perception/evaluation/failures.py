"""Which detections are wrong, and how; which objects are missed, and how nearly."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ssd_perception.core.boxes import area, iou
from ssd_perception.core.detections import Detections, GroundTruth
from ssd_perception.evaluation.matching import FALSE, TRUE, Matches

# How a false positive is wrong, after TIDE (Bolya et al. 2020, which also has 0.1 as the
# overlap below which a box lies on background); the first kind that fits is taken.
KINDS = ('duplicate', 'wrong class', 'badly placed', 'background')
BACKGROUND_IOU = 0.1


@dataclass(frozen=True)
class FalsePositive:
    """A detection that is not true.

    Attributes:
        image, index: which detection of which image.
        label, score: what it says.
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
        below_threshold: the best score of a detection of its class on it, all of which lie
            below the threshold; None when there is none.
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
