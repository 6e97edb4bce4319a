"""Anchors and box coding: order, places, and the way there and back."""

import numpy as np
from box_coding import encode

from ssd_perception.core.anchors import AnchorSpec, BoxCoder, level_shape, make_anchors
from ssd_perception.core.boxes import cxcywh_to_xyxy

STRIDES = (8, 16, 32, 64, 128)


def test_every_level_has_its_anchors():
    spec = AnchorSpec()
    cells = sum(h * w for h, w in (level_shape((320, 320), s) for s in STRIDES))
    assert make_anchors(spec, (320, 320), STRIDES).shape == (cells * spec.per_cell, 4)
    assert cells == 1600 + 400 + 100 + 25 + 9  # 320 / 128 is rounded up, as convolutions do


def test_anchors_lie_at_cell_centres_row_by_row():
    spec = AnchorSpec(base_scale=4, octave_scales=(1.0,), aspect_ratios=(1.0,))
    anchors = make_anchors(spec, (64, 96), (32,))
    np.testing.assert_allclose(anchors, [[16, 16, 128, 128], [48, 16, 128, 128],
                                         [80, 16, 128, 128], [16, 48, 128, 128],
                                         [48, 48, 128, 128], [80, 48, 128, 128]])


def test_aspect_ratio_is_height_over_width_at_equal_area():
    spec = AnchorSpec(base_scale=1, octave_scales=(1.0, 2.0), aspect_ratios=(0.5, 2.0))
    sizes = make_anchors(spec, (64, 64), (64,))[:, 2:]
    np.testing.assert_allclose(sizes[:, 1] / sizes[:, 0], [0.5, 2, 0.5, 2], rtol=1e-6)
    np.testing.assert_allclose(sizes.prod(1), [64 ** 2, 64 ** 2, 128 ** 2, 128 ** 2], rtol=1e-6)


def test_coding_round_trips():
    rng = np.random.default_rng(0)
    anchors = np.concatenate([rng.uniform(0, 300, (100, 2)), rng.uniform(8, 200, (100, 2))], -1)
    boxes = cxcywh_to_xyxy(
        np.concatenate([rng.uniform(0, 300, (100, 2)), rng.uniform(8, 200, (100, 2))], -1))
    coder = BoxCoder()
    np.testing.assert_allclose(coder.decode(encode(coder, boxes, anchors), anchors), boxes)


def test_zero_deltas_are_the_anchor_itself():
    anchors = np.array([[10.0, 20, 4, 6]])
    np.testing.assert_allclose(BoxCoder().decode(np.zeros((1, 4)), anchors), [[8, 17, 12, 23]])


def test_a_diverged_network_gives_finite_boxes():
    boxes = BoxCoder().decode(np.full((1, 4), 1e6), np.array([[10.0, 20, 4, 6]]))
    assert np.isfinite(boxes).all()
