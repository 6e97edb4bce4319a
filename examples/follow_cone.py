"""Follow a cone: detections in, /cmd_vel out. Copy this and change what it does.

    ros2 launch ssd_perception detector.launch.py image:=/camera/image_raw
    python3 examples/follow_cone.py --ros-args -r camera_info:=/camera/camera_info

It drives by ``target``, in metres, where the detector publishes it (its parameter ``positions``),
and stops ``distance`` before the object's middle. Without, it drives by the largest box.

Two things that consumers of detections get wrong, and that this shows:

- A Detection2DArray has pixels but no image size. The camera's CameraInfo has it, and the same
  stamp as the image and its detections: they are paired by that stamp.
- Detections stop, or grow old, without a message saying so. The command comes from a timer, which
  looks at the age of what it steers by; a robot that no longer sees stands still.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import rclpy
from geometry_msgs.msg import PoseStamped, Twist
from rclpy.duration import Duration
from rclpy.executors import ExternalShutdownException
from rclpy.node import Node
from rclpy.qos import qos_profile_sensor_data
from rclpy.time import Time
from sensor_msgs.msg import CameraInfo
from vision_msgs.msg import Detection2DArray

PERIOD_S = 0.05
REMEMBERED = 60  # sizes of images whose detections may still come


@dataclass(frozen=True)
class Cone:
    """Where to go: ``offset`` from -1 (left edge) to 1 (right), ``height`` as a share of it."""

    offset: float
    height: float


def largest_cone(message: Detection2DArray, width: int, height: int, class_id: str,
                 least_score: float) -> Cone | None:
    """Return the highest box of a class, or None when there is none."""
    boxes = [d.bbox for d in message.detections
             if any(r.hypothesis.class_id == class_id and r.hypothesis.score >= least_score
                    for r in d.results)]
    if not boxes:
        return None
    box = max(boxes, key=lambda b: b.size_y)
    return Cone(2 * box.center.position.x / width - 1, box.size_y / height)


def command(cone: Cone | None, speed: float, turn: float, near: float) -> Twist:
    """Return the velocity: turn towards the cone, slow down before it, stop at ``near``."""
    twist = Twist()
    if cone is not None and cone.height < near:
        twist.linear.x = speed * (1 - cone.height / near) * (1 - abs(cone.offset) / 2)
        twist.angular.z = -turn * cone.offset  # the image's right is a negative turn, REP 103
    return twist


def command_to(x: float, y: float, speed: float, turn: float, distance: float) -> Twist:
    """Return the velocity to a target x metres ahead and y to the left; stop at ``distance``."""
    twist = Twist()
    bearing, away = math.atan2(y, x), math.hypot(x, y)
    if away > distance:
        # Slow down over the last metre, and rather turn than drive past.
        twist.linear.x = speed * min(1.0, away - distance + 0.1) * max(0.0, math.cos(2 * bearing))
        twist.angular.z = turn * bearing
    return twist


class FollowCone(Node):
    """Listens to ``target``, ``detections`` and ``camera_info``, publishes ``cmd_vel``."""

    def __init__(self):
        super().__init__('follow_cone')
        parameters = {'class_id': 'cone', 'least_score': 0.5, 'speed': 0.3, 'turn': 1.0,
                      'near': 0.6, 'max_age_s': 0.5, 'distance': 0.5, 'base_frame': 'base_link'}
        self._settings = {name: self.declare_parameter(name, value).value
                          for name, value in parameters.items()}
        self._sizes: dict[tuple[int, int], tuple[int, int]] = {}  # stamp -> width, height
        self._cone: Cone | None = None
        self._seen: Time | None = None
        self._target: PoseStamped | None = None
        self._output = self.create_publisher(Twist, 'cmd_vel', 10)
        self.create_subscription(CameraInfo, 'camera_info', self._receive_info,
                                 qos_profile_sensor_data)
        self.create_subscription(Detection2DArray, 'detections', self._receive_detections, 10)
        self.create_subscription(PoseStamped, 'target', self._receive_target, 10)
        self.create_timer(PERIOD_S, self._drive)

    def _receive_info(self, message: CameraInfo) -> None:
        stamp = message.header.stamp
        self._sizes[stamp.sec, stamp.nanosec] = message.width, message.height
        if len(self._sizes) > REMEMBERED:
            del self._sizes[next(iter(self._sizes))]

    def _receive_detections(self, message: Detection2DArray) -> None:
        stamp = message.header.stamp
        size = self._sizes.get((stamp.sec, stamp.nanosec))
        if size is None:  # its CameraInfo was lost: steer by the next one
            return
        self._cone = largest_cone(message, *size, self._settings['class_id'],
                                  self._settings['least_score'])
        # The age counts from the camera's stamp: the time in the network is part of it.
        self._seen = Time.from_msg(stamp, clock_type=self.get_clock().clock_type)

    def _receive_target(self, message: PoseStamped) -> None:
        if message.header.frame_id != self._settings['base_frame']:
            self.get_logger().error(
                f'The target is in {message.header.frame_id}, not in '
                f'{self._settings["base_frame"]}: set position_frame of the detector.',
                throttle_duration_sec=5.0)
            return
        self._target = message

    def _is_fresh(self, stamp: Time | None) -> bool:
        return (stamp is not None and self.get_clock().now() - stamp
                <= Duration(seconds=self._settings['max_age_s']))

    def _drive(self) -> None:
        settings, target = self._settings, self._target
        if target is None:
            twist = command(self._cone if self._is_fresh(self._seen) else None,
                            settings['speed'], settings['turn'], settings['near'])
        elif self._is_fresh(Time.from_msg(target.header.stamp,
                                          clock_type=self.get_clock().clock_type)):
            place = target.pose.position
            twist = command_to(place.x, place.y, settings['speed'], settings['turn'],
                               settings['distance'])
        else:  # who was given a target once drives by nothing less
            twist = Twist()
        self._output.publish(twist)


def main() -> None:
    """Spin until Ctrl-C, and leave the robot standing."""
    rclpy.init()
    node = FollowCone()
    try:
        rclpy.spin(node)
    except (KeyboardInterrupt, ExternalShutdownException):
        pass
    finally:
        if rclpy.ok():
            node._output.publish(Twist())
        rclpy.try_shutdown()


if __name__ == '__main__':
    main()
