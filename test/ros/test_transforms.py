"""Transforms come from tf2_ros at the image's stamp; a stand-in has what is used of it."""

from __future__ import annotations

import sys
import types

import numpy as np
import pytest

pytest.importorskip('rclpy')
from geometry_msgs.msg import Quaternion, TransformStamped, Vector3  # noqa: E402

from ssd_perception.core.frame import reset_stages  # noqa: E402
from ssd_perception.ros.parameters import NodeParameters  # noqa: E402
from ssd_perception.ros.stages import (  # noqa: E402
    PositionStage,
    SizeStage,
    make_stages,
    position_stages,
)
from ssd_perception.ros.transforms import WAIT_S, TransformError, Transforms  # noqa: E402
from ssd_perception.scene.tracks import TrackStage  # noqa: E402


class Log(list):
    def warning(self, text, **_):
        self.append(text)


class FakeNode:
    def __init__(self):
        self.topics, self.log = [], Log()

    def get_logger(self):
        return self.log

    def create_publisher(self, kind, topic, *_, **__):
        self.topics.append(topic)

    def resolve_topic_name(self, topic):
        return f'/{topic}'

    def get_namespace(self):
        return '/'

    def create_subscription(self, kind, topic, callback, qos):
        return kind

    def destroy_subscription(self, kind):
        pass


@pytest.fixture
def tf2(monkeypatch):
    """A tf2_ros that knows one transform, and remembers what it was asked."""
    module = types.ModuleType('tf2_ros')
    module.asked, module.listeners, module.unregistered = [], [], []
    module.set = []
    module.cleared = []

    class TransformException(Exception):
        pass

    class Buffer:
        def clear(self):
            module.cleared.append(self)

        def set_transform(self, transform, authority):
            module.set.append(transform.child_frame_id)

        set_transform_static = set_transform

        def lookup_transform(self, target, source, time, timeout):
            module.asked.append((target, source, time.nanoseconds, timeout.nanoseconds))
            if source != 'optical':
                raise TransformException('"elsewhere" passed to lookupTransform does not exist')
            message = TransformStamped()
            message.transform.translation = Vector3(x=0.1, y=0.0, z=0.4)
            message.transform.rotation = Quaternion(x=-0.5, y=0.5, z=-0.5, w=0.5)
            return message

    module.Buffer, module.TransformException = Buffer, TransformException

    class TransformListener:
        def __init__(self, *args, **kwargs):
            module.listeners.append((args, kwargs))

        def unregister(self):
            module.unregistered.append(self)
    module.TransformListener = TransformListener
    monkeypatch.setitem(sys.modules, 'tf2_ros', module)
    return module


def test_the_transform_at_the_stamp_is_asked_for_and_waited_for(tf2):
    transform = Transforms(FakeNode()).lookup('base_link', 'optical', 123)
    np.testing.assert_allclose(transform @ [0, 0, 1, 1], [1.1, 0, 0.4, 1], atol=1e-12)
    np.testing.assert_allclose(transform @ [1, 0, 0, 1], [0.1, -1, 0.4, 1], atol=1e-12)
    assert tf2.asked == [('base_link', 'optical', 123, int(WAIT_S * 1e9))]
    assert tf2.listeners[0][1] == {'spin_thread': False}  # the node's executor spins it


def test_a_transform_that_is_missing_is_a_sentence(tf2):
    with pytest.raises(TransformError, match='from elsewhere to base_link .*does not exist'):
        Transforms(FakeNode()).lookup('base_link', 'elsewhere', 123)


def test_names_that_no_frame_has_do_not_reach_the_library_which_logs_them(tf2):
    Transforms(FakeNode())
    buffer = tf2.listeners[0][0][0]
    for name in ('wheel', 'Rad\u00e4r', '\x1b[31m\n[INFO] all is well', 'x' * 257):
        message = TransformStamped(child_frame_id=name)
        message.header.frame_id = 'base'
        buffer.set_transform(message, 'somebody')
        buffer.set_transform_static(message, 'somebody')
    assert tf2.set == ['wheel'] * 2 + ['Rad\u00e4r'] * 2


def test_a_buffer_filled_with_frames_is_made_anew_where_memory_has_grown(tf2):
    stages = make_stages(FakeNode(), NodeParameters(positions='ground'))
    first, = tf2.listeners
    position_stages(stages)[0].listen_anew()
    assert len(tf2.unregistered) == 1 and len(tf2.listeners) == 2
    assert tf2.listeners[1][0][0] is not first[0][0], 'the same buffer'


def test_transforms_from_before_the_clock_went_back_are_forgotten(tf2):
    """A buffer would refuse what is older than its newest, or mix both times."""
    stages = make_stages(FakeNode(), NodeParameters(positions='ground'))
    reset_stages(stages)
    assert len(tf2.cleared) == 1


def test_without_tf2_the_node_says_what_to_set(monkeypatch):
    monkeypatch.setitem(sys.modules, 'tf2_ros', None)
    node = FakeNode()
    stages = make_stages(node, NodeParameters(positions='ground'))
    assert 'set the parameter camera_mount' in node.log[0]
    assert [type(stage) for stage in stages] == [SizeStage, PositionStage]


def test_a_mounting_given_needs_no_tf2(monkeypatch):
    monkeypatch.setitem(sys.modules, 'tf2_ros', None)
    node = FakeNode()
    stages = make_stages(node, NodeParameters(
        positions='auto', tracking=True, camera_mount=('height=0.3',), cameras=('front',)))
    assert not node.log
    assert [type(stage) for stage in stages] == [SizeStage, TrackStage, PositionStage]
    assert {'front/detections_3d', 'front/target'} <= set(node.topics)


def test_with_everything_off_there_is_no_stage_and_no_topic():
    node = FakeNode()
    assert make_stages(node, NodeParameters()) == [] and node.topics == []


def test_tracks_alone_need_neither_camera_info_nor_topics():
    node = FakeNode()
    (stage,) = make_stages(node, NodeParameters(tracking=True))
    assert isinstance(stage, TrackStage) and node.topics == []


@pytest.mark.parametrize(('values', 'words'), [
    ({'camera_mount': ('pitch=0.1',)}, 'height=METRES'),
    ({'camera_mount': ('height=0.3', 'tilt=1')}, 'tilt=1'),
    ({'camera_mount': ('height=high',)}, 'numbers up to'),
    ({'camera_mount': ('height=1',), 'cameras': ('front', 'rear')}, 'where one camera is'),
    ({'class_heights': ('cone',)}, 'cone=0.33'),
    ({'class_heights': ('cone=0.4..0.2',)}, 'smaller first'),
    ({'target_id': 7}, '"target_id" needs tracking: true'),
    ({'positions': 'off'}, 'one of none, auto')])
def test_impossible_parameters_are_refused_in_one_sentence(values, words):
    with pytest.raises(ValueError, match=words):
        NodeParameters(**values)
