"""The recording: frames, camera model and ground truth as a rosbag2 folder in mcap."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from rosbags.interfaces import (
    Qos,
    QosDurability,
    QosHistory,
    QosLiveliness,
    QosReliability,
    QosTime,
)
from rosbags.rosbag2 import StoragePlugin, Writer

from ssd_perception.bags.types import MESSAGES as messages
from ssd_perception.bags.types import typestore
from ssd_perception.core.detections import Detections
from ssd_perception.core.interface import CAMERA_INFO_TYPE, COMPRESSED_TYPE, DETECTIONS_TYPE

XYXY = tuple[float, float, float, float]
FRAME_ID = 'camera_optical_frame'
START_NS = 1_767_225_600 * 10**9  # 2026-01-01 00:00:00 UTC: fixed, so that the bag is too
IMAGE_TOPIC = '/camera/image_raw/compressed'
INFO_TOPIC = '/camera/camera_info'
TRUTH_TOPIC = '/ground_truth/detections'
CLASSES = ('cone', 'cube')

_NEVER = QosTime(sec=2147483647, nsec=4294967295)


def _qos(depth: int) -> Qos:
    """Reliable and volatile: what a player offers matches both kinds of subscriber."""
    return Qos(QosHistory.KEEP_LAST, depth, QosReliability.RELIABLE, QosDurability.VOLATILE,
               _NEVER, _NEVER, QosLiveliness.AUTOMATIC, _NEVER, False)


def write_recording(path: Path, frames: Iterable[tuple[bytes, list[tuple[str, XYXY, int]]]],
                    rate_hz: float, size: tuple[int, int], focal_px: float) -> None:
    """Write a rosbag2 folder; one that is there already is replaced.

    Args:
        frames: JPEG bytes and the boxes in them: class, edges in pixels, number of the object.
        size: width and height in pixels.
    """
    store = typestore()
    temporary = path.with_name(path.name + '.part')
    shutil.rmtree(temporary, ignore_errors=True)
    with Writer(temporary, version=9, storage_plugin=StoragePlugin.MCAP) as writer:
        image, info, truth = (
            writer.add_connection(topic, kind, typestore=store, offered_qos_profiles=[_qos(depth)])
            for topic, kind, depth in ((IMAGE_TOPIC, COMPRESSED_TYPE, 5),
                                       (INFO_TOPIC, CAMERA_INFO_TYPE, 5),
                                       (TRUTH_TOPIC, DETECTIONS_TYPE, 10)))
        for number, (jpeg, boxes) in enumerate(frames):
            stamp_ns = START_NS + int(number * 10**9 / rate_hz)
            header = messages.header(stamp_ns, FRAME_ID)
            for connection, message in (
                    (info, _camera_info(header, size, focal_px)),
                    (image, store.types[COMPRESSED_TYPE](
                        header=header, format='bgr8; jpeg compressed bgr8',
                        data=np.frombuffer(jpeg, np.uint8))),
                    (truth, messages.detections_message(header, _detections(boxes), CLASSES))):
                writer.write(connection, stamp_ns,
                             store.serialize_cdr(message, connection.msgtype))
    # Player and tests expect the file to be named like its folder.
    shutil.rmtree(path, ignore_errors=True)
    temporary.rename(path)
    _rename_storage(path, temporary.name)


def _rename_storage(path: Path, old: str) -> None:
    for file in path.glob(f'{old}*.mcap'):
        file.rename(path / file.name.replace(old, path.name))
    metadata = path / 'metadata.yaml'
    metadata.write_text(metadata.read_text().replace(old, path.name))


def _camera_info(header: Any, size: tuple[int, int], focal_px: float) -> Any:
    """Return the pinhole of the renderer, free of distortion."""
    width, height = size
    # ROS counts from the centre of the first pixel, hence half a pixel less than the middle.
    cx, cy = width / 2 - 0.5, height / 2 - 0.5
    types = typestore().types
    return types[CAMERA_INFO_TYPE](
        header=header, height=height, width=width, distortion_model='plumb_bob', d=np.zeros(5),
        k=np.array([focal_px, 0, cx, 0, focal_px, cy, 0, 0, 1]), r=np.eye(3).ravel(),
        p=np.array([focal_px, 0, cx, 0, 0, focal_px, cy, 0, 0, 0, 1, 0]),
        binning_x=0, binning_y=0,
        roi=types['sensor_msgs/msg/RegionOfInterest'](x_offset=0, y_offset=0, height=0, width=0,
                                                      do_rectify=False))


def _detections(boxes: list[tuple[str, XYXY, int]]) -> Detections:
    """Return ground truth as detections that are certain; ids are the objects' numbers."""
    return Detections(np.array([box[1] for box in boxes]), np.ones(len(boxes)),
                      np.array([CLASSES.index(box[0]) for box in boxes]),
                      np.array([box[2] for box in boxes], np.int64))
