"""The frames of a run, and its figures."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ssd_perception.core.detections import Detections, GroundTruth
from ssd_perception.core.format import to_json
from ssd_perception.evaluation.voc import average_precision, mean_ap


@dataclass(frozen=True)
class SeenFrame:
    """One frame of a run.

    Attributes:
        stamp_ns: its header's stamp.
        jpeg: the image, or None when it was not kept.
        detections: the answer, of all scores; None when there was none.
        truth: ground truth, or None.
        age_ms: from the stamp to the arrival of the answer; None without an answer, and where
            the stamp is of another clock.
    """

    stamp_ns: int
    jpeg: bytes | None
    detections: Detections | None
    truth: GroundTruth | None
    age_ms: float | None


@dataclass(frozen=True)
class AgeFigures:
    """Time from a frame's stamp to the arrival of its detections, ms; NaN where none is known."""

    median: float
    p95: float
    max: float


@dataclass(frozen=True)
class RunResult:
    """The figures of a run: the content of summary.json.

    Attributes:
        frames, answered: frames seen, and those of them that were answered.
        frames_with_detections, detections: of at least ``display_threshold``.
        detections_per_class: class -> the same.
        display_threshold: detections of lower score are neither drawn nor counted.
        seconds: between the stamps of the first and the last frame.
        age_ms: of the answers.
        ap50, ap50_per_class: average precision (VOC 2010, IoU 0.5) over all scores that were
            published; None without ground truth, NaN without objects.
        ap50_frames: answered frames with ground truth.
        reference_ap50: a figure to compare with.
        sent, wall_s, failures: of ``demo``: frames played, duration, and what fell short.
    """

    frames: int
    answered: int
    frames_with_detections: int
    detections: int
    detections_per_class: Mapping[str, int]
    display_threshold: float
    seconds: float
    age_ms: AgeFigures
    ap50: float | None = None
    ap50_per_class: Mapping[str, float] | None = None
    ap50_frames: int | None = None
    reference_ap50: float | None = None
    sent: int | None = None
    wall_s: float | None = None
    failures: Sequence[str] | None = None

    def to_json(self) -> dict[str, Any]:
        """Return plain values, without those that are None."""
        return {name: to_json(value) for name, value in vars(self).items() if value is not None}


def summarise(frames: Sequence[SeenFrame], class_names: Sequence[str], threshold: float,
              reference_ap50: float | None = None) -> RunResult:
    """Return a run's figures.

    Args:
        threshold: detections with lower scores are not counted.
    """
    answered = [frame for frame in frames if frame.detections is not None]
    shown = [above(found, threshold) for frame in frames
             if (found := frame.detections) is not None]
    ages = np.array([frame.age_ms for frame in answered if frame.age_ms is not None])
    median, p95, largest = (round(float(np.percentile(ages, q)), 2) if len(ages) else math.nan
                            for q in (50, 95, 100))
    seconds = (frames[-1].stamp_ns - frames[0].stamp_ns) / 1e9 if len(frames) > 1 else 0.0
    counts = sum((np.bincount(d.labels, minlength=len(class_names)) for d in shown),
                 np.zeros(len(class_names), np.int64))
    result = RunResult(
        len(frames), len(answered), sum(len(d) > 0 for d in shown), int(counts.sum()),
        {n: int(c) for n, c in zip(class_names, counts)}, threshold, round(seconds, 3),
        AgeFigures(median, p95, largest), reference_ap50=reference_ap50)
    pairs = [(f.detections, f.truth) for f in frames
             if f.detections is not None and f.truth is not None]
    if not pairs:
        return result
    per_class = average_precision([detections for detections, _ in pairs],
                                  [truth for _, truth in pairs], class_names)
    return replace(
        result, ap50=round(mean_ap(per_class), 5), ap50_frames=len(pairs),
        ap50_per_class={name: round(ap, 5) for name, ap in per_class.items()})


def above(detections: Detections, threshold: float) -> Detections:
    """Return the detections whose score is at least ``threshold``."""
    return detections[detections.scores >= threshold]
