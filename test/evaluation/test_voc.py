"""Average precision: hand-made cases, and agreement with COCO's implementation."""

import numpy as np
import pytest

from ssd_perception.core.detections import Detections, GroundTruth
from ssd_perception.evaluation.coco import coco_figures
from ssd_perception.evaluation.thresholds import best_f1, best_threshold
from ssd_perception.evaluation.voc import average_precision, mean_ap, precision_recall

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
    theirs = coco_figures(detections, truths, ['a', 'b', 'c'])
    assert ours == pytest.approx(theirs.ap50, abs=0.015)


@pytest.mark.parametrize('detections, truths, expected', [
    ([found()], [truth()], float('nan')), ([found()], [truth(BOX)], 0.0),
    ([found(BOX)], [truth(BOX)], 1.0)])
def test_coco_edge_cases(detections, truths, expected):
    figures = coco_figures(detections, truths, ['x'])
    assert figures.ap == pytest.approx(expected, nan_ok=True)


def test_best_f1_lies_between_true_and_false():
    detections = [found(BOX, scores=[0.8]), found(FAR, scores=[0.3])]
    best = best_f1([precision_recall(detections, [truth(BOX), truth(OTHER)], 0)])
    assert 0.3 < best.threshold <= 0.8
    assert best.precision == 1.0 and best.recall == 0.5


def curves_of(false_score, objects):
    """Return one class's curve: ``objects`` found at 0.6 and 0.7, one false box."""
    scores = [0.7] + [0.6] * (objects - 1)
    boxes = [[0, 100 * i, 50, 100 * i + 50] for i in range(objects)]
    rows = sorted([*zip(scores, boxes), (false_score, [900, 900, 950, 950])], key=lambda r: -r[0])
    return [precision_recall([found(*(b for _, b in rows), scores=[s for s, _ in rows])],
                             [truth(*boxes)], 0)]


def test_every_set_has_the_same_weight_in_the_choice_of_the_threshold():
    few, many = curves_of(0.65, 1), curves_of(0.3, 40)
    assert 0.65 < best_threshold([few]) <= 0.7 and 0.3 < best_threshold([many]) <= 0.6
    # above 0.6 the large set loses 39 of 40 objects; up to 0.6 the small one gains a false box
    assert 0.3 < best_threshold([few, many]) <= 0.6
    assert best_threshold([few, few, many]) == best_threshold([few, many])
    # ten small sets outweigh one large set, whatever its number of objects
    assert 0.65 < best_threshold([few] * 10 + [many]) <= 0.7
    empty = [precision_recall([found(FAR)], [truth()], 0)]
    assert best_threshold([few, empty]) == best_threshold([few])
    assert best_threshold([empty]) == 0.5
