"""The node's messages: rclpy's classes for ``core.messages``, and images."""

from __future__ import annotations

import importlib
from array import array
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import Header
from vision_msgs.msg import Detection2DArray

from ssd_perception.core.detections import Detections
from ssd_perception.core.messages import Messages, from_rows, rows_of
from ssd_perception.imaging.compressed import encode_jpeg


@lru_cache(maxsize=100)
def _class(type_name: str) -> type:
    package, _, kind = type_name.partition('/msg/')
    return getattr(importlib.import_module(f'{package}.msg'), kind)


def new(type_name: str, **fields: Any) -> Any:
    """Return a message of rclpy."""
    return _class(type_name)(**fields)


MESSAGES = Messages(new)


def detections_from_message(message: Detection2DArray,
                            class_names: Sequence[str]) -> Detections:
    """Return a message as Detections: the best hypothesis of each, best first.

    Raises:
        ValueError: for a class that is not in ``class_names``, or a detection without any.
    """
    return from_rows(rows_of(message), class_names)


def sum_up(camera: str, detections: Detections, class_names: Sequence[str]) -> str:
    """Return a frame's detections in one sentence, such as ``front: cone 0.93, cube 3 0.61.``"""
    ids = [''] * len(detections) if detections.ids is None else [
        f' {number}' for number in detections.ids.tolist()]
    found = ', '.join(f'{class_names[label]}{track} {score:.2f}' for label, track, score in zip(
        detections.labels.tolist(), ids, detections.scores.tolist()))
    return (f'{camera}: ' if camera else '') + (found or 'nothing found') + '.'


def image_message(header: Header, rgb: np.ndarray) -> Image:
    """Return uint8 (H, W, 3) RGB as an Image with that header."""
    height, width = rgb.shape[:2]
    return Image(header=header, height=height, width=width, encoding='rgb8', is_bigendian=0,
                 step=3 * width, data=_bytes(rgb))


def compressed_message(header: Header, rgb: np.ndarray, quality: int) -> CompressedImage:
    """Return uint8 (H, W, 3) RGB as a JPEG of ``quality`` 1 to 100 with that header."""
    return MESSAGES.jpeg_message(header, _bytes(encode_jpeg(rgb, quality)))


def _bytes(pixels: np.ndarray) -> array:
    # rclpy checks every element of an ndarray in Python (60 ms for 640x480); an array('B')
    # passes unlooked at.
    data = array('B')
    data.frombytes(np.ascontiguousarray(pixels).data.cast('B'))
    return data
