"""Cameras for measurements: each publishes one image at a steady rate, stamped when it is sent.

The image is serialised once; for each frame only the stamp is written anew. So a frame costs about
what it costs a driver in C++.
"""

from __future__ import annotations

import argparse
import signal
import struct
import threading
import time

import rclpy
from rclpy.publisher import Publisher
from rclpy.qos import QoSProfile, ReliabilityPolicy
from rclpy.serialization import serialize_message
from rclpy.signals import SignalHandlerOptions
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import Header

from ssd_perception.benchmark.images import drawn
from ssd_perception.core.interface import IMAGE, NS_PER_S, compressed
from ssd_perception.ros.messages import compressed_message, image_message

JPEG_QUALITY = 90
# CDR: four bytes say how the rest is written; both messages begin with the header's stamp.
_STAMP = slice(4, 12)


def topics(cameras: int) -> list[str]:
    """Return the relative topics of so many cameras; 0 is the node's only camera."""
    return [f'camera_{number}/{IMAGE}' for number in range(cameras)] or [IMAGE]


def main() -> None:
    """Publish until SIGINT."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--size', required=True, metavar='WxH')
    parser.add_argument('--transport', required=True, choices=('raw', 'jpeg'))
    parser.add_argument('--rate', type=float, required=True, metavar='HZ')
    parser.add_argument('--cameras', type=int, default=0, metavar='N')
    args = parser.parse_args()
    width, height = map(int, args.size.split('x'))
    stopped = threading.Event()
    signal.signal(signal.SIGINT, lambda *_: stopped.set())
    rclpy.init(signal_handler_options=SignalHandlerOptions.NO)
    node = rclpy.create_node('benchmark_camera')
    rgb = drawn(0, width, height)
    raw, header = args.transport == 'raw', Header(frame_id='camera')
    message = image_message(header, rgb) if raw else compressed_message(header, rgb, JPEG_QUALITY)
    publishers = [node.create_publisher(
        Image if raw else CompressedImage, topic if raw else compressed(topic),
        QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT))
        for topic in topics(args.cameras)]
    while not stopped.is_set() and any(p.get_subscription_count() == 0 for p in publishers):
        rclpy.spin_once(node, timeout_sec=0.05)
    publish(publishers, serialize_message(message), args.rate, stopped)
    node.destroy_node()
    rclpy.try_shutdown()


def publish(publishers: list[Publisher], image: bytes, rate_hz: float,
            stopped: threading.Event) -> None:
    """Send the image of each camera at ``rate_hz``, the cameras evenly shifted in time.

    Args:
        image: a serialised message that begins with a stamp.
    """
    order = '<' if image[1] & 1 else '>'
    encapsulation, rest = image[:_STAMP.start], image[_STAMP.stop:]
    count, begin = 0, time.monotonic()
    period = 1 / (rate_hz * len(publishers))
    while not stopped.wait(max(0.0, begin + count * period - time.monotonic())):
        stamp = struct.pack(f'{order}iI', *divmod(time.time_ns(), NS_PER_S))
        publishers[count % len(publishers)].publish(b''.join([encapsulation, stamp, rest]))
        count += 1


if __name__ == '__main__':
    main()
