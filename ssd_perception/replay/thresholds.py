"""Score thresholds applied after detecting at a low one: published, narrowly missed, uncertain."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from ssd_perception.core.detections import Detections
from ssd_perception.core.postprocess import PostprocessSettings
from ssd_perception.replay.times import FrameTimes
from ssd_perception.replay.work_folder import FrameResult

_APART_NS = 500_000_000  # between uncertain frames that are shown


class ScoreThresholds:
    """Chooses from detections down to a low score; a weaker box never removes a stronger one.

    Args:
        settings: as the user wants them.
        class_names: names that labels index into.

    Attributes:
        settings: as given.
        class_names: as given.
        per_class: float64 (C,), one per class; above 1 for a class that is not wanted.
    """

    def __init__(self, settings: PostprocessSettings, class_names: tuple[str, ...]):
        self.settings, self.class_names = settings, class_names
        self.per_class = settings.per_class(class_names)

    @property
    def lowest(self) -> float:
        """The score from which a detection can narrowly miss a threshold."""
        return float(self.per_class.min()) / 2

    def passed(self, detections: Detections) -> Detections:
        """Return those that a detector with ``settings`` would have found, best first."""
        kept = detections[detections.scores >= self._of(detections)]
        return kept[:self.settings.max_detections]

    def published(self, result: FrameResult) -> Detections:
        """Return what is published of a frame.

        Where stages ran, that is what they returned: a tracker may keep a weak box.
        """
        return self.passed(result.detections) if result.staged is None else result.staged

    def narrowly_missed(self, detections: Detections) -> Detections:
        """Return those from half of their class's threshold up to it."""
        limits = self._of(detections)
        return detections[(detections.scores < limits) & (detections.scores >= limits / 2)
                          & (limits <= 1)]

    def uncertainty(self, detections: Detections) -> np.ndarray:
        """Return float64 (n,): 1 for a score at its class's threshold, 0 for a score of 0 or 1."""
        scores = detections.scores.astype(np.float64)
        limits = self._of(detections)
        below = np.divide(scores, limits, out=np.ones_like(scores), where=limits > 0)
        above = np.divide(1 - scores, 1 - limits, out=np.ones_like(scores), where=limits < 1)
        return np.where(limits > 1, 0.0, np.where(scores < limits, below, above))

    def frame_uncertainty(self, detections: Detections) -> float:
        """Return the sum over a frame's detections from half their threshold on.

        The sum rather than the worst detection (Brust et al., "Active Learning for Deep Object
        Detection", 2019, compare both): each box that the detector is unsure of counts.
        """
        near = detections.scores >= self._of(detections) / 2
        return float(self.uncertainty(detections)[near].sum())

    def _of(self, detections: Detections) -> np.ndarray:
        return self.per_class[detections.labels]


class Uncertain(NamedTuple):
    """A frame, how uncertain it is (0 to 1), and the detection that makes it so."""

    value: float
    result: FrameResult
    detection: int


def most_uncertain(results: Iterable[FrameResult], thresholds: ScoreThresholds,
                   times: FrameTimes, count: int) -> list[Uncertain]:
    """Return up to ``count`` frames, the most uncertain first.

    A frame is as uncertain as its most uncertain detection (Brust et al., "Active Learning for
    Deep Object Detection", 2019: "maximum"); frames of one camera are ``_APART_NS`` apart,
    since neighbours show the same.
    """
    ranked = []
    for result in results:
        values = thresholds.uncertainty(result.detections)
        if len(values) and values.max() > 0:
            place = int(values.argmax())
            ranked.append(Uncertain(float(values[place]), result, place))
    ranked.sort(key=lambda item: (-item.value, item.result.index))
    chosen: list[Uncertain] = []
    for item in ranked:
        if len(chosen) == count:
            break
        if all(item.result.topic != other.result.topic
               or abs(times.elapsed_ns(item.result) - times.elapsed_ns(other.result)) >= _APART_NS
               for other in chosen):
            chosen.append(item)
    return chosen
