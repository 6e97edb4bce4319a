"""Detections: the type refuses what a consumer could not trust."""

import numpy as np
import pytest

from ssd_perception.core.detections import Detections


def test_empty_is_a_normal_value():
    empty = Detections.empty()
    assert len(empty) == 0 and empty.xyxy.shape == (0, 4)
    assert len(empty[empty.scores > 0.5]) == 0


def test_types_and_order_are_what_the_docstring_says():
    found = Detections([[0, 0, 2, 2], [1, 1, 3, 3]], [0.9, 0.8], [1, 0])
    assert (found.xyxy.dtype, found.scores.dtype, found.labels.dtype) == (
        np.float32, np.float32, np.int64)
    assert found[found.labels == 0].scores.tolist() == pytest.approx([0.8])


@pytest.mark.parametrize('xyxy, scores, labels, message', [
    ([[0, 0, 1, 1]], [0.5, 0.4], [0, 0], 'as many scores'),
    ([[2, 0, 1, 1]], [0.5], [0], 'x_min <= x_max'),
    ([[0, 0, 1, 1], [0, 0, 1, 1]], [0.4, 0.5], [0, 0], 'descending'),
])
def test_what_cannot_be_trusted_is_refused(xyxy, scores, labels, message):
    with pytest.raises(ValueError, match=message):
        Detections(xyxy, scores, labels)


def test_nobody_can_change_it():
    boxes = np.zeros((1, 4), np.float32)
    found = Detections(boxes, [0.5], [0])
    with pytest.raises(ValueError):
        found.xyxy[0, 0] = 5
    boxes[0, 2:] = 7  # the caller's own array stays writable, and apart
    assert found.xyxy.max() == 0
