"""A camera for measurements: publishes one image at a steady rate, stamped when it is sent."""

from __future__ import annotations

import argparse
import signal
import threading
import time

import rclpy
from rclpy.qos import QoSProfile, ReliabilityPolicy
from rclpy.signals import SignalHandlerOptions
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import Header

from ssd_perception.benchmark.images import drawn
from ssd_perception.core.interface import IMAGE, compressed
from ssd_perception.ros.messages import compressed_message, image_message

TOPIC = IMAGE
JPEG_QUALITY = 90


def main() -> None:
    """Publish until SIGINT."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--size', required=True, metavar='WxH')
    parser.add_argument('--transport', required=True, choices=('raw', 'jpeg'))
    parser.add_argument('--rate', type=float, required=True, metavar='HZ')
    args = parser.parse_args()
    width, height = map(int, args.size.split('x'))
    stopped = threading.Event()
    signal.signal(signal.SIGINT, lambda *_: stopped.set())
    rclpy.init(signal_handler_options=SignalHandlerOptions.NO)
    node = rclpy.create_node('benchmark_camera')
    rgb = drawn(0, width, height)
    raw = args.transport == 'raw'
    message = (image_message(Header(), rgb) if raw
               else compressed_message(Header(), rgb, JPEG_QUALITY))
    message.header.frame_id = 'camera'
    publisher = node.create_publisher(
        Image if raw else CompressedImage, TOPIC if raw else compressed(TOPIC),
        QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT))
    while publisher.get_subscription_count() == 0 and not stopped.is_set():
        rclpy.spin_once(node, timeout_sec=0.05)
    count, begin = 0, time.monotonic()
    while not stopped.wait(max(0.0, begin + count / args.rate - time.monotonic())):
        message.header.stamp = node.get_clock().now().to_msg()
        publisher.publish(message)
        count += 1
    node.destroy_node()
    rclpy.try_shutdown()


if __name__ == '__main__':
    main()
