"""Detections to vision_msgs and back; the camera's header goes along untouched."""

from __future__ import annotations

from array import array
from collections.abc import Sequence

import numpy as np
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import Header
from vision_msgs.msg import (
    BoundingBox2D,
    Detection2D,
    Detection2DArray,
    LabelInfo,
    ObjectHypothesis,
    ObjectHypothesisWithPose,
    Point2D,
    Pose2D,
    VisionClass,
    VisionInfo,
)

from ssd_perception.core.detections import Detections
from ssd_perception.core.vision_rows import Row, from_rows, rows_of, to_rows
from ssd_perception.imaging.compressed import encode_jpeg


def detections_message(header: Header, detections: Detections,
                       class_names: Sequence[str]) -> Detection2DArray:
    """Return ``detections`` as a message; also when there are none.

    Args:
        header: the camera frame's, put verbatim on the array and on every
            detection.
        class_names: label -> the name that ``class_id`` carries.
    """
    return Detection2DArray(header=header, detections=[
        _detection(header, row) for row in to_rows(detections, class_names)])


def _detection(header: Header, row: Row) -> Detection2D:
    # `id` stays empty: it would claim that this is the same object as in another frame.
    return Detection2D(
        header=header,
        results=[ObjectHypothesisWithPose(
            hypothesis=ObjectHypothesis(class_id=row.name, score=row.score))],
        bbox=BoundingBox2D(center=Pose2D(position=Point2D(x=row.x, y=row.y), theta=0.0),
                           size_x=row.width, size_y=row.height))


def detections_from_message(message: Detection2DArray,
                            class_names: Sequence[str]) -> Detections:
    """Return a message as Detections: the best hypothesis of each, best first.

    Raises:
        ValueError: for a class that is not in ``class_names``, or a detection without any.
    """
    return from_rows(rows_of(message), class_names)


def vision_info_message(header: Header, method: str, label_topic: str,
                        version: int) -> VisionInfo:
    """Return who detects: ``method`` in words, and the topic that carries the class names.

    ``version`` grows by one whenever weights or thresholds change.
    """
    return VisionInfo(header=header, method=method, database_location=label_topic,
                      database_version=version)


def label_info_message(header: Header, class_names: Sequence[str],
                       threshold: float) -> LabelInfo:
    """Return the number -> name map and the score threshold in force."""
    return LabelInfo(header=header, threshold=threshold, class_map=[
        VisionClass(class_id=label, class_name=name) for label, name in enumerate(class_names)])


def image_message(header: Header, rgb: np.ndarray) -> Image:
    """Return uint8 (H, W, 3) RGB as an Image with that header."""
    height, width = rgb.shape[:2]
    return Image(header=header, height=height, width=width, encoding='rgb8', is_bigendian=0,
                 step=3 * width, data=_bytes(rgb))


def compressed_message(header: Header, rgb: np.ndarray, quality: int) -> CompressedImage:
    """Return uint8 (H, W, 3) RGB as a JPEG of ``quality`` 1 to 100 with that header."""
    return CompressedImage(header=header, format='jpeg', data=_bytes(encode_jpeg(rgb, quality)))


def _bytes(pixels: np.ndarray) -> array:
    # rclpy checks every element of an ndarray in Python (60 ms for 640x480); an array('B')
    # passes unlooked at.
    data = array('B')
    data.frombytes(np.ascontiguousarray(pixels).data.cast('B'))
    return data
