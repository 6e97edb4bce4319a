"""VOC average precision agrees with two independent implementations, edge cases included."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from cases import CLASSES, case, detections_of, photographs, truth_of
from hypothesis import given, settings

from ssd_perception.evaluation.voc import average_precision


def devkit_ap(detections, truths, label, method, minoverlap=Fraction(1, 2)):
    """Return AP as VOCevaldet.m of the VOC devkit computes it: one loop over all detections.

    In exact fractions, so that nothing hangs on rounding; boxes are continuous here, where the
    devkit adds 1 to the sides of its whole pixels. 11-point recalls are k / 10 (0.1 added up,
    as the devkit does, misses a recall of exactly 0.3).
    """
    objects = [[(tuple(Fraction(float(v)) for v in box), bool(difficult), [False])
                for box, its, difficult in zip(truth.xyxy, truth.labels, truth.difficult)
                if its == label] for truth in truths]
    npos = sum(not difficult for image in objects for _, difficult, _ in image)
    lines = [(float(score), i, tuple(Fraction(float(v)) for v in box))
             for i, found in enumerate(detections)
             for box, score, its in zip(found.xyxy, found.scores, found.labels) if its == label]
    lines.sort(key=lambda line: -line[0])
    tp, fp = [], []
    for _, image, bb in lines:
        ovmax, jmax = -1, None
        for bbgt, difficult, det in objects[image]:
            iw = min(bb[2], bbgt[2]) - max(bb[0], bbgt[0])
            ih = min(bb[3], bbgt[3]) - max(bb[1], bbgt[1])
            if iw > 0 and ih > 0:
                ua = ((bb[2] - bb[0]) * (bb[3] - bb[1])
                      + (bbgt[2] - bbgt[0]) * (bbgt[3] - bbgt[1]) - iw * ih)
                if iw * ih / ua > ovmax:
                    ovmax, jmax = iw * ih / ua, (difficult, det)
        true = false = 0
        if ovmax >= minoverlap:
            difficult, det = jmax
            if not difficult:
                if det[0]:
                    false = 1
                else:
                    true, det[0] = 1, True
        else:
            false = 1
        tp.append((tp[-1] if tp else 0) + true)
        fp.append((fp[-1] if fp else 0) + false)
    if npos == 0:
        return float('nan')
    rec = [Fraction(t, npos) for t in tp]
    prec = [Fraction(t, t + f) if t + f else Fraction(0) for t, f in zip(tp, fp)]
    if method == 'voc07':
        return float(sum(max((p for p, r in zip(prec, rec) if r >= Fraction(k, 10)), default=0)
                         for k in range(11)) / Fraction(11))
    mrec, mpre = [Fraction(0), *rec, Fraction(1)], [Fraction(0), *prec, Fraction(0)]
    for i in range(len(mpre) - 2, -1, -1):
        mpre[i] = max(mpre[i], mpre[i + 1])
    return float(sum((mrec[i] - mrec[i - 1]) * mpre[i] for i in range(1, len(mrec))))


def assert_like_the_devkit(detections, truths, classes=CLASSES):
    for method in ('voc07', 'voc10'):
        ours = average_precision(detections, truths, [str(i) for i in range(classes)], method)
        for label in range(classes):
            assert ours[str(label)] == pytest.approx(
                devkit_ap(detections, truths, label, method), abs=1e-12, nan_ok=True)


@given(case)
@settings(max_examples=150, deadline=None)
def test_any_case_is_like_the_devkit(images):
    assert_like_the_devkit(*images)


A, B, HALF = (0, 0, 4, 4), (10, 0, 14, 4), (0, 0, 4, 2)


@pytest.mark.parametrize('found, objects', [
    ([], []),
    ([], [(A, 0, False)]),
    ([(A, 0.5, 0)], []),
    ([(A, 0.5, 0)], [(A, 1, False)]),  # only the other class
    ([(A, 0.5, 0)], [(A, 0, True)]),  # only a difficult object
    ([(A, 0.5, 0), (A, 0.4, 0)], [(A, 0, True), (B, 0, False)]),  # found twice, ignored twice
    ([(A, 0.5, 0), (A, 0.4, 0), (B, 0.3, 0)], [(A, 0, False), (B, 0, False)]),  # duplicate
    ([(A, 0.5, 0), (A, 0.5, 0)], [(A, 0, False)]),  # a tie between true and duplicate
    ([(B, 0.5, 0), (A, 0.5, 0)], [(A, 0, False)]),  # a tie between false and true
    ([(HALF, 0.5, 0)], [(A, 0, False)]),  # overlap of exactly one half
    ([(A, 0.5, 0)], [(A, 0, False), (A, 0, False)]),  # two objects in one place
    ([(A, 0.5, 0), (A, 0.4, 0)], [(A, 0, False), (A, 0, False)]),
    ([(A, 0.5, 0)], [(A, 0, True), (A, 0, False)]),  # difficult and not in one place
    ([((0, 0, 0, 4), 0.5, 0)], [(A, 0, False)]),  # a detection without area
], ids=str)
def test_edge_cases_are_like_the_devkit(found, objects):
    assert_like_the_devkit([detections_of(found)], [truth_of(objects)])


@pytest.mark.parametrize('found', [3, 7])
def test_a_recall_of_whole_tenths_counts(found):
    """3 of 10 objects found is a recall of 0.3, also where 0.1 + 0.1 + 0.1 is more."""
    boxes = [(20 * i, 0, 20 * i + 10, 10) for i in range(10)]
    detections = [detections_of([(b, 0.5, 0) for b in boxes[:found]])]
    truths = [truth_of([(b, 0, False) for b in boxes])]
    assert average_precision(detections, truths, ['x'], 'voc07')['x'] == \
        pytest.approx((found + 1) / 11)


@pytest.mark.parametrize('difficult', [0.0, 0.3])
@pytest.mark.parametrize('classes', [1, 20])
def test_photographs_are_like_the_devkit(classes, difficult):
    assert_like_the_devkit(*photographs(classes, classes, 40, difficult), classes)


@pytest.mark.parametrize('seed, classes', [(0, 1), (1, 3), (2, 20)])
def test_photographs_are_like_mean_average_precision(seed, classes):
    """Compare with the package mean-average-precision (github.com/bes-dev).

    It counts whole pixels, so it is given the last ones. Without difficult objects: it counts
    them as objects to be found, which VOC does not, and gives their flags to the wrong ones.
    """
    library = pytest.importorskip('mean_average_precision')

    detections, truths = photographs(seed, classes)
    metric = library.MetricBuilder.build_evaluation_metric('map_2d', num_classes=classes)
    last_pixel = np.array([0, 0, 1, 1])
    for found, truth in zip(detections, truths):
        metric.add(
            np.column_stack([found.xyxy.astype(float) - last_pixel, found.labels, found.scores]),
            np.column_stack([truth.xyxy - last_pixel, truth.labels,
                             np.zeros((len(truth.labels), 2))]))
    names = [str(i) for i in range(classes)]
    for method, recalls in (('voc07', np.arange(11) / 10), ('voc10', None)):
        ours = average_precision(detections, truths, names, method)
        theirs = metric.value(iou_thresholds=0.5, recall_thresholds=recalls, mpolicy='greedy')
        assert sum(ours.values()) > 0.1 * classes  # zeros would agree too
        for label, name in enumerate(names):
            assert ours[name] == pytest.approx(theirs[0.5][label]['ap'], abs=1e-6)
