"""The target: nearest of those wanted, kept while it is waited for."""

import numpy as np
import pytest

from ssd_perception.core.detections import Detections
from ssd_perception.scene.positions import Position
from ssd_perception.scene.target import TargetSelector, TargetSettings

NAMES, SECOND_NS, ORIGIN = ('cone', 'cube'), 10 ** 9, np.zeros(3)


def choose(selector, stamp_s, *objects):
    """Choose among (x, label, id) objects; x None: position not known. Return x of the target."""
    n = len(objects)
    ids = None if any(o[2] is None for o in objects) else [o[2] for o in objects]
    rows = Detections(np.zeros((n, 4)), np.full(n, 0.9), [o[1] for o in objects], ids)
    places = [Position.unknown('?') if o[0] is None else
              Position(np.array([o[0], 0.0, 0.0]), np.eye(3), (0.2, 0.3), 'ground')
              for o in objects]
    index = selector.choose(int((5 + stamp_s) * SECOND_NS), rows, places, NAMES, ORIGIN)
    return None if index is None else objects[index][0]


def test_of_nothing_there_is_no_target():
    assert choose(TargetSelector(TargetSettings()), 0) is None


@pytest.mark.parametrize(('settings', 'expected'), [
    ({}, 1.0), ({'class_name': 'cone'}, 2.0), ({'track_id': 3}, 3.0), ({'track_id': 9}, None),
    ({'class_name': 'cube', 'track_id': 2}, None), ({'class_name': 'tree'}, None)])
def test_class_and_id_and_then_the_nearest(settings, expected):
    selector = TargetSelector(TargetSettings(**settings))
    assert choose(selector, 0, (3.0, 1, 3), (2.0, 0, 2), (1.0, 1, 1), (None, 0, 4)) == expected


def test_the_target_stays_though_another_comes_nearer():
    selector = TargetSelector(TargetSettings())
    assert choose(selector, 0, (2.0, 0, 1)) == 2.0
    assert choose(selector, 0.1, (1.5, 0, 2), (1.9, 0, 1)) == 1.9


def test_a_target_out_of_sight_is_waited_for_and_then_replaced():
    selector = TargetSelector(TargetSettings(timeout_s=1.0))
    choose(selector, 0, (2.0, 0, 1))
    assert choose(selector, 0.9, (3.0, 0, 2)) is None
    assert choose(selector, 1.1, (3.0, 0, 2)) == 3.0
    assert choose(selector, 1.2, (3.0, 0, 2), (1.0, 0, 1)) == 3.0


def test_without_tracks_what_is_clearly_nearer_is_the_target_at_once():
    selector = TargetSelector(TargetSettings())
    assert choose(selector, 0, (2.0, 0, None)) == 2.0
    assert choose(selector, 0.1, (1.5, 0, None), (1.9, 0, None)) == 1.5
    assert choose(selector, 0.2, (3.0, 0, None), (2.6, 0, None)) == 2.6  # it is gone


def test_without_tracks_the_target_stays_among_equally_near_ones():
    """Two cones at one range, to both sides: by the noise of each image one or the other is it."""
    selector, rng = TargetSelector(TargetSettings()), np.random.default_rng(0)
    chosen = [choose(selector, tenth / 10, *((x + 0.06 * rng.standard_normal(), 0, None)
                                             for x in (-2.0, 2.0))) for tenth in range(50)]
    assert len({x > 0 for x in chosen}) == 1
    assert choose(selector, 9, (-2.0, 0, None), (1.9, 0, None)) == 1.9  # long out of sight


def test_a_clock_that_goes_back_waits_for_nobody():
    selector = TargetSelector(TargetSettings())
    choose(selector, 0, (2.0, 0, 1))
    assert choose(selector, -3, (3.0, 0, 2)) == 3.0


def test_a_target_in_sight_without_a_position_is_not_given_up():
    # so near that its box is cut by the image's edge: the cone behind is not the next target
    selector = TargetSelector(TargetSettings(timeout_s=1.0))
    choose(selector, 0, (0.6, 0, 1), (2.0, 0, 2))
    for tenth in range(1, 50):
        assert choose(selector, tenth / 10, (None, 0, 1), (2.0, 0, 2)) is None
    assert choose(selector, 6.5, (2.0, 0, 2)) == 2.0
