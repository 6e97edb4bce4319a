"""The figures of an analysis agree with each other and go into JSON."""

from __future__ import annotations

import json

import numpy as np
import pytest
from cases import CLASSES, case, detections_of, photographs, truth_of
from hypothesis import given, settings

from ssd_perception.core.format import to_json
from ssd_perception.evaluation.accuracy import accuracy
from ssd_perception.evaluation.analysis import MAX_CURVE_POINTS, analyse
from ssd_perception.evaluation.latency import StageTime, stage_times
from ssd_perception.evaluation.thresholds import GRID, best_f1
from ssd_perception.evaluation.voc import precision_recall

NAMES = ('x', 'y')


@given(case)
@settings(max_examples=30, deadline=None)
def test_any_case_agrees_with_itself(images):
    detections, truths = images
    analysis = analyse(detections, truths, NAMES, 0.5)
    figures = json.loads(json.dumps(analysis.to_json(), allow_nan=False))
    assert to_json(accuracy(detections, truths, NAMES)).items() <= {
        **figures, 'per_class': {
            name: {key: value for key, value in row.items() if not isinstance(value, dict)
                   and key != 'best_f1'} for name, row in figures['per_class'].items()}}.items()
    point = figures['operating_point']
    objects, wrong = figures['objects'], sum(figures['false_positives'].values())
    hits = objects - figures['misses']
    assert len(analysis.false_positives) == wrong
    assert len(analysis.misses) == figures['misses']
    if objects:
        assert point['recall'] == pytest.approx(hits / objects, abs=1e-4)
        assert point['precision'] == pytest.approx(hits / max(1, hits + wrong), abs=1e-4)
        assert figures['best_f1']['f1'] >= point['f1'] - 0.002
    else:
        assert point['recall'] is point['precision'] is figures['best_f1'] is None
    assert objects == sum(row['objects'] for row in figures['sizes'].values())
    assert objects == sum(map(sum, figures['confusion']['counts'][:CLASSES]))
    assert objects + figures['difficult'] == sum(len(t.labels) for t in truths)


def test_best_f1_of_a_class_is_its_own():
    # x is separated from false ones above 0.75, y only below: no threshold serves both
    detections = [detections_of([((0, 0, 9, 9), 0.9, 0), ((50, 0, 59, 9), 0.6, 0),
                                 ((0, 50, 9, 59), 0.3, 1), ((50, 50, 59, 59), 0.2, 1)])]
    truths = [truth_of([((0, 0, 9, 9), 0, False), ((0, 50, 9, 59), 1, False)])]
    figures = analyse(detections, truths, NAMES, 0.5).to_json()
    best = {name: row['best_f1'] for name, row in figures['per_class'].items()}
    assert 0.6 < best['x']['threshold'] <= 0.9 and best['x']['f1'] == 1
    assert 0.2 < best['y']['threshold'] <= 0.3 and best['y']['f1'] == 1
    assert figures['per_class']['y']['at_threshold'] == {'precision': 0, 'recall': 0, 'f1': 0}
    assert figures['best_f1']['f1'] < 1
    both = best_f1([precision_recall(detections, truths, label) for label in range(2)])
    assert figures['best_f1'] == to_json(both)


def test_sizes_and_their_recall():
    small, large = (0, 0, 20, 20), (100, 100, 300, 300)
    figures = analyse([detections_of([(large, 0.9, 0)])],
                      [truth_of([(small, 0, False), (large, 0, False), (large, 1, True)])],
                      NAMES, 0.5).to_json()
    assert figures['sizes'] == {
        'small': {'objects': 1, 'recall': 0.0, 'coco_ap': 0.0},
        'medium': {'objects': 0, 'recall': None, 'coco_ap': None},
        'large': {'objects': 1, 'recall': 1.0, 'coco_ap': 1.0}}
    assert figures['objects'] == 2 and figures['difficult'] == 1


def test_along_the_thresholds_precision_and_recall_are_those_of_the_curve():
    detections, truths = photographs(0, 2)
    over = analyse(detections, truths, NAMES, 0.5).to_json()['over_thresholds']
    assert over['threshold'] == pytest.approx(GRID)
    assert (np.diff(over['recall']) <= 0).all()
    one = analyse(detections, truths, ('x',), 0.5).to_json()
    curve = precision_recall(detections, truths, 0)
    last = (curve.scores >= 0.5).sum() - 1
    assert one['operating_point']['precision'] == pytest.approx(curve.precision[last], abs=1e-4)
    assert one['operating_point']['recall'] == pytest.approx(curve.recall[last], abs=1e-4)


@pytest.mark.parametrize('images', [30, 600])
def test_a_thinned_curve_is_the_curve(images):
    detections, truths = photographs(1, 1, images)
    points = analyse(detections, truths, ('x',), 0.5).to_json()['pr_curves']['x']['iou_0.50']
    curve = precision_recall(detections, truths, 0)
    assert len(points['recall']) <= min(MAX_CURVE_POINTS, len(curve.scores))
    assert points['recall'][-1] == pytest.approx(curve.recall[-1], abs=1e-5)
    envelope = np.maximum.accumulate(points['precision'][::-1])[::-1]
    area = np.sum(np.diff([0, *points['recall']]) * envelope)
    assert area == pytest.approx(curve.ap('voc10'), abs=0.003)


@pytest.mark.parametrize('timings, expected', [
    ({}, {}),
    ({'network': []}, {}),
    ({'network': [2.0], 'postprocess': [1.0]},
     {'network': (2, 2), 'postprocess': (1, 1), 'total': (3, 3)}),
    ({'a': [1.0, 2, 3], 'b': [3.0, 2, 1]}, {'a': (2, 2.9), 'b': (2, 2.9), 'total': (4, 4)}),
])
def test_stage_times(timings, expected):
    assert stage_times(timings) == {
        stage: StageTime(pytest.approx(median), pytest.approx(p95))
        for stage, (median, p95) in expected.items()}
