"""Which frames the detector was least sure of: those worth labelling, or looking at, first."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from ssd_perception.core.detections import Detections
from ssd_perception.replay.chunks import Answer


class Uncertain(NamedTuple):
    """A frame, how uncertain it is (0 to 1), and the detection that makes it so."""

    value: float
    answer: Answer
    detection: int


def uncertainty(detections: Detections, thresholds: np.ndarray) -> np.ndarray:
    """Return float64 (n,): 1 for a score at its class's threshold, 0 for a score of 0 or 1.

    Args:
        thresholds: (C,), one per class; above 1 for a class that is not wanted.
    """
    scores = detections.scores.astype(np.float64)
    limits = thresholds[detections.labels]
    below = np.divide(scores, limits, out=np.ones_like(scores), where=limits > 0)
    above = np.divide(1 - scores, 1 - limits, out=np.ones_like(scores), where=limits < 1)
    return np.where(limits > 1, 0.0, np.where(scores < limits, below, above))


def most_uncertain(answers: Iterable[Answer], thresholds: np.ndarray, count: int,
                   apart_ns: int = 500_000_000) -> list[Uncertain]:
    """Return up to ``count`` frames, the most uncertain first.

    A frame is as uncertain as its most uncertain detection (Brust et al., "Active Learning for
    Deep Object Detection", 2019: "maximum"); frames of one camera are ``apart_ns`` apart, since
    neighbours show the same.
    """
    ranked = []
    for answer in answers:
        values = uncertainty(answer.detections, thresholds)
        if len(values) and values.max() > 0:
            place = int(values.argmax())
            ranked.append(Uncertain(float(values[place]), answer, place))
    ranked.sort(key=lambda item: (-item.value, item.answer.index))
    chosen: list[Uncertain] = []
    for item in ranked:
        if len(chosen) == count:
            break
        if all(item.answer.topic != other.answer.topic
               or abs(item.answer.stamp_ns - other.answer.stamp_ns) >= apart_ns
               for other in chosen):
            chosen.append(item)
    return chosen
