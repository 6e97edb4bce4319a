"""What is given to pycocotools, and what becomes of its answers, case by case."""

from __future__ import annotations

import numpy as np
import pytest
from cases import case, detections_of, photographs, truth_of
from hypothesis import given, settings

from ssd_perception.evaluation.coco import SIZES, coco_figures, size_of

LARGE, SMALL, FAR = (0, 0, 100, 100), (10, 10, 30, 30), (200, 200, 300, 300)
NAN = float('nan')


def figures(found, objects, names=('x', 'y')):
    return coco_figures([detections_of(found)], [truth_of(objects)], names)


def whole(f):
    return [f.ap, f.ap50, f.ap75, f.ap_small, f.ap_medium, f.ap_large]


@pytest.mark.parametrize('found, objects, expected', [
    ([], [], [NAN] * 6),
    ([(LARGE, 0.9, 0)], [], [NAN] * 6),
    ([], [(LARGE, 0, False)], [0, 0, 0, NAN, NAN, 0]),  # no small object: nothing to measure
    ([], [(LARGE, 0, True)], [NAN] * 6),
    ([(LARGE, 0.9, 0)], [(LARGE, 0, True)], [NAN] * 6),
    ([(LARGE, 0.9, 0)], [(LARGE, 0, False)], [1, 1, 1, NAN, NAN, 1]),
    ([(LARGE, 0.9, 1)], [(LARGE, 0, False)], [0, 0, 0, NAN, NAN, 0]),
    ([(SMALL, 0.9, 0)], [(SMALL, 0, False), (LARGE, 1, False)], [0.5, 0.5, 0.5, 1, NAN, 0]),
    # a difficult object is neither missed nor false, however often it is found
    ([(FAR, 0.9, 0), (FAR, 0.8, 0), (LARGE, 0.7, 0)], [(LARGE, 0, False), (FAR, 0, True)],
     [1, 1, 1, NAN, NAN, 1]),
    ([(LARGE, 0.7, 0)], [(LARGE, 0, False), (FAR, 0, True)], [1, 1, 1, NAN, NAN, 1]),
    # a part of a difficult object is ignored, for it is a crowd; VOC calls it false
    ([(SMALL, 0.9, 0), (FAR, 0.7, 0)], [(LARGE, 0, True), (FAR, 0, False)],
     [1, 1, 1, NAN, NAN, 1]),
    ([(SMALL, 0.9, 0), (FAR, 0.7, 0)], [(LARGE, 1, True), (FAR, 0, False)],
     [0.5, 0.5, 0.5, NAN, NAN, 1]),
], ids=range(12))
def test_by_hand(found, objects, expected):
    assert whole(figures(found, objects)) == pytest.approx(expected, nan_ok=True)


def test_equal_scores_keep_the_order_of_images():
    true, false = detections_of([(LARGE, 0.5, 0)]), detections_of([(FAR, 0.5, 0)])
    objects, nothing = truth_of([(LARGE, 0, False)]), truth_of([])
    first = coco_figures([true, false], [objects, nothing], ['x'])
    last = coco_figures([false, true], [nothing, objects], ['x'])
    assert first.ap == pytest.approx(1) and last.ap == pytest.approx(0.5)


@pytest.mark.parametrize('before, expected', [(99, 0.01), (100, 0.0)])
def test_the_hundred_best_of_a_class_in_an_image_count(before, expected):
    found = [(FAR, 0.9, 0)] * before + [((0, 0, 1, 1), 0.8, 1)] * 50 + [(LARGE, 0.5, 0)]
    assert figures(found, [(LARGE, 0, False)]).ap == pytest.approx(expected)


def test_classes_average_to_the_whole():
    found = coco_figures(*photographs(0, 4), list('abcd'))
    assert list(found.per_class) == list('abcd')
    assert found.ap == pytest.approx(np.mean(list(found.per_class.values())))
    assert 0 < found.ap75 < found.ap < found.ap50 < 1


@given(case)
@settings(max_examples=40, deadline=None)
def test_any_case_gives_figures_from_0_to_1_or_none(images):
    found = coco_figures(*images, ['x', 'y'])
    for value in [*whole(found), *found.per_class.values()]:
        assert np.isnan(value) or 0 <= value <= 1 + 1e-9


@pytest.mark.parametrize('side, size', [(1, 'small'), (31.9, 'small'), (32, 'medium'),
                                        (95.9, 'medium'), (96, 'large'), (5000, 'large')])
def test_sizes(side, size):
    assert list(SIZES)[size_of(np.array([side ** 2]))[0]] == size
