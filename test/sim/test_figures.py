"""Success, errors of positions and ids are what the truth beside the messages says."""

from __future__ import annotations

import math

import numpy as np
import pytest

pytest.importorskip('vision_msgs')
try:
    import sim.rover  # noqa: F401
except ImportError as error:
    pytest.skip(f'no MuJoCo with EGL: {error}', allow_module_level=True)
from vision_msgs.msg import (  # noqa: E402
    Detection3D,
    Detection3DArray,
    ObjectHypothesis,
    ObjectHypothesisWithPose,
)

from sim.course import make_course  # noqa: E402
from sim.episode import Drive, Moment, Settings, judge  # noqa: E402
from sim.figures import figures, matches, to_base  # noqa: E402

POSE = (0.4, -0.2, 0.3)


def published(*rows):
    """Return (class, id, x, y) in base_link as a message, 0.1 m certain."""
    message = Detection3DArray()
    for class_id, track, x, y in rows:
        result = ObjectHypothesisWithPose(
            hypothesis=ObjectHypothesis(class_id=class_id, score=0.9))
        result.pose.covariance = (np.eye(6) * 0.01).ravel()
        found = Detection3D(id=track, results=[result])
        found.bbox.center.position.x, found.bbox.center.position.y = float(x), float(y)
        message.detections.append(found)
    return message


@pytest.fixture
def drive():
    return Drive(make_course(1), distance=0.52, seconds=10.0)  # cones 0 and 1


def moment(drive, *rows):
    places = np.array([[thing.x, thing.y] for thing in drive.course.things])
    return Moment(0, b'', POSE, places, positions=published(*rows))


def test_positions_belong_to_the_nearest_thing_of_their_class(drive):
    right, behind = to_base(
        np.array([[t.x, t.y] for t in drive.course.things[:2]]), POSE)
    found = matches(drive, moment(drive, ('cone', '1', *right + [0.1, 0]), ('cone', '2', *behind),
                                  ('cube', '3', *right), ('cone', '4', 1.0, -2.5)))
    assert [match.thing for match in found] == [0, 1, None, None]
    assert found[0].sigmas == pytest.approx(1) and math.isnan(found[2].sigmas)
    np.testing.assert_allclose(found[1].xy, [drive.course.things[1].x, drive.course.things[1].y])
    assert matches(drive, moment(drive)) == []


def test_ids_that_change_cost_idf1(drive):
    right = to_base(np.array([[drive.course.right.x, drive.course.right.y]]), POSE)[0]
    for tracks, idf1 in ((['1'] * 4, 1.0), (['1', '1', '2', '2'], 0.5)):
        drive.moments = [moment(drive, ('cone', track, *right)) for track in tracks]
        summary = figures([drive], Settings())
        assert summary.tracks.idf1_of_located == idf1
        assert summary.positions.range_error_median < 1e-9
        assert summary.succeeded == 1 and summary.by_kind == {'a cone behind': '1 of 1'}


def test_a_drive_without_answers_has_figures_too(drive):
    summary = figures([drive], Settings())
    assert summary.positions.range_error_median is None
    assert summary.tracks.idf1_of_located is None


@pytest.mark.parametrize('change, word', [
    ({}, ''), ({'distance': 0.7}, '0.70 m'), ({'distance': 0.35}, '0.35 m'),
    ({'touched': ['cube 1']}, 'touched cube 1'), ({'seconds': 45.0}, 'did not arrive')])
def test_what_counts_as_success(drive, change, word):
    for name, value in change.items():
        setattr(drive, name, value)
    failure = judge(drive)
    assert (word in failure) if word else not failure
