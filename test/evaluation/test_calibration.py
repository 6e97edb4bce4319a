"""Reliability: bins, and the calibration error of scores that are known to be right."""

from __future__ import annotations

import numpy as np
import pytest

from ssd_perception.evaluation.calibration import BINS, Bin, calibration
from ssd_perception.evaluation.voc import FALSE, IGNORED, TRUE, Matches


def matches(scores, outcomes):
    n = len(scores)
    order = np.argsort(-np.array(scores), kind='stable')
    none = np.zeros(n, int)
    return Matches(0, none, none, np.array(scores, float)[order],
                   np.array(outcomes, int)[order], none, none.astype(float), n)


def test_nothing_detected():
    result = calibration([matches([], [])], 0.5)
    assert len(result.bins) == BINS and all(row.count == 0 for row in result.bins)
    assert np.isnan(result.bins[3].precision) and np.isnan(result.bins[3].mean_score)
    assert np.isnan(result.expected_calibration_error)
    assert np.isnan(calibration([]).expected_calibration_error_at_threshold)


@pytest.mark.parametrize('score, place', [
    (0.0, 0), (0.05, 0), (0.1, 1), (0.3, 3), (0.7, 7), (0.95, 9), (1.0, 9)])
def test_a_bin_holds_its_low_end(score, place):
    counts = [row.count for row in calibration([matches([score], [TRUE])]).bins]
    assert counts == [int(i == place) for i in range(BINS)]


def test_by_hand():
    given = [matches([0.9, 0.9, 0.65], [TRUE, FALSE, TRUE]),
             matches([0.15, 0.9], [FALSE, IGNORED])]
    result = calibration(given, 0.5)
    assert result.bins[9] == Bin(low=0.9, high=1.0, count=2, mean_score=0.9, precision=0.5)
    # |0.5 - 0.9| twice, |1 - 0.65| once, |0 - 0.15| once
    assert result.expected_calibration_error == pytest.approx((0.8 + 0.35 + 0.15) / 4)
    assert result.expected_calibration_error_at_threshold == pytest.approx(
        (0.8 + 0.35) / 3, abs=1e-5)


def test_scores_that_tell_the_truth_have_next_to_no_error():
    rng = np.random.default_rng(0)
    scores = rng.random(20000)
    honest = np.where(rng.random(20000) < scores, TRUE, FALSE)
    assert calibration([matches(scores, honest)]).expected_calibration_error < 0.02
    sure = calibration([matches(np.sqrt(scores), honest)]).expected_calibration_error
    assert sure == pytest.approx(2 / 3 - 1 / 2, abs=0.02)  # E[sqrt(u)] - E[u]
