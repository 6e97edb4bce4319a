"""Small synthetic recordings for the tests of reader, player and viewer."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from ssd_perception.bags.types import typestore
from ssd_perception.bags.writer import BagWriter

START_NS = 1_700_000_000_000_000_000
PERIOD_NS = 100_000_000
IMAGE = '/camera/image_raw/compressed'
TRUTH = '/ground_truth/detections'


def types(name: str):
    """Return the rosbags class of a ROS type such as ``std_msgs/msg/Header``."""
    return typestore().types[name]


def header(index: int):
    """Return the header of frame ``index``: 100 ms apart, as a camera at 10 Hz has it."""
    stamp_ns = START_NS + index * PERIOD_NS
    stamp = types('builtin_interfaces/msg/Time')(*divmod(stamp_ns, 10 ** 9))
    return types('std_msgs/msg/Header')(stamp=stamp, frame_id='camera_optical')


def picture(index: int, size: tuple[int, int] = (640, 480)) -> np.ndarray:
    """Return uint8 BGR (H, W, 3): noise under an orange square that moves 5 px a frame."""
    noise = np.random.default_rng(index).integers(60, 120, (size[1] // 8, size[0] // 8, 3))
    image = cv2.resize(noise.astype(np.uint8), size)
    image[200:300, 100 + 5 * index:200 + 5 * index] = (0, 120, 255)
    return image


def truth(index: int):
    """Return the Detection2DArray that holds frame ``index``'s one square, called ``cone``."""
    v = 'vision_msgs/msg/'
    g = 'geometry_msgs/msg/'
    pose = types(g + 'PoseWithCovariance')(
        pose=types(g + 'Pose')(position=types(g + 'Point')(0.0, 0.0, 0.0),
                               orientation=types(g + 'Quaternion')(0.0, 0.0, 0.0, 1.0)),
        covariance=np.zeros(36))
    result = types(v + 'ObjectHypothesisWithPose')(
        hypothesis=types(v + 'ObjectHypothesis')(class_id='cone', score=1.0), pose=pose)
    centre = types(v + 'Pose2D')(position=types(v + 'Point2D')(150.0 + 5 * index, 250.0),
                                 theta=0.0)
    box = types(v + 'BoundingBox2D')(center=centre, size_x=100.0, size_y=100.0)
    detection = types(v + 'Detection2D')(header=header(index), results=[result], bbox=box, id='')
    return types(v + 'Detection2DArray')(header=header(index), detections=[detection])


def write_recording(path: Path, frames: int = 5, storage: str = 'mcap',
                    size: tuple[int, int] = (640, 480)) -> Path:
    """Write ``frames`` JPEG images with ground truth, 10 Hz; return ``path``."""
    with BagWriter(path, storage) as bag:
        bag.add_topic(IMAGE, 'sensor_msgs/msg/CompressedImage')
        bag.add_topic(TRUTH, 'vision_msgs/msg/Detection2DArray')
        for index in range(frames):
            jpeg = cv2.imencode('.jpg', picture(index, size))[1]
            stamp_ns = START_NS + index * PERIOD_NS
            bag.write(IMAGE, stamp_ns, types('sensor_msgs/msg/CompressedImage')(
                header=header(index), format='bgr8; jpeg compressed bgr8', data=jpeg.reshape(-1)))
            bag.write(TRUTH, stamp_ns, truth(index))
    return path
