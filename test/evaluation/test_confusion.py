"""The confusion matrix by hand, and what always holds for it."""

from __future__ import annotations

import numpy as np
import pytest
from cases import CLASSES, case, detections_of, truth_of
from hypothesis import given

from ssd_perception.evaluation.failures import confusion_matrix, most_confused

A, B, NEAR_A = (0, 0, 10, 10), (50, 50, 60, 60), (0, 0, 10, 8)
X, Y, BACKGROUND = 0, 1, 2


@pytest.mark.parametrize('found, objects, expected', [
    ([], [], {}),
    ([], [(A, X, False)], {(X, BACKGROUND): 1}),
    ([(A, 0.9, X)], [], {(BACKGROUND, X): 1}),
    ([(A, 0.9, X)], [(A, X, False)], {(X, X): 1}),
    ([(A, 0.4, X)], [(A, X, False)], {(X, BACKGROUND): 1}),  # below the threshold
    ([(A, 0.9, Y)], [(A, X, False)], {(X, Y): 1}),
    ([(B, 0.9, X)], [(A, X, False)], {(BACKGROUND, X): 1, (X, BACKGROUND): 1}),
    # the higher score takes the object, right or wrong; the other is made up
    ([(A, 0.9, Y), (A, 0.8, X)], [(A, X, False)], {(X, Y): 1, (BACKGROUND, X): 1}),
    ([(A, 0.9, X), (A, 0.8, X)], [(A, X, False)], {(X, X): 1, (BACKGROUND, X): 1}),
    # the greater overlap wins, and of equal ones the same class
    ([(A, 0.9, X)], [(NEAR_A, X, False), (A, Y, False)], {(Y, X): 1, (X, BACKGROUND): 1}),
    ([(A, 0.9, X)], [(A, Y, False), (A, X, False)], {(X, X): 1, (Y, BACKGROUND): 1}),
    ([(A, 0.9, X), (A, 0.8, Y)], [(A, Y, False), (A, X, False)], {(X, X): 1, (Y, Y): 1}),
    # difficult objects count nowhere, but an object in the same place does
    ([(A, 0.9, X)], [(A, X, True)], {}),
    ([], [(A, X, True)], {}),
    ([(A, 0.9, X)], [(A, X, True), (NEAR_A, X, False)], {(X, X): 1}),
], ids=range(15))
def test_by_hand(found, objects, expected):
    matrix = confusion_matrix([detections_of(found)], [truth_of(objects)], 2, 0.5)
    assert {place: count for place, count in np.ndenumerate(matrix) if count} == expected


@given(case)
def test_every_object_and_no_detection_twice(images):
    detections, truths = images
    matrix = confusion_matrix(detections, truths, CLASSES, 0.5)
    objects = np.concatenate([t.labels[~t.difficult] for t in truths])
    shown = np.concatenate([d.labels[d.scores >= 0.5] for d in detections])
    for label in range(CLASSES):
        assert matrix[label].sum() == (objects == label).sum()
        assert matrix[:, label].sum() <= (shown == label).sum()
    if not any(t.difficult.any() for t in truths):
        assert matrix[:, :CLASSES].sum() == len(shown)


def test_most_confused_leaves_out_what_is_right_or_background():
    matrix = np.array([[9, 2, 0, 7], [3, 9, 0, 7], [0, 0, 9, 7], [8, 8, 8, 0]])
    assert most_confused(matrix) == [(1, 0, 3), (0, 1, 2)]
    assert most_confused(matrix, 1) == [(1, 0, 3)]
    assert most_confused(np.zeros((2, 2), int)) == []
