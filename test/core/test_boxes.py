"""Box geometry: properties that hold for any boxes, and the cases that have bitten others."""

import numpy as np
import pytest

from ssd_perception.core.boxes import area, clip, cxcywh_to_xyxy, iou, xyxy_to_cxcywh


def random_boxes(count, seed=0):
    rng = np.random.default_rng(seed)
    low = rng.uniform(0, 500, (count, 2))
    return np.concatenate([low, low + rng.uniform(1, 200, (count, 2))], -1)


@pytest.mark.parametrize('count', [0, 1, 50])
def test_formats_round_trip(count):
    boxes = random_boxes(count)
    np.testing.assert_allclose(cxcywh_to_xyxy(xyxy_to_cxcywh(boxes)), boxes)


@pytest.mark.parametrize('a, b, expected', [
    ([0, 0, 2, 2], [0, 0, 2, 2], 1.0),
    ([0, 0, 2, 2], [1, 0, 3, 2], 1 / 3),
    ([0, 0, 2, 2], [2, 0, 4, 2], 0.0),  # touching edges share no area
    ([0, 0, 2, 2], [9, 9, 10, 10], 0.0),
    ([1, 1, 1, 1], [1, 1, 1, 1], 0.0),  # no area: not NaN
    ([0, 0, 4, 4], [1, 1, 3, 3], 0.25),
])
def test_iou_by_hand(a, b, expected):
    assert iou(np.array([a], float), np.array([b], float))[0, 0] == pytest.approx(expected)


def test_iou_is_symmetric_and_scale_free():
    a, b = random_boxes(20, 1), random_boxes(30, 2)
    np.testing.assert_allclose(iou(a, b), iou(b, a).T)
    np.testing.assert_allclose(iou(a, b), iou(a * 7, b * 7))


def test_iou_of_nothing_has_the_right_shape():
    assert iou(np.zeros((0, 4)), random_boxes(3)).shape == (0, 3)
    assert iou(random_boxes(3), np.zeros((0, 4))).shape == (3, 0)


def test_clip_keeps_boxes_inside():
    boxes = clip(np.array([[-5.0, -5, 700, 500], [10, 10, 20, 20]]), 640, 480)
    np.testing.assert_array_equal(boxes, [[0, 0, 640, 480], [10, 10, 20, 20]])


def test_area_of_reversed_edges_is_zero():
    assert area(np.array([[5.0, 5, 1, 9]]))[0] == 0
