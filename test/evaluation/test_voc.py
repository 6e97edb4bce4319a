"""Average precision: hand-made cases, and agreement with COCO's implementation."""

import numpy as np
import pytest

from ssd_perception.core.detections import Detections, GroundTruth
from ssd_perception.evaluation.coco import coco_figures
from ssd_perception.evaluation.thresholds import best_f1
from ssd_perception.evaluation.voc import average_precision, mean_ap

BOX = [10.0, 10, 50, 50]
OTHER = [100.0, 100, 180, 160]
FAR = [300.0, 300, 320, 340]


def found(*boxes, scores=None, labels=None):
    n = len(boxes)
    return Detections(np.array(boxes).reshape(-1, 4),
                      np.linspace(0.9, 0.5, n) if scores is None else scores,
                      np.zeros(n) if labels is None else labels)


def truth(*boxes, labels=None, difficult=None):
    n = len(boxes)
    return GroundTruth(np.array(boxes).reshape(-1, 4), np.zeros(n, int) if labels is None
                       else np.array(labels), None if difficult is None else np.array(difficult))


@pytest.mark.parametrize('detections, truths, voc10, voc07', [
    ([found()], [truth(BOX)], 0.0, 0.0),
    ([found(BOX)], [truth(BOX)], 1.0, 1.0),
    ([found(FAR)], [truth(BOX)], 0.0, 0.0),
    ([found(BOX)], [truth(BOX, OTHER)], 0.5, 6 / 11),
    ([found(FAR, BOX)], [truth(BOX)], 0.5, 0.5),
    ([found(BOX, BOX)], [truth(BOX)], 1.0, 1.0),  # the duplicate comes after full recall
    ([found(BOX, BOX, OTHER)], [truth(BOX, OTHER)], 0.5 + 0.5 * 2 / 3, (6 + 5 * 2 / 3) / 11),
    ([found(BOX, FAR)], [truth(BOX, FAR, difficult=[False, True])], 1.0, 1.0),
    ([found(FAR, BOX)], [truth(BOX, FAR, difficult=[False, True])], 1.0, 1.0),
    ([found(BOX), found()], [truth(BOX), truth()], 1.0, 1.0),
    ([found(), found(BOX)], [truth(BOX), truth()], 0.0, 0.0),  # right box, wrong image
])
def test_by_hand(detections, truths, voc10, voc07):
    assert average_precision(detections, truths, ['x'], 'voc10')['x'] == pytest.approx(voc10)
    assert average_precision(detections, truths, ['x'], 'voc07')['x'] == pytest.approx(voc07)


def test_no_objects_is_not_a_number_and_left_out_of_the_mean():
    per_class = average_precision([found(BOX)], [truth(BOX)], ['x', 'absent'])
    assert np.isnan(per_class['absent']) and mean_ap(per_class) == 1.0
    assert np.isnan(mean_ap(average_precision([found()], [truth()], ['x'])))


def random_case(seed, images=40):
    rng = np.random.default_rng(seed)
    detections, truths = [], []
    for _ in range(images):
        n = rng.integers(0, 5)
        low = rng.uniform(0, 400, (n, 2))
        boxes = np.concatenate([low, low + rng.uniform(20, 150, (n, 2))], -1)
        truths.append(GroundTruth(boxes, rng.integers(0, 3, n)))
        seen = rng.random(n) < 0.8
        extra = rng.uniform(0, 300, (rng.integers(0, 3), 2))
        noisy = np.concatenate([boxes[seen] + rng.normal(0, 4, (seen.sum(), 4)),
                                np.concatenate([extra, extra + 60], -1)])
        labels = np.concatenate([truths[-1].labels[seen], rng.integers(0, 3, len(extra))])
        order = np.argsort(-(scores := rng.random(len(noisy))))
        detections.append(Detections(noisy[order], scores[order], labels[order]))
    return detections, truths


@pytest.mark.parametrize('seed', range(5))
def test_all_point_ap_is_close_to_cocos(seed):
    """COCO samples the same curve at 101 recalls, so both agree to about a percent."""
    detections, truths = random_case(seed)
    ours = mean_ap(average_precision(detections, truths, ['a', 'b', 'c']))
    theirs, _ = coco_figures(detections, truths, ['a', 'b', 'c'])
    assert ours == pytest.approx(theirs['coco_ap50'], abs=0.015)


@pytest.mark.parametrize('detections, truths, expected', [
    ([found()], [truth()], float('nan')), ([found()], [truth(BOX)], 0.0),
    ([found(BOX)], [truth(BOX)], 1.0)])
def test_coco_edge_cases(detections, truths, expected):
    figures, _ = coco_figures(detections, truths, ['x'])
    assert figures['coco_ap'] == pytest.approx(expected, nan_ok=True)


def test_best_f1_lies_between_true_and_false():
    detections = [found(BOX, scores=[0.8]), found(FAR, scores=[0.3])]
    threshold, figures = best_f1(detections, [truth(BOX), truth(OTHER)], 1)
    assert 0.3 < threshold <= 0.8
    assert figures['precision'] == 1.0 and figures['recall'] == 0.5
