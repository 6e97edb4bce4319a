"""Post-processing: thresholds, NMS against torchvision's, limits, and the way to source pixels."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ssd_perception.core import postprocess as module
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


def slowly(logits, thresholds, limit):
    """The same candidates, one comparison at a time."""
    found = [(float(logits[row, label]), row, label)
             for row in range(logits.shape[0]) for label in range(logits.shape[1])
             if logits[row, label] >= thresholds[label]]
    best = sorted(found, key=lambda c: -c[0])[:limit]  # stable: of equal ones the earlier
    return sorted((row, label, value) for value, row, label in best)


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_candidates_are_those_of_a_slow_search(data):
    rows, classes = data.draw(st.integers(1, 12)), data.draw(st.integers(1, 4))
    # few different values, so that ties and values on a threshold are common
    values = st.sampled_from([-np.inf, np.inf, np.nan, -2.0, -0.1, 0.0, 0.1, 1 / 3, 2.0])
    logits = np.array([[data.draw(values) for _ in range(classes)] for _ in range(rows)],
                      data.draw(st.sampled_from([np.float32, np.float64])))
    one = st.one_of(values.filter(lambda v: not np.isnan(v)),
                    st.just(float(np.float32(0.1))), st.just(float(np.float32(1 / 3))))
    thresholds = np.array([data.draw(one) for _ in range(classes)])
    limit = data.draw(st.integers(1, 20))
    before, module.MAX_CANDIDATES = module.MAX_CANDIDATES, limit
    try:
        found = module._candidates(logits, thresholds)
    finally:
        module.MAX_CANDIDATES = before
    assert sorted(zip(*(part.tolist() for part in found))) == slowly(logits, thresholds, limit)


def test_a_threshold_between_two_numbers_of_the_logits_type_is_kept_exactly():
    logits = np.array([[0.1]], np.float32)  # a little more than 0.1 in float64
    for threshold, count in ((np.float64(np.float32(0.1)), 1),
                             (np.nextafter(np.float64(np.float32(0.1)), 1), 0)):
        assert len(module._candidates(logits, np.array([threshold]))[0]) == count


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_softmax_scores_are_those_of_all_rows_computed(data):
    seed, per_class = data.draw(st.integers(0, 2 ** 32)), data.draw(st.integers(0, 3))
    rng = np.random.default_rng(seed)
    logits = rng.normal(scale=3, size=(data.draw(st.integers(1, 20)), 4)).astype(np.float32)
    logits[rng.random(logits.shape) < 0.05] = data.draw(st.sampled_from(
        [np.nan, -np.inf, -1e30, 80]))
    thresholds = np.array([data.draw(st.sampled_from([0.0, 0.001, 0.3, 0.9, 2.0]))
                           for _ in range(2)])
    rows, labels, scores = module._scored(logits, thresholds,
                                          module.Scoring('softmax', 2, per_class))
    with np.errstate(all='ignore'):
        exponentials = np.exp(logits.astype(np.float64) - logits.max(1, keepdims=True))
        wanted = (exponentials / exponentials.sum(1, keepdims=True))[:, :2]
    expected = {(row, label) for row, label in zip(*np.nonzero(wanted >= thresholds))}
    if per_class:
        expected = {place for label in range(2) for place in sorted(
            (p for p in expected if p[1] == label), key=lambda p: -wanted[p])[:per_class]}
        assert len(rows) == len(expected)  # of equal scores any may stay
    else:
        assert set(zip(rows.tolist(), labels.tolist())) == expected
    np.testing.assert_allclose(scores, wanted[rows, labels], rtol=1e-9, atol=1e-300)


def test_other_columns_are_no_class_with_sigmoid_either():
    logits = np.array([[-9, 9, 9], [-9, -9, 9]], np.float32)
    found = postprocess(logits, np.zeros((2, 4)), ANCHORS[:2], BoxCoder(), PostprocessSettings(),
                        NAMES, SAME, module.Scoring('sigmoid', 1))
    assert found.labels.tolist() == [1]


def test_softmax_needs_the_background_to_say_nothing():
    scoring = module.Scoring('softmax', 1)
    logits = np.array([[4, 0, 9], [9, 0, 4], [0, 9, 0]], np.float32)  # cone, cube, background
    found = postprocess(logits, np.zeros((3, 4)), ANCHORS, BoxCoder(), PostprocessSettings(),
                        NAMES, SAME, scoring)
    assert found.labels.tolist() == [1, 0] and (found.scores > 0.99).all()
