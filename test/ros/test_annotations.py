"""Live annotations for Foxglove, where its messages are installed; a stand-in has their fields."""

from __future__ import annotations

import dataclasses
import importlib.machinery
import sys
import types

import numpy as np
import pytest

pytest.importorskip('vision_msgs')
from std_msgs.msg import Header  # noqa: E402

from ssd_perception.bags.types import FOXGLOVE_MSGS  # noqa: E402
from ssd_perception.core.detections import Detections  # noqa: E402
from ssd_perception.ros.camera import Camera  # noqa: E402
from ssd_perception.ros.latest_frame import LatestFrames  # noqa: E402


class Recorder(list):
    def __init__(self, listeners):
        self._listeners = listeners

    def publish(self, message):
        self.append(message)

    def get_subscription_count(self):
        return self._listeners


class FakeNode:
    def __init__(self, listeners):
        self.published, self._listeners = {}, listeners

    def create_publisher(self, kind, topic, _qos, **_):
        return self.published.setdefault(topic, Recorder(self._listeners))

    def resolve_topic_name(self, topic):
        return f'/{topic}'


@pytest.fixture
def foxglove(monkeypatch):
    """A package with the messages that annotations consist of."""
    package, messages = types.ModuleType('foxglove_msgs'), types.ModuleType('foxglove_msgs.msg')
    for name, definition in FOXGLOVE_MSGS.items():
        fields = [line.split()[1] for line in definition.splitlines() if '=' not in line]
        setattr(messages, name, dataclasses.make_dataclass(
            name, [(field, object, None) for field in fields]))
    package.__spec__ = importlib.machinery.ModuleSpec('foxglove_msgs', None)
    monkeypatch.setitem(sys.modules, 'foxglove_msgs', package)
    monkeypatch.setitem(sys.modules, 'foxglove_msgs.msg', messages)


def publish(listeners, ids):
    node = FakeNode(listeners)
    camera = Camera(node, '', 'raw', LatestFrames(['']), None)
    found = Detections([[10, 20, 30, 60]], [0.9], [0], ids)
    camera.publish(Header(), np.zeros((80, 100, 3), np.uint8), found, ('cone',), 80)
    return node.published


def test_boxes_and_ids_are_annotated_for_who_subscribes(foxglove):
    (message,) = publish(1, [7])['detections/annotations']
    assert message.texts[0].text == 'cone 7 0.90'
    assert [(p.x, p.y) for p in message.points[0].points] == [
        (10, 20), (30, 20), (30, 60), (10, 60)]
    assert not publish(0, [7])['detections/annotations']


def test_without_foxgloves_messages_there_is_no_such_topic():
    assert 'detections/annotations' not in publish(1, None)
