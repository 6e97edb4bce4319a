"""The tool's truth in metres is that of the recording's images: its boxes lead back to it."""

import runpy
from pathlib import Path
from types import SimpleNamespace

import numpy as np

from ssd_perception.scene.positions import PositionSettings

ROOT = Path(__file__).parents[2]
tool = SimpleNamespace(**runpy.run_path(str(ROOT / 'tools' / 'measure_positions.py')))


class Nothing:
    """A detector that finds nothing."""

    class_names = ('cone', 'cube')

    def detect(self, images, settings):
        return SimpleNamespace(detections=[None] * len(images))


def test_exact_boxes_and_mountings_give_the_places_of_the_plan():
    path = ROOT / 'demo' / 'recording'
    drive = tool.Drive(path, Nothing())
    drive.found = drive.truths
    measured = tool.measure(drive, tool.plan_of(path), 0.5, PositionSettings(('ground',)),
                            Nothing.class_names)
    exact, off, fixed = measured.values()
    assert len(exact.ranges) > 150 and exact.ranges.max() <= tool.FAR_M
    medians = [np.median(np.abs(errors.along) / errors.ranges) for errors in measured.values()]
    assert medians[0] < 0.015 and medians[0] < min(medians[1:])
    assert np.median(np.abs(exact.across)) < 0.02
    assert exact.cells()[0] == str(len(exact.ranges)) and len(exact.cells()) == 5
