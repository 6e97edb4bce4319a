"""Chosen frames are doubtful, unlike each other and apart in time; the comparisons are plain."""

import numpy as np
import pytest

from ssd_perception.core.detections import Detections
from ssd_perception.core.postprocess import PostprocessSettings
from ssd_perception.mining.choose import (
    choose_even,
    choose_mined,
    choose_random,
    elapsed,
    frame_uncertainty,
)
from ssd_perception.replay.thresholds import ScoreThresholds
from ssd_perception.replay.times import FrameTimes
from ssd_perception.replay.work_folder import FrameResult

THRESHOLDS = ScoreThresholds(PostprocessSettings(0.5), ('cube', 'cone'))
SECOND = 10 ** 9


def frame(index, *scores, topic='/camera', error='', seconds=None):
    stamp = round((index if seconds is None else seconds) * SECOND)
    found = Detections([[0, 0, 9, 9]] * len(scores), sorted(scores, reverse=True),
                       [0] * len(scores)) if scores else Detections.empty()
    return FrameResult(index, topic, stamp, stamp, 'camera', 64, 48, found, error)


def mined(frames, features, count, apart_ns):
    return choose_mined(frames, THRESHOLDS, elapsed(frames, FrameTimes(frames)), features, count,
                        apart_ns)


def places(choices):
    return [choice.place for choice in choices]


def test_uncertainty_is_a_sum_that_faint_detections_do_not_enter():
    frames = [frame(0), frame(1, 1.0), frame(2, 0.5), frame(3, 0.5, 0.5, 0.75), frame(4, 0.2),
              frame(5, 0.25)]
    assert frame_uncertainty(frames, THRESHOLDS) == pytest.approx([0, 0, 1, 2.5, 0, 0.5])
    unwanted = ScoreThresholds(PostprocessSettings(0.5, classes=('cone',)), ('cube', 'cone'))
    assert frame_uncertainty(frames, unwanted).tolist() == [0.0] * 6
    assert frame_uncertainty([], THRESHOLDS).shape == (0,)


def test_without_features_the_most_doubtful_come_first():
    frames = [frame(0, 0.9), frame(1, 0.55), frame(2, 0.7), frame(3)]
    chosen = mined(frames, None, 3, 0)
    assert places(chosen) == [1, 2, 0] and {c.novelty for c in chosen} == {None}


def test_frames_are_apart_within_a_camera_only():
    frames = [frame(0, 0.5, seconds=0), frame(1, 0.52, seconds=0.3), frame(2, 0.6, seconds=0.5),
              frame(3, 0.51, seconds=0.1, topic='/rear')]
    assert places(mined(frames, None, 4, SECOND // 2)) == [0, 3, 2]
    assert places(mined(frames, None, 4, 0)) == [0, 3, 1, 2]


def test_novelty_prefers_what_was_not_seen():
    # Frames 0 to 3 look the same and are a little more doubtful than 4, which looks different.
    frames = [frame(i, 0.5) for i in range(4)] + [frame(4, 0.7)]
    features = np.array([[0.0], [0.01], [0.02], [0.03], [1.0]])
    chosen = mined(frames, features, 3, 0)
    assert places(chosen) == [0, 4, 3]
    assert [c.novelty for c in chosen] == [None, pytest.approx(1.0), pytest.approx(0.03)]
    assert places(mined(frames, None, 2, 0)) == [0, 1]


def test_a_strange_frame_without_any_detection_can_be_chosen():
    frames = [frame(0, 0.5), frame(1, 0.5), frame(2)]
    features = np.array([[0.0], [0.001], [1.0]])
    assert places(mined(frames, features, 2, 0)) == [0, 2]


def test_unreadable_frames_are_never_chosen():
    frames = [frame(0, error='broken'), frame(1, 0.6), frame(2, error='broken')]
    assert places(mined(frames, np.zeros((3, 2)), 3, 0)) == [1]
    assert places(choose_random(frames, THRESHOLDS, 3, 0)) == [1]
    assert places(choose_even(frames, THRESHOLDS, 3)) == [1]
    assert mined(frames[:1], None, 3, 0) == []


def test_comparisons():
    frames = [frame(i, 0.5) for i in range(100)]
    assert places(choose_even(frames, THRESHOLDS, 4)) == [0, 33, 66, 99]
    one, same, other = (places(choose_random(frames, THRESHOLDS, 10, s)) for s in (1, 1, 2))
    assert one == same != other and len(set(one)) == 10
    assert len(choose_random(frames, THRESHOLDS, 1000, 1)) == 100
