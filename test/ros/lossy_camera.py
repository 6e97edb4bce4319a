"""A camera whose every other frame is too large for Fast DDS's default buffers, and gets lost."""

from __future__ import annotations

import sys
import time

import cv2
import numpy as np
import rclpy
from peer import BEST_EFFORT
from sensor_msgs.msg import CompressedImage, Image

from ssd_perception.core.interface import compressed

PERIOD_S = 0.05
# (height, width) of frames that arrive, and of frames that do not, in bytes 75 kB and 3.7 MB.
SIZES = ((160, 160), (960, 1280))


def main(topic: str, kinds: str) -> None:
    """Publish until killed; ``kinds`` names what: raw, compressed, or both."""
    rclpy.init()
    node = rclpy.create_node('lossy_camera')
    raw = node.create_publisher(Image, topic, BEST_EFFORT) if 'raw' in kinds else None
    jpeg = (node.create_publisher(CompressedImage, compressed(topic), BEST_EFFORT)
            if 'compressed' in kinds else None)
    blob = cv2.imencode('.jpg', np.zeros((120, 160, 3), np.uint8))[1].tobytes()
    images = [Image(height=height, width=width, encoding='mono8', step=3 * width,
                    data=bytes(3 * width * height)) for height, width in SIZES]
    count, begin = 0, time.monotonic()
    while True:
        stamp = node.get_clock().now().to_msg()
        if raw is not None:
            message = images[count % 2]
            message.header.stamp = stamp
            raw.publish(message)
        if jpeg is not None:
            answer = CompressedImage(format='jpeg', data=blob)
            answer.header.stamp = stamp
            jpeg.publish(answer)
        count += 1
        time.sleep(max(0.0, begin + count * PERIOD_S - time.monotonic()))


if __name__ == '__main__':
    main(*sys.argv[1:])
