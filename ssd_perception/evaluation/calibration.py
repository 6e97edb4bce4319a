"""Whether a score of 0.8 means right in 8 cases of 10: reliability and calibration error."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ssd_perception.evaluation.matching import TRUE, Matches

BINS = 10


def calibration(matches: Sequence[Matches], threshold: float = 0.0) -> dict:
    """Compare scores with precision at the IoU of ``matches``, all classes together.

    The detections' expected calibration error is that of Guo et al. 2017 with precision in the
    place of accuracy (Kueppers et al. 2020): the mean over bins of
    ``|precision - mean score|``, weighted by the bins' counts. The many detections of low score
    weigh much in it, so it is told twice.

    Returns:
        ``bins``: BINS rows ``low``, ``high`` (scores; a bin holds its low end, the last one
        both), ``count``, ``mean_score``, ``precision`` (None in an empty bin);
        ``expected_calibration_error`` over all detections and ``..._at_threshold`` over those
        of at least ``threshold``; None without any.
    """
    empty = np.zeros(0)
    scores = np.concatenate([empty, *(m.scores[m.counted] for m in matches)])
    true = np.concatenate([empty, *(m.outcome[m.counted] == TRUE for m in matches)])
    shown = scores >= threshold
    return {'bins': _bins(scores, true),
            'expected_calibration_error': _error(scores, true),
            'expected_calibration_error_at_threshold': _error(scores[shown], true[shown])}


def _bins(scores: np.ndarray, true: np.ndarray) -> list[dict]:
    # The edges are the decimals themselves: 0.7 * 10 rounds below 7 in some types.
    edges = np.arange(BINS + 1) / BINS
    place = np.clip(np.searchsorted(edges, scores, side='right') - 1, 0, BINS - 1)
    rows = []
    for i in range(BINS):
        mine = place == i
        rows.append({'low': float(edges[i]), 'high': float(edges[i + 1]),
                     'count': int(mine.sum()),
                     'mean_score': round(float(scores[mine].mean()), 5) if mine.any() else None,
                     'precision': round(float(true[mine].mean()), 5) if mine.any() else None})
    return rows


def _error(scores: np.ndarray, true: np.ndarray) -> float | None:
    if not len(scores):
        return None
    return round(sum(row['count'] * abs(row['precision'] - row['mean_score'])
                     for row in _bins(scores, true) if row['count']) / len(scores), 5)
