"""Whether a score of 0.8 means right in 8 cases of 10: reliability and calibration error."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ssd_perception.evaluation.voc import TRUE, Matches

BINS = 10


@dataclass(frozen=True)
class Bin:
    """The detections with a score from ``low`` to ``high``.

    A bin holds its low end, and the last bin both ends.

    Attributes:
        count: detections in it.
        mean_score, precision: in [0, 1]; NaN in an empty bin.
    """

    low: float
    high: float
    count: int
    mean_score: float
    precision: float


@dataclass(frozen=True)
class Calibration:
    """Scores compared with precision.

    Attributes:
        bins: ``BINS`` of them, from score 0 to 1.
        expected_calibration_error: mean over the bins of ``|precision - mean_score|``, weighted
            by their counts; NaN without detections.
        expected_calibration_error_at_threshold: the same over detections that reach the score
            threshold. The many detections of low score have no weight in it.
    """

    bins: tuple[Bin, ...]
    expected_calibration_error: float
    expected_calibration_error_at_threshold: float


def calibration(matches: Sequence[Matches], threshold: float = 0.0) -> Calibration:
    """Compare scores with precision at the IoU of ``matches``, all classes together.

    The error is that of Guo et al. 2017, with precision in the place of accuracy for detections
    (Kueppers et al. 2020).
    """
    empty = np.zeros(0)
    scores = np.concatenate([empty, *(m.scores[m.counted] for m in matches)])
    true = np.concatenate([empty, *(m.outcome[m.counted] == TRUE for m in matches)])
    kept = scores >= threshold
    return Calibration(_bins(scores, true), _error(scores, true),
                       _error(scores[kept], true[kept]))


def _bins(scores: np.ndarray, true: np.ndarray) -> tuple[Bin, ...]:
    # The edges are the decimals themselves: 0.7 * 10 rounds below 7 in some types.
    edges = np.arange(BINS + 1) / BINS
    place = np.clip(np.searchsorted(edges, scores, side='right') - 1, 0, BINS - 1)
    return tuple(Bin(float(edges[i]), float(edges[i + 1]), int((place == i).sum()),
                     _mean(scores[place == i]), _mean(true[place == i])) for i in range(BINS))


def _mean(values: np.ndarray) -> float:
    return round(float(values.mean()), 5) if len(values) else math.nan


def _error(scores: np.ndarray, true: np.ndarray) -> float:
    if not len(scores):
        return math.nan
    return round(sum(row.count * abs(row.precision - row.mean_score)
                     for row in _bins(scores, true) if row.count) / len(scores), 5)
