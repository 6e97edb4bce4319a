"""Detections are written as the bytes that rclpy would make of their message."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip('rclpy')
pytest.importorskip('vision_msgs')
from rclpy.serialization import deserialize_message  # noqa: E402
from std_msgs.msg import Header  # noqa: E402
from vision_msgs.msg import Detection2DArray  # noqa: E402

from ssd_perception.core.detections import Detections  # noqa: E402
from ssd_perception.ros import serialised as module  # noqa: E402
from ssd_perception.ros.messages import MESSAGES  # noqa: E402


def some(count, ids=None):
    rng = np.random.default_rng(count)
    corner = rng.uniform(0, 3000, (count, 2))
    return Detections(np.hstack([corner, corner + rng.uniform(0, 900, (count, 2))]),
                      np.sort(rng.random(count))[::-1], rng.integers(0, 3, count), ids)


# Strings of every length modulo eight move all numbers behind them.
@pytest.mark.parametrize('frame_id', [
    '', 'a', 'ab', 'abc', 'abcd', 'abcde', 'abcdef', 'abcdefg', 'caméra/左', 'x' * 5000])
@pytest.mark.parametrize('names', [('', 'a', 'bb'), ('kegel', 'würfel', 'traffic cone'),
                                   ('abc', 'abcd', 'abcdefgh')])
def test_every_field_is_that_of_the_message(frame_id, names):
    header = Header(frame_id=frame_id)
    header.stamp.sec, header.stamp.nanosec = -(2 ** 31), 999_999_999
    for found in (Detections.empty(), some(1), some(2, [7, 2 ** 62]), some(9),
                  some(5, [1, 22, 333, 4444, 55555])):
        written = deserialize_message(module.serialise(header, found, names), Detection2DArray)
        assert written == MESSAGES.detections_message(header, found, names)
        assert len(written.detections) == len(found)


def test_where_the_message_has_other_fields_it_is_made_by_rclpy(monkeypatch):
    assert module.detections_maker() is module.serialise
    try:
        for other in (lambda *_: Detection2DArray(), lambda *_: 1 / 0):
            module.detections_maker.cache_clear()
            monkeypatch.setattr(module, 'deserialize_message', other)
            assert module.detections_maker() == MESSAGES.detections_message
    finally:
        module.detections_maker.cache_clear()
