"""Mining finds the frames that stand out, and a count of them says so."""

import importlib.util
from pathlib import Path
from types import SimpleNamespace

import numpy as np

from ssd_perception.core.detections import Detections
from ssd_perception.core.postprocess import PostprocessSettings
from ssd_perception.replay.thresholds import ScoreThresholds

TOOL = Path(__file__).parents[2] / 'tools/count_rare_frames.py'


def test_frames_that_stand_out_are_counted_for_each_way():
    spec = importlib.util.spec_from_file_location('count_rare_frames', TOOL)
    tool = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tool)
    shows = np.arange(60) % 6 == 0
    results = [SimpleNamespace(error='', topic='', detections=Detections(
        [(0, 0, 9, 9)], [0.5 if rare else 0.99], [0])) for rare in shows]
    features = np.where(shows, np.arange(60) + 9.0, 0.0)[:, None]
    found = tool.rare_among_chosen(results, features, shows,
                                   ScoreThresholds(PostprocessSettings(0.5), ('a',)), draws=40)
    assert found['mined'] == [2] * 40  # the first and the third: the second is too near to both
    # Of 53 frames 10 are chosen: 0.57 of the three are expected.
    assert 0.3 < np.mean(found['random']) < 0.9 and np.mean(found['even']) < 1.2
