"""Detections as the bytes of a Detection2DArray, without making its objects.

A detection is nine objects of rclpy. To make and to publish them took nine times as long as
to write and to publish the bytes (7 detections).
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from functools import lru_cache

import numpy as np
from rclpy.serialization import deserialize_message
from std_msgs.msg import Header
from vision_msgs.msg import Detection2DArray

from ssd_perception.core.detections import Detections
from ssd_perception.core.messages import to_rows
from ssd_perception.ros.messages import MESSAGES

# Behind the score: a pose at the origin without rotation, and a covariance of zeros.
_POSE = struct.pack('<43d', *[0.0] * 6, 1.0, *[0.0] * 36)
_SCORE, _BOX = struct.Struct('<d'), struct.Struct('<5d')
_LITTLE_ENDIAN = b'\0\1\0\0'

Make = Callable[[Header, Detections, Sequence[str]], 'bytes | Detection2DArray']


def serialise(header: Header, detections: Detections, class_names: Sequence[str]) -> bytes:
    """Return what ``MESSAGES.detections_message`` returns, as CDR: numbers aligned to their size.

    Args:
        header: the camera frame's, put unchanged on the array and on every detection.
        class_names: label -> the name that ``class_id`` carries.
    """
    head = struct.pack('<iI', header.stamp.sec, header.stamp.nanosec) + _string(header.frame_id)
    rows = to_rows(detections, class_names)
    message = bytearray(head)
    message += struct.pack('<I', len(rows))
    for row in rows:
        message += head
        message += b'\1\0\0\0'  # one hypothesis
        message += _string(row.name)
        message += bytes(-len(message) % 8)
        message += _SCORE.pack(row.score)
        message += _POSE
        message += _BOX.pack(row.x, row.y, 0.0, row.width, row.height)
        message += _string(row.id)
    return _LITTLE_ENDIAN + message


def _string(text: str) -> bytes:
    """Return a string and the zeros up to the next multiple of four."""
    data = text.partition('\0')[0].encode() + b'\0'
    return struct.pack('<I', len(data)) + data + bytes(-len(data) % 4)


@lru_cache(maxsize=1)
def detections_maker() -> Make:
    """Return ``serialise``, or ``MESSAGES.detections_message`` for other fields of vision_msgs."""
    header = Header(frame_id='camera')
    header.stamp.sec, header.stamp.nanosec = 7, 9
    example = (header, Detections(np.array([[10, 20, 30, 50], [1, 2, 4, 6]]), np.array([0.9, 0.5]),
                                  np.array([1, 0]), np.array([3, 12])), ('cone', 'cube'))
    try:
        same = deserialize_message(serialise(*example), Detection2DArray) == \
            MESSAGES.detections_message(*example)
    except Exception:  # the middleware cannot read it
        same = False
    return serialise if same else MESSAGES.detections_message
