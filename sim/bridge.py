"""The simulator's side of the ROS graph: clock, camera, odometry and TF out; answers in."""

from __future__ import annotations

import math
import time
from collections.abc import Callable

import rclpy
from builtin_interfaces.msg import Time
from geometry_msgs.msg import (
    Point,
    PoseStamped,
    Quaternion,
    TransformStamped,
    Twist,
    Vector3,
)
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.qos import QoSProfile
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import CameraInfo, CompressedImage
from std_msgs.msg import Header
from vision_msgs.msg import Detection2DArray, Detection3DArray

from sim import model
from ssd_perception.core.interface import ns_to_stamp, stamp_to_ns

try:  # not every set of ROS wheels has these; nothing here depends on hearing them
    from nav_msgs.msg import Odometry
except ImportError:
    Odometry = None
try:
    from tf2_msgs.msg import TFMessage
except ImportError:
    TFMessage = None

IMAGE, CAMERA_INFO = '/camera/image_raw', '/camera/camera_info'
OPTICAL_FRAME = 'camera_optical_frame'
_ANSWER_WITHIN_S = 60.0
# An image that was lost on the way is sent again.
_AGAIN_AFTER_S = 10.0
_COMMAND_WITHIN_S = 2.0


class NoAnswer(RuntimeError):
    """The node or the follower did not answer; one sentence."""


class Bridge(Node):
    """Publishes what a robot publishes, and waits for what the robot waits for."""

    def __init__(self) -> None:
        super().__init__('simulator')
        self.command = Twist()
        self.commands = 0
        self.detections: dict[int, Detection2DArray] = {}
        self.positions: dict[int, Detection3DArray] = {}
        self.targets: dict[int, PoseStamped] = {}
        self._executor = SingleThreadedExecutor()
        self._executor.add_node(self)
        publisher = self.create_publisher
        self._ticks = publisher(Clock, '/clock', 10)
        self._image = publisher(CompressedImage, f'{IMAGE}/compressed', QoSProfile(depth=5))
        self._info = publisher(CameraInfo, CAMERA_INFO, 10)
        self._odometry = publisher(Odometry, '/odom', 10) if Odometry else None
        self._tf = publisher(TFMessage, '/tf', 10) if TFMessage else None
        self.create_subscription(Twist, '/cmd_vel', self._receive_command, 10)
        for kind, topic, kept in ((Detection2DArray, '/detections', self.detections),
                                  (Detection3DArray, '/detections_3d', self.positions),
                                  (PoseStamped, '/target', self.targets)):
            self.create_subscription(
                kind, topic, lambda message, kept=kept: kept.__setitem__(
                    stamp_to_ns(message.header.stamp), message), 50)

    def close(self) -> None:
        """Leave the graph."""
        self._executor.shutdown()
        self.destroy_node()

    def _receive_command(self, message: Twist) -> None:
        self.command = message
        self.commands += 1

    def until(self, condition: Callable[[], bool], seconds: float) -> bool:
        """Spin until a condition holds, at most so many seconds of wall time."""
        end = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > end or not rclpy.ok():
                return False
            self._executor.spin_once(timeout_sec=0.02)
        return True

    def tick(self, now_ns: int) -> None:
        """Let simulated time go on, and wait for the follower's next command."""
        before = self.commands
        self._ticks.publish(Clock(clock=_time(now_ns)))
        # A command that does not come is no error: the robot drives on by the last one.
        self.until(lambda: self.commands > before, _COMMAND_WITHIN_S)

    def show(self, stamp_ns: int, jpeg: bytes) -> None:
        """Publish one image with its CameraInfo, and wait for detections and positions.

        Raises:
            NoAnswer: when none come.
        """
        header = Header(stamp=_time(stamp_ns), frame_id=OPTICAL_FRAME)
        for _ in range(round(_ANSWER_WITHIN_S / _AGAIN_AFTER_S)):
            self._info.publish(camera_info(header))
            self._image.publish(CompressedImage(header=header, format='jpeg', data=jpeg))
            if self.until(lambda: stamp_ns in self.detections and stamp_ns in self.positions,
                          _AGAIN_AFTER_S):
                # the target is published right after the positions, where there is one
                self.until(lambda: stamp_ns in self.targets, 0.03)
                return
        raise NoAnswer(f'The detector node did not answer an image within {_ANSWER_WITHIN_S:.0f} '
                       's; it must run with positions on.')

    def move(self, now_ns: int, pose: tuple[float, float, float], linear: float,
             angular: float) -> None:
        """Publish odometry and TF, where their messages are installed."""
        header = Header(stamp=_time(now_ns), frame_id='odom')
        x, y, heading = pose
        if self._odometry is not None:
            message = Odometry(header=header, child_frame_id='base_link')
            _set_pose(message.pose.pose.position, message.pose.pose.orientation, x, y, heading)
            message.twist.twist.linear.x, message.twist.twist.angular.z = linear, angular
            self._odometry.publish(message)
        if self._tf is not None:
            base = TransformStamped(header=header, child_frame_id='base_link')
            _set_pose(base.transform.translation, base.transform.rotation, x, y, heading)
            self._tf.publish(TFMessage(transforms=[base, camera_transform(header.stamp)]))


def camera_info(header: Header) -> CameraInfo:
    """Return the CameraInfo of the simulated pinhole camera."""
    focal = model.HEIGHT / 2 / math.tan(math.radians(model.FIELD_OF_VIEW) / 2)
    # ROS pixel coordinates: 0 is the centre of the first pixel
    x, y = model.WIDTH / 2 - 0.5, model.HEIGHT / 2 - 0.5
    return CameraInfo(header=header, width=model.WIDTH, height=model.HEIGHT,
                      distortion_model='plumb_bob', d=[0.0] * 5,
                      k=[focal, 0.0, x, 0.0, focal, y, 0.0, 0.0, 1.0],
                      r=[1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0],
                      p=[focal, 0.0, x, 0.0, 0.0, focal, y, 0.0, 0.0, 0.0, 1.0, 0.0])


def camera_transform(stamp: Time) -> TransformStamped:
    """Return where the camera's optical frame is on the rover."""
    message = TransformStamped(header=Header(stamp=stamp, frame_id='base_link'),
                               child_frame_id=OPTICAL_FRAME)
    message.transform.translation.x = model.CAMERA_X
    message.transform.translation.z = model.CAMERA_HEIGHT
    # roll and yaw of -90 degrees make optical axes; the camera looks down by its pitch
    half = -math.pi / 4 - model.CAMERA_PITCH / 2
    cos, sin = math.cos(half) / math.sqrt(2), math.sin(half) / math.sqrt(2)
    rotation = message.transform.rotation
    rotation.w, rotation.x, rotation.y, rotation.z = cos, sin, -sin, -cos
    return message


def _set_pose(position: Point | Vector3, orientation: Quaternion, x: float, y: float,
              heading: float) -> None:
    position.x, position.y = x, y
    orientation.w, orientation.z = math.cos(heading / 2), math.sin(heading / 2)


def _time(nanoseconds: int) -> Time:
    sec, nanosec = ns_to_stamp(nanoseconds)
    return Time(sec=sec, nanosec=nanosec)
