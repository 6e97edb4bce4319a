"""`tools/measure_far.py`: which objects count, where they lie, and how they are counted."""

from __future__ import annotations

import runpy
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from ssd_perception.core.detections import Detections, GroundTruth
from ssd_perception.data.voc import read_voc

ROOT = Path(__file__).resolve().parents[2]
far = SimpleNamespace(**runpy.run_path(str(ROOT / 'tools' / 'measure_far.py')))
NAMES = ('cone', 'cube')


@pytest.mark.parametrize('boxes, clear', [
    ([], []),
    ([[100, 100, 150, 200]], [True]),
    ([[100, 100, 150, 190]], [False]),  # less than 96 px high
    ([[100, 100, 150, 200], [120, 100, 200, 260]], [False, False]),  # overlapped
    ([[100, 100, 150, 200], [300, 100, 380, 260]], [True, True]),
    ([[0, 100, 150, 200], [590, 300, 638, 479]], [False, False]),  # cut by the edge
])
def test_large_whole_and_lonely_objects_are_clear(boxes, clear):
    truth = GroundTruth(np.array(boxes, float).reshape(-1, 4), np.zeros(len(boxes), int))
    assert far.is_clear(truth, 480, 640).tolist() == clear


def test_every_clear_object_is_once_in_each_size_of_grid_and_a_perfect_detector_finds_it():
    samples = read_voc(ROOT / 'demo' / 'rendered_val', 'val')[:16]
    grids = list(far.grids(samples, NAMES))
    assert len(grids) == 4 + 2 + 1 + 1
    assert all(grid.image.shape == (480, 640, 3) for grid in grids)
    first = [grids[:4], grids[6:7]]  # 2x2 and 4x4 hold sixteen images each, none twice
    assert len({sum(grid.clear.sum() for grid in part) for part in first}) == 1
    answers = iter(grids)

    def perfect(image):
        truth = next(answers).truth
        return Detections(truth.xyxy, np.ones(len(truth.labels)), truth.labels)

    perfect.class_names = NAMES
    rows = far.measure(perfect, grids)
    cells = [cell.split(' of ') for row in rows for cell in row.split(' | ')[1:-1]]
    assert sum(int(total) for _, total in cells) == sum(grid.clear.sum() for grid in grids) > 0
    assert all(found == total for found, total in cells)
    assert all(row.endswith('| 0 |') for row in rows)
