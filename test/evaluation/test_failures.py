"""False positives and misses: how they are wrong, their order, and that none is lost."""

from __future__ import annotations

import numpy as np
import pytest
from cases import CLASSES, case, detections_of, photographs, truth_of
from hypothesis import given

from ssd_perception.evaluation.failures import false_positives, misses
from ssd_perception.evaluation.voc import FALSE, IGNORED, TRUE, match_class

A, NEAR_A, AWAY_A, B = (0, 0, 10, 10), (0, 0, 10, 8), (0, 0, 10, 3), (50, 50, 60, 60)


def failures(found, objects, threshold=0.5):
    detections, truths = [detections_of(found)], [truth_of(objects)]
    matches = [match_class(detections, truths, label) for label in range(2)]
    return (false_positives(matches, detections, truths, threshold),
            misses(matches, truths, threshold))


@pytest.mark.parametrize('found, objects, kinds, below', [
    ([], [], [], []),
    ([(A, 0.9, 0)], [(A, 0, False)], [], []),
    ([(B, 0.9, 0)], [(A, 0, False)], ['background'], [None]),
    ([(A, 0.9, 0)], [], ['background'], []),
    ([(A, 0.9, 0), (NEAR_A, 0.8, 0)], [(A, 0, False)], ['duplicate'], []),
    ([(AWAY_A, 0.9, 0)], [(A, 0, False)], ['badly placed'], [None]),
    ([(A, 0.9, 1)], [(A, 0, False)], ['wrong class'], [None]),
    ([(A, 0.9, 1)], [(A, 0, True)], ['wrong class'], []),
    ([(A, 0.9, 0)], [(A, 0, True)], [], []),
    ([(A, 0.25, 0)], [(A, 0, False)], [], [0.25]),
    ([(B, 0.25, 0)], [(A, 0, False)], [], [None]),
    ([(A, 0.25, 0), (A, 0.125, 0)], [(A, 0, False)], [], [0.25]),
], ids=range(12))
def test_by_hand(found, objects, kinds, below):
    wrong, missed = failures(found, objects)
    assert [f.kind for f in wrong] == kinds
    assert [m.below_threshold for m in missed] == below


def test_worst_first():
    wrong, missed = failures([(A, 0.6, 0), (B, 0.9, 1), (B, 0.7, 0)],
                             [((100, 0, 110, 10), 0, False), ((200, 0, 220, 20), 1, False)])
    assert [(f.label, pytest.approx(f.score)) for f in wrong] == [(1, 0.9), (0, 0.7), (0, 0.6)]
    assert [m.area for m in missed] == [400, 100]


@given(case)
def test_none_is_lost_and_the_best_score_is_matched_first(images):
    detections, truths = images
    matches = [match_class(detections, truths, label) for label in range(CLASSES)]
    wrong = false_positives(matches, detections, truths, 0.5)
    missed = misses(matches, truths, 0.5)
    for m in matches:
        assert (np.diff(m.scores) <= 0).all()
        shown = m.scores >= 0.5
        hits = (m.outcome[shown] == TRUE).sum()
        assert hits + (m.outcome[shown] == FALSE).sum() + (m.outcome[shown] == IGNORED).sum() \
            == sum(((d.labels == m.label) & (d.scores >= 0.5)).sum() for d in detections)
        assert sum(f.label == m.label for f in wrong) == (m.outcome[shown] == FALSE).sum()
        assert sum(f.label == m.label for f in missed) == m.objects - hits
        found = list(zip(m.image[m.outcome == TRUE], m.target[m.outcome == TRUE]))
        assert len(found) == len(set(found))  # an object is found once
    for f in wrong:
        assert detections[f.image].labels[f.index] == f.label
        assert detections[f.image].scores[f.index] == pytest.approx(f.score)
    for m in missed:
        assert truths[m.image].labels[m.index] == m.label
        assert not truths[m.image].difficult[m.index]


@given(case)
def test_lower_scores_do_not_change_what_became_of_higher_ones(images):
    detections, truths = images
    for label in range(CLASSES):
        whole = match_class(detections, truths, label)
        cut = match_class([d[d.scores >= 0.5] for d in detections], truths, label)
        assert np.array_equal(whole.outcome[whole.scores >= 0.5], cut.outcome)


def test_lengths_must_agree():
    detections, truths = photographs(0)
    with pytest.raises(ValueError, match='got 30 and 29'):
        match_class(detections, truths[1:], 0)
