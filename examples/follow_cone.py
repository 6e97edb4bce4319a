"""Follow a cone: detections or positions in, /cmd_vel out. Copy this and change what it does.

    ros2 launch ssd_perception detector.launch.py image:=/camera/image_raw
    python3 examples/follow_cone.py --ros-args -r camera_info:=/camera/camera_info

Where the detector publishes positions it drives to ``target``, around whatever else stands in the
way, and stops ``distance`` metres before it. Without positions it follows the largest box. It
shows five things that consumers get wrong:

- A Detection2DArray has pixels but no image size. The camera's CameraInfo has it, and the same
  stamp as the image and its detections: they are paired by that stamp.
- Detections stop, or grow old, without a message saying so. The command comes from a timer, which
  looks at the age of what it steers by; a robot that no longer sees stands still.
- A position holds for the image's stamp. The robot has moved since; its own commands say how far.
- Numbers may be NaN, stamps of a clock that is ahead, and Ctrl-C comes while it drives: it stands.
  A base must stop by itself when no command comes: nothing here helps when this process dies.
- What is passed leaves the image before it is behind: obstacles are remembered for a while.
"""

from __future__ import annotations

import math
import signal
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import rclpy
from geometry_msgs.msg import PoseStamped, Twist, TwistStamped
from rclpy.duration import Duration
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.qos import qos_profile_sensor_data
from rclpy.signals import SignalHandlerOptions
from sensor_msgs.msg import CameraInfo
from std_msgs.msg import Header
from vision_msgs.msg import Detection2DArray, Detection3DArray

PERIOD_S = 0.05
REMEMBERED = 60  # sizes of images whose detections may still come
SAME_PLACE_M = 0.5  # a target further from the remembered one is another one
PARAMETERS = {
    'class_id': 'cone', 'least_score': 0.5, 'speed': 0.3, 'turn': 1.0, 'max_age_s': 0.5,
    'near': 0.6,  # without positions: the share of the image's height at which it stops
    'distance': 0.5,  # with them: from the robot's front to the target's middle, metres
    'front': 0.0,  # from base_link to the robot's front
    'clearance': 0.29,  # from base_link's line to the surface of what it passes
    'memory_s': 5.0,  # how long a target or obstacle out of sight is remembered
    'base_frame': 'base_link',  # that positions are in
    'stamped': False,  # TwistStamped, as ros2_control's and nav2's newer releases expect
}


@dataclass(frozen=True)
class Cone:
    """Where to go: ``offset`` from -1 (left edge) to 1 (right), ``height`` as a share of it."""

    offset: float
    height: float


def largest_cone(message: Detection2DArray, width: int, height: int, class_id: str,
                 least_score: float) -> Cone | None:
    """Return the highest box of a class, or None when there is none."""
    boxes = [d.bbox for d in message.detections
             if _finite(d.bbox.center.position.x, d.bbox.size_y)
             and any(r.hypothesis.class_id == class_id and r.hypothesis.score >= least_score
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


@dataclass(frozen=True)
class Place:
    """Where something is, seen from the robot or from where it started, metres."""

    x: float
    y: float
    radius: float = 0.0
    seen_ns: int = 0

    def from_pose(self, x: float, y: float, heading: float) -> Place:
        """Return the same place seen from a pose that is given where this one is."""
        right, up = self.x - x, self.y - y
        cos, sin = math.cos(heading), math.sin(heading)
        return Place(cos * right + sin * up, cos * up - sin * right, self.radius, self.seen_ns)

    def at_pose(self, x: float, y: float, heading: float) -> Place:
        """Return this place, seen from a pose, where that pose is given."""
        cos, sin = math.cos(heading), math.sin(heading)
        return Place(x + cos * self.x - sin * self.y, y + sin * self.x + cos * self.y,
                     self.radius, self.seen_ns)


class Way:
    """Where the robot has been, by its own commands: good for the seconds it is needed."""

    def __init__(self):
        self._poses: deque[tuple[int, float, float, float]] = deque(maxlen=400)

    def drive(self, now_ns: int, twist: Twist) -> None:
        """Note that from the last call until now the robot drove by ``twist``."""
        then, x, y, heading = self._poses[-1] if self._poses else (now_ns, 0.0, 0.0, 0.0)
        if now_ns < then:  # the clock went back
            self._poses.clear()
            then = now_ns
        seconds = min((now_ns - then) / 1e9, 1.0)
        middle = heading + twist.angular.z * seconds / 2
        self._poses.append((now_ns, x + twist.linear.x * seconds * math.cos(middle),
                            y + twist.linear.x * seconds * math.sin(middle),
                            heading + twist.angular.z * seconds))

    def pose(self, stamp_ns: int) -> tuple[float, float, float]:
        """Return x, y and heading at a time, those of the nearest command."""
        if not self._poses:
            return 0.0, 0.0, 0.0
        return min(self._poses, key=lambda pose: abs(pose[0] - stamp_ns))[1:]


def aim(target: Place, obstacles: Iterable[Place], clearance: float) -> Place:
    """Return where to drive: to the target, or beside the first obstacle on the way there."""
    away = math.hypot(target.x, target.y)
    if away < 1e-6:
        return target
    u, v = target.x / away, target.y / away
    in_the_way = []
    for place in obstacles:
        along, left = place.x * u + place.y * v, place.y * u - place.x * v
        if 0 < along < away - place.radius and abs(left) < clearance + place.radius:
            in_the_way.append((along, left, place))
    if not in_the_way:
        return target
    _, left, place = min(in_the_way, key=lambda row: row[0])
    side = -math.copysign(clearance + place.radius, left)
    return Place(place.x - v * side, place.y + u * side)


def command_towards(target: Place, obstacles: Iterable[Place], settings: dict[str, Any]) -> Twist:
    """Return the velocity: around obstacles to the target, slow before it, stop at its distance.

    Args:
        target, obstacles: as seen from the robot now.
        settings: see PARAMETERS.
    """
    twist = Twist()
    left_m = math.hypot(target.x - settings['front'], target.y) - settings['distance']
    if left_m <= 0.01:
        return twist
    goal = aim(target, obstacles, settings['clearance'])
    bearing = math.atan2(goal.y, goal.x)
    twist.angular.z = max(-1.0, min(1.0, settings['turn'] * 1.5 * bearing))
    speed = min(settings['speed'], max(0.05, left_m))
    twist.linear.x = speed * max(0.0, 1 - abs(bearing) / 0.8)
    return twist


def why_it_stands(seen_ns: int | None, now_ns: int, max_age_s: float) -> str:
    """Return why it does not drive by detections of a time; empty where they are fresh."""
    if seen_ns is None:
        return ('Nothing to drive by has arrived: no positions, and no detections with the '
                'CameraInfo of their image.')
    age_s = (now_ns - seen_ns) / 1e9
    if abs(age_s) <= max_age_s:
        return ''
    how = (f'{age_s:.1f} s old' if age_s > 0 else f'{-age_s:.1f} s ahead of this clock')
    return (f'It stands: the newest detections are {how}, max_age_s is {max_age_s:g}; check '
            'the camera, the detector and the clocks.')


class FollowCone(Node):
    """Listens to detections and positions, publishes ``cmd_vel``."""

    def __init__(self):
        super().__init__('follow_cone')
        self._settings = {name: self.declare_parameter(name, value).value
                          for name, value in PARAMETERS.items()}
        self._sizes: dict[tuple[int, int], tuple[int, int]] = {}  # stamp -> width, height
        self._cone: Cone | None = None
        self._way, self._sent = Way(), Twist()
        self._with_positions = False
        self._target: Place | None = None  # this and the obstacles seen from the way's start
        self._things: dict[str, Place] = {}
        self._seen_ns: int | None = None
        self._output = self.create_publisher(
            TwistStamped if self._settings['stamped'] else Twist, 'cmd_vel', 10)
        self.create_subscription(CameraInfo, 'camera_info', self._receive_info,
                                 qos_profile_sensor_data)
        self.create_subscription(Detection2DArray, 'detections', self._receive_detections, 10)
        self.create_subscription(Detection3DArray, 'detections_3d', self._receive_positions, 10)
        self.create_subscription(PoseStamped, 'target', self._receive_target, 10)
        self.create_timer(PERIOD_S, self._drive)

    def _receive_info(self, message: CameraInfo) -> None:
        stamp = message.header.stamp
        if message.width and message.height:  # 0 where a camera is not calibrated
            self._sizes[stamp.sec, stamp.nanosec] = message.width, message.height
        if len(self._sizes) > REMEMBERED:
            del self._sizes[next(iter(self._sizes))]

    def _receive_detections(self, message: Detection2DArray) -> None:
        stamp = message.header.stamp
        size = self._sizes.get((stamp.sec, stamp.nanosec))
        if self._with_positions or size is None:  # its CameraInfo was lost: steer by the next one
            return
        self._cone = largest_cone(message, *size, self._settings['class_id'],
                                  self._settings['least_score'])
        # The age counts from the camera's stamp: the time in the network is part of it.
        self._seen_ns = _nanoseconds(message)

    def _is_usable(self, message: Detection3DArray | PoseStamped) -> bool:
        """Return whether positions are the robot's; from then on it drives by nothing less."""
        frame, expected = message.header.frame_id, self._settings['base_frame']
        if frame != expected:
            self.get_logger().error(f'The positions are in {frame}, not in {expected}: set '
                                    'position_frame of the detector.', throttle_duration_sec=5.0)
            return False
        self._with_positions, self._seen_ns = True, _nanoseconds(message)
        return True

    def _receive_positions(self, message: Detection3DArray) -> None:
        if not self._is_usable(message):
            return
        pose = self._way.pose(_nanoseconds(message))
        for k, found in enumerate(message.detections):
            middle = found.bbox.center.position
            if not _finite(middle.x, middle.y, found.bbox.size.x):
                continue
            self._things[found.id or f'without id {k}'] = Place(
                middle.x, middle.y, found.bbox.size.x / 2, _nanoseconds(message)).at_pose(*pose)

    def _receive_target(self, message: PoseStamped) -> None:
        stamp_ns, at = _nanoseconds(message), message.pose.position
        if not _finite(at.x, at.y) or not self._is_usable(message):
            return
        place = Place(at.x, at.y, 0.0, stamp_ns).at_pose(*self._way.pose(stamp_ns))
        known = self._remembered(self._target, stamp_ns)
        if known is None or _apart(known, place) < SAME_PLACE_M:
            self._target = place

    def _remembered(self, place: Place | None, now_ns: int) -> Place | None:
        if place is None or not 0 <= now_ns - place.seen_ns <= self._settings['memory_s'] * 1e9:
            return None
        return place

    def _drive(self) -> None:
        now_ns = self.get_clock().now().nanoseconds
        self._way.drive(now_ns, self._sent)
        # A stamp from the future is as wrong as an old one: by a clock that is ahead, or simulated
        # time that went back, the robot would drive on without a camera.
        reason = why_it_stands(self._seen_ns, now_ns, self._settings['max_age_s'])
        if reason:
            self.get_logger().warning(reason, throttle_duration_sec=5.0, skip_first=True)
        self._sent = Twist() if reason else self._command(now_ns)
        self._publish(self._sent)

    def _publish(self, twist: Twist) -> None:
        if self._settings['stamped']:
            self._output.publish(TwistStamped(twist=twist, header=Header(
                stamp=self.get_clock().now().to_msg(), frame_id=self._settings['base_frame'])))
        else:
            self._output.publish(twist)

    def stop(self) -> None:
        """Send a last command, to stand, and wait until it has arrived."""
        self._publish(Twist())
        self._output.wait_for_all_acked(Duration(seconds=0.5))

    def _command(self, now_ns: int) -> Twist:
        settings = self._settings
        if not self._with_positions:
            return command(self._cone, settings['speed'], settings['turn'], settings['near'])
        target = self._target = self._remembered(self._target, now_ns)
        self._things = {name: place for name, place in self._things.items()
                        if self._remembered(place, now_ns)}
        if target is None:
            return Twist()
        pose = self._way.pose(now_ns)
        obstacles = [place.from_pose(*pose) for place in self._things.values()
                     if _apart(place, target) > SAME_PLACE_M]
        return command_towards(target.from_pose(*pose), obstacles, settings)


def _nanoseconds(message: Detection2DArray | Detection3DArray | PoseStamped) -> int:
    return message.header.stamp.sec * 10 ** 9 + message.header.stamp.nanosec


def _finite(*values: float) -> bool:
    return all(map(math.isfinite, values))


def _apart(one: Place, other: Place) -> float:
    return math.hypot(one.x - other.x, one.y - other.y)


def main() -> None:
    """Spin until Ctrl-C, and leave the robot standing."""
    # rclpy's own handlers end the context, and then no command can be sent any more.
    rclpy.init(signal_handler_options=SignalHandlerOptions.NO)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    node, executor = FollowCone(), SingleThreadedExecutor()
    executor.add_node(node)
    try:
        while True:  # a wait without an end would not notice signals while simulated time stands
            executor.spin_once(timeout_sec=0.2)
    except KeyboardInterrupt:
        pass
    finally:
        node.stop()
        rclpy.try_shutdown()


if __name__ == '__main__':
    main()
