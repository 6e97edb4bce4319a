"""RGB arrays to sensor_msgs/Image and CompressedImage; the way back is in ``imaging``."""

from __future__ import annotations

from array import array

import numpy as np
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import Header

from ssd_perception.imaging.compressed import encode_jpeg

IMAGE_TYPES = ('sensor_msgs/msg/Image', 'sensor_msgs/msg/CompressedImage')


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
