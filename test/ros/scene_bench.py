"""A scene with a fake node and two objects of known place; no DDS needed."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
from builtin_interfaces.msg import Time
from sensor_msgs.msg import CameraInfo, Image
from std_msgs.msg import Header
from vision_msgs.msg import Detection3DArray

from ssd_perception.core.detections import Detections
from ssd_perception.core.frame import Frame
from ssd_perception.ros.scene import CameraScene
from ssd_perception.ros.scene_parameters import SceneSettings
from ssd_perception.ros.transforms import TransformError
from ssd_perception.scene.camera_model import CameraModel, mounting
from ssd_perception.scene.positions import PositionSettings

K = (480.0, 0.0, 319.5, 0.0, 480.0, 239.5, 0.0, 0.0, 1.0)
P = (480.0, 0.0, 319.5, 0.0, 0.0, 480.0, 239.5, 0.0, 0.0, 0.0, 1.0, 0.0)
MOUNT = mounting(0.1, 0.0, 0.35, 0.0, 0.19, 0.0)
STAMP_NS = 1_000_000_000_007
NAMES = ('cone', 'cube')


class Recorder(list):
    listeners = 1

    def publish(self, message):
        self.append(message)

    def get_subscription_count(self):
        return self.listeners


class FakeNode:
    """Has the methods of a node that a scene uses."""

    def __init__(self, remapped=()):
        self.published, self.callbacks, self.topics, self.log = {}, {}, {}, []
        self._remapped = dict(remapped)

    def create_publisher(self, kind, topic, _qos):
        return self.published.setdefault(kind, Recorder())

    def create_subscription(self, kind, topic, callback, _qos):
        self.callbacks[kind], self.topics[kind] = callback, topic
        return kind

    def destroy_subscription(self, kind):
        del self.callbacks[kind]

    def resolve_topic_name(self, topic):
        return self._remapped.get(topic, f'/{topic}')

    def get_namespace(self):
        return '/'

    def get_logger(self):
        return SimpleNamespace(warning=self.log.append)


def no_tf(target, source, stamp_ns):
    raise TransformError(f'No transform from {source} to {target} at {stamp_ns}.')


def body(target, source, stamp_ns):
    """Return the transform of a camera whose frame has x ahead: what it sees would be above it."""
    transform = mounting(0.1, 0.0, 0.35, 0.0, 0.4, 0.7)
    transform[:3, :3] = transform[:3, [2, 0, 1]] * [1, -1, -1]
    return transform


class Bench:
    """A scene with a fake node and one cone 2 m ahead."""

    def __init__(self, methods=('ground',), mount=MOUNT, lookup=no_tf, info=True, heights=(),
                 topic='/camera/image_raw', d=(0.0,) * 5, r=(0.0,) * 9,
                 info_frame='optical', remapped=(), **settings):
        self.node = FakeNode(remapped)
        self.scene = CameraScene(self.node, '', topic, SceneSettings(
            PositionSettings(methods, dict(heights)), mount=mount, **settings), lookup)
        self.scene.listen()
        if info:
            self.receive(CameraInfo(
                header=Header(frame_id=info_frame), width=640, height=480,
                distortion_model='plumb_bob', d=d, k=K, p=P, r=r))
        self.lens = CameraModel.from_camera_info(640, 480, 'plumb_bob', [0.0] * 5, K, P)
        self.places = [(2.0, 0.0), (3.0, 0.4)]

    def receive(self, message):
        self.node.callbacks[type(message)](message)

    def box(self, x, y):
        near = np.array([[x - 0.1, y + 0.1, 0.0], [x - 0.1, y - 0.1, 0.0], [x, y, 0.3]])
        seen = (near - MOUNT[:3, 3]) @ MOUNT[:3, :3]
        pixels = self.lens.pixels(seen / seen[:, 2:])
        return np.concatenate([pixels.min(0), pixels.max(0)])

    def publish(self, size=(640, 480), scale=1, ids=(7, 8)):
        boxes = np.array([self.box(*place) for place in self.places])
        n = len(boxes)
        rows = Detections(boxes.reshape(-1, 4), [0.9, 0.8][:n], [0, 1][:n],
                          None if ids is None else ids[:n])
        frame = Frame('', STAMP_NS, 'optical',
                      np.zeros((size[1] // scale, size[0] // scale, 3), np.uint8), scale)
        self.scene.publish(frame, rows, NAMES)
        return self.last(Detection3DArray)

    def last(self, kind):
        return self.node.published[kind][-1]

    def depth(self, metres=1.85, encoding='32FC1', stamp_ns=STAMP_NS, width=640, height=480,
              big=False, frame_id='optical'):
        units = metres * (1000 if encoding == '16UC1' else 1)
        kind = np.dtype(np.uint16 if encoding == '16UC1' else np.float32)
        data = np.full((height, width), units, kind.newbyteorder('>' if big else '<'))
        self.receive(Image(
            header=Header(stamp=Time(sec=stamp_ns // 10 ** 9, nanosec=stamp_ns % 10 ** 9),
                          frame_id=frame_id),
            width=width, height=height, step=width * kind.itemsize, encoding=encoding,
            is_bigendian=big, data=data.tobytes()))

    @property
    def reason(self):
        return self.scene.values().get('last without position', '')
