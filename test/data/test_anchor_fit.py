"""Anchor coverage: equal to comparing with every anchor; suggestions cover more."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ssd_perception.core.anchors import AnchorSpec, make_anchors
from ssd_perception.core.boxes import cxcywh_to_xyxy, iou
from ssd_perception.core.metadata import Architecture, Preprocessing
from ssd_perception.data.anchor_fit import ENOUGH, coverage, placed_boxes, suggest

ARCHITECTURE = Architecture(input_hw=(256, 320))


def boxes_of(rng, count, low, high, ratio=1.0):
    """Return random boxes inside the input, sides of ``low`` to ``high`` px."""
    width = np.exp(rng.uniform(np.log(low), np.log(high), count))
    size = np.stack([width, np.minimum(width * ratio, 250)], -1)
    start = rng.uniform(0, 1, (count, 2)) * (np.array([320, 256]) - size)
    return np.concatenate([start, start + size], -1)


def test_without_boxes_there_is_no_coverage():
    empty = np.zeros((0, 4))
    found = coverage(empty, ARCHITECTURE)
    assert found.covered is None and found.mean_iou is None and len(found.best_iou) == 0
    assert suggest(empty, ARCHITECTURE) is None
    assert placed_boxes([], ARCHITECTURE, Preprocessing()).shape == (0, 4)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2 ** 32 - 1), st.floats(0.3, 3))
def test_coverage_is_that_of_comparing_with_every_anchor(seed, ratio):
    rng = np.random.default_rng(seed)
    boxes = boxes_of(rng, 12, 3, 80, ratio)
    boxes[0] = 0, 0, 320, 256  # and over everything
    anchors = cxcywh_to_xyxy(make_anchors(ARCHITECTURE.anchors, ARCHITECTURE.input_hw,
                                          ARCHITECTURE.strides).astype(np.float64))
    np.testing.assert_allclose(coverage(boxes, ARCHITECTURE).best_iou,
                               iou(boxes, anchors).max(1), atol=1e-5)


def test_an_anchor_covers_itself():
    anchors = cxcywh_to_xyxy(make_anchors(ARCHITECTURE.anchors, ARCHITECTURE.input_hw,
                                          ARCHITECTURE.strides).astype(np.float64))
    assert coverage(anchors[::97], ARCHITECTURE).best_iou == pytest.approx(1.0, abs=1e-5)


def test_boxes_are_placed_as_training_places_them():
    pictures = [(np.array([[0, 0, 640, 320], [-50, 100, 64, 400], [700, 0, 800, 9]]), (320, 640)),
                (np.zeros((0, 4)), (10, 10))]
    placed = placed_boxes(pictures, ARCHITECTURE, Preprocessing())
    np.testing.assert_allclose(placed, [[0, 0, 320, 160], [0, 50, 32, 160]])
    stretched = placed_boxes(pictures, ARCHITECTURE, Preprocessing(resize='stretch'))
    np.testing.assert_allclose(stretched[0], [0, 0, 320, 256])


@pytest.mark.parametrize('low, high, ratio', [(8, 14, 1.0), (12, 60, 6.0), (20, 120, 0.2)])
def test_a_suggestion_covers_what_the_anchors_do_not(low, high, ratio):
    boxes = boxes_of(np.random.default_rng(1), 150, low, high, ratio)
    own = coverage(boxes, ARCHITECTURE)
    assert own.covered < ENOUGH
    found = suggest(boxes, ARCHITECTURE)
    assert found.covered > own.covered + 0.2
    # It is what it says, once written into a recipe's architecture, which accepts it.
    changed = replace(ARCHITECTURE, anchors=found.spec)
    assert coverage(boxes, changed).covered == pytest.approx(found.covered)
    assert min(abs(np.log(np.array(found.spec.aspect_ratios) / ratio))) < 0.4
    assert suggest(boxes, ARCHITECTURE) == found  # nothing random about it


def test_no_more_anchors_are_suggested_where_as_many_suffice():
    boxes = boxes_of(np.random.default_rng(2), 100, 20, 40, 5.0)
    found = suggest(boxes, ARCHITECTURE)
    assert found.covered >= ENOUGH and found.spec.per_cell <= ARCHITECTURE.anchors.per_cell


def test_nothing_is_suggested_where_nothing_is_better():
    square = replace(ARCHITECTURE, anchors=AnchorSpec(2.0, (1.0,), (1.0,)))
    anchors = cxcywh_to_xyxy(make_anchors(square.anchors, square.input_hw, square.strides))
    assert suggest(anchors[::50], square) is None
