"""Post-processing: thresholds, NMS against torchvision's, limits, and the way to source pixels."""

import numpy as np
import pytest

from ssd_perception.core.anchors import BoxCoder
from ssd_perception.core.placement import Placement
from ssd_perception.core.postprocess import PostprocessSettings, logit, nms, postprocess

NAMES = ('cone', 'cube')
ANCHORS = np.array([[100.0, 100, 40, 40], [104, 100, 40, 40], [250, 200, 60, 60]], np.float32)
SAME = Placement(320, 320, 320, 320)


def run(scores, settings=None, placement=SAME, deltas=None):
    settings = settings or PostprocessSettings()
    scores = np.asarray(scores, np.float64)
    deltas = np.zeros((len(scores), 4)) if deltas is None else deltas
    return postprocess(logit(scores).astype(np.float32), deltas, ANCHORS[:len(scores)],
                       BoxCoder(), settings, NAMES, placement)


def test_nothing_above_the_threshold_is_an_empty_value():
    found = run([[0.1, 0.2], [0.3, 0.4], [0.0, 0.0]])
    assert len(found) == 0 and found.xyxy.shape == (0, 4)


def test_overlapping_boxes_of_one_class_leave_the_better():
    found = run([[0.7, 0], [0.9, 0], [0.8, 0]])
    np.testing.assert_allclose(found.scores, [0.9, 0.8], rtol=1e-5)
    np.testing.assert_allclose(found.xyxy, [[84, 80, 124, 120], [220, 170, 280, 230]], rtol=1e-5)


def test_overlapping_boxes_of_two_classes_both_stay():
    found = run([[0.7, 0], [0, 0.9]])
    np.testing.assert_array_equal(found.labels, [1, 0])


def test_class_thresholds_and_chosen_classes():
    scores = [[0.6, 0], [0, 0], [0, 0.6]]
    assert len(run(scores, PostprocessSettings(class_thresholds=(('cone', 0.7),)))) == 1
    assert run(scores, PostprocessSettings(classes=('cube',))).labels.tolist() == [1]
    with pytest.raises(ValueError, match='"dog" is not one of'):
        run(scores, PostprocessSettings(classes=('dog',)))


def test_max_detections_keeps_the_best():
    found = run([[0.6, 0], [0, 0.7], [0.9, 0]], PostprocessSettings(max_detections=1))
    np.testing.assert_allclose(found.scores, [0.9], rtol=1e-5)


def test_nan_logits_are_no_detections():
    assert len(run([[np.nan, np.nan], [0.9, 0]])) == 1


@pytest.mark.parametrize('field, value', [
    ('score_threshold', 1.5), ('score_threshold', float('nan')), ('nms_threshold', -0.1),
    ('max_detections', 0), ('class_thresholds', (('cone', 7.0),))])
def test_settings_out_of_range_are_refused_by_name(field, value):
    with pytest.raises(ValueError, match=field):
        PostprocessSettings(**{field: value})


@pytest.mark.parametrize('threshold', [0.0, 0.3, 0.5, 1.0])
def test_nms_agrees_with_torchvision(threshold):
    torch = pytest.importorskip('torch')
    from torchvision.ops import nms as reference
    rng = np.random.default_rng(3)
    low = rng.uniform(0, 100, (200, 2))
    boxes = np.concatenate([low, low + rng.uniform(5, 60, (200, 2))], -1)
    scores = rng.permutation(200) / 200
    expected = reference(torch.from_numpy(boxes), torch.from_numpy(scores), threshold)
    np.testing.assert_array_equal(nms(boxes, scores, threshold), expected.numpy())


@pytest.mark.parametrize('hw', [(480, 640), (1081, 1921), (217, 333), (1, 1), (640, 3)])
@pytest.mark.parametrize('mode', ['letterbox', 'stretch'])
def test_placement_round_trips_and_fits(hw, mode):
    placement = Placement.of(hw, (320, 320), mode)
    assert 1 <= placement.width <= 320 and 1 <= placement.height <= 320
    whole = np.array([[0.0, 0, hw[1], hw[0]]])
    np.testing.assert_allclose(placement(placement.to_input(whole)), whole)
    np.testing.assert_allclose(placement.to_input(whole),
                               [[0, 0, placement.width, placement.height]])


def test_boxes_come_back_in_source_pixels_and_clipped():
    placement = Placement.of((480, 640), (320, 320), 'letterbox')
    found = run([[0.9, 0], [0, 0], [0.8, 0]], placement=placement)
    np.testing.assert_allclose(found.xyxy, [[160, 160, 240, 240], [440, 340, 560, 460]],
                               rtol=1e-5)
    wide = run([[0.9, 0]], placement=placement, deltas=np.array([[0, 0, 20.0, 20.0]]))
    np.testing.assert_allclose(wide.xyxy, [[0, 0, 640, 480]])
