"""One drive through one course, in lock-step: simulated time waits for node and follower."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from geometry_msgs.msg import PoseStamped, Twist
from vision_msgs.msg import Detection2DArray, Detection3DArray

from sim import model
from sim.bridge import Bridge
from sim.course import Course
from sim.rover import Rover
from ssd_perception.imaging.compressed import encode_jpeg

TICK_S, FRAME_TICKS = 0.05, 2  # 20 commands and 10 images a second
DISTANCE, TOLERANCE = 0.5, 0.1  # from the rover's front to the middle of the cone, metres
_LIMIT_S = 45.0
_STANDS_S = 1.0  # a rover that stood for so long after it drove has arrived
_STARTS_WITHIN_S = 8.0
_STANDS_BELOW = 0.01  # metres, or radians, per tick
_NO_COMMAND_S = 0.5
_JPEG_QUALITY = 90


@dataclass(frozen=True)
class Settings:
    """What the camera does to the images.

    Attributes:
        latency_s: from the exposure to the node's answer, simulated.
        loss: share of the images that never arrive.
    """

    latency_s: float = 0.05
    loss: float = 0.0


@dataclass
class Moment:
    """One image that the node answered, and the truth at its stamp.

    Attributes:
        stamp_ns: simulated time.
        jpeg: the image.
        pose: x, y, heading of base_link.
        places: (n, 2), of the course's things.
        detections, positions, target: the node's messages.
    """

    stamp_ns: int
    jpeg: bytes
    pose: tuple[float, float, float]
    places: np.ndarray
    detections: Detection2DArray | None = None
    positions: Detection3DArray | None = None
    target: PoseStamped | None = None


@dataclass
class Drive:
    """What happened on one course.

    Attributes:
        course: which.
        moments: answered images.
        seconds: simulated, until it ended.
        distance: at the end, from the rover's front to the middle of the right cone, metres.
        touched: names of what the rover touched.
        lost: images that never arrived.
        failure: why it is no success; empty where it is one.
    """

    course: Course
    moments: list[Moment] = field(default_factory=list)
    seconds: float = 0.0
    distance: float = math.nan
    touched: list[str] = field(default_factory=list)
    lost: int = 0
    failure: str = ''


def run_course(bridge: Bridge, course: Course, start_ns: int, settings: Settings,
               progress: Callable[[Drive], None]) -> Drive:
    """Drive until the rover stands, touches something or takes too long.

    Args:
        bridge: to a node and a follower that run.
        start_ns: simulated time to begin at; later than all before.
        progress: called after each tick.
    """
    drive = Drive(course)
    rover = Rover(course)
    try:
        _run(bridge, rover, drive, start_ns, settings, progress)
        drive.distance, drive.touched = front_distance(rover), list(rover.touched)
    finally:
        rover.close()
    drive.failure = judge(drive)
    return drive


def _run(bridge: Bridge, rover: Rover, drive: Drive, start_ns: int, settings: Settings,
         progress: Callable[[Drive], None]) -> None:
    rng = np.random.default_rng(drive.course.seed + 2000)
    waiting: deque[Moment] = deque()
    still_s, drove, heard_at = 0.0, False, 0
    bridge.command, commands = Twist(), bridge.commands
    before = rover.pose()
    for tick in range(round(_LIMIT_S / TICK_S)):
        now_ns = start_ns + round(tick * TICK_S * 1e9)
        if tick % FRAME_TICKS == 0:
            if rng.random() < settings.loss:
                drive.lost += 1
            else:
                waiting.append(Moment(now_ns, encode_jpeg(rover.image(), _JPEG_QUALITY).tobytes(),
                                      rover.pose(), rover.places()))
        bridge.tick(now_ns)
        while waiting and waiting[0].stamp_ns + settings.latency_s * 1e9 <= now_ns:
            _answer(bridge, waiting.popleft(), drive)
        if bridge.commands > commands:
            commands, heard_at = bridge.commands, tick
        if (tick - heard_at) * TICK_S > _NO_COMMAND_S:
            bridge.command = Twist()
        linear, angular = bridge.command.linear.x, bridge.command.angular.z
        rover.step(TICK_S, linear, angular)
        pose = rover.pose()
        bridge.move(now_ns, pose, linear, angular)
        moved = max(abs(a - b) for a, b in zip(pose, before))
        drove = drove or math.hypot(*pose[:2]) > 0.05
        still_s = 0.0 if moved > _STANDS_BELOW * TICK_S else still_s + TICK_S
        before, drive.seconds = pose, (tick + 1) * TICK_S
        progress(drive)
        if rover.touched or still_s >= (_STANDS_S if drove else _STARTS_WITHIN_S):
            return


def _answer(bridge: Bridge, moment: Moment, drive: Drive) -> None:
    bridge.show(moment.stamp_ns, moment.jpeg)
    moment.detections = bridge.detections.pop(moment.stamp_ns)
    moment.positions = bridge.positions.pop(moment.stamp_ns)
    moment.target = bridge.targets.pop(moment.stamp_ns, None)
    drive.moments.append(moment)


def front_distance(rover: Rover) -> float:
    """Return how far the middle of the right cone is from the rover's front, metres."""
    x, y, heading = rover.pose()
    front = np.array([x + model.FRONT * math.cos(heading), y + model.FRONT * math.sin(heading)])
    return float(np.linalg.norm(rover.places()[0] - front))


def judge(drive: Drive) -> str:
    """Return why a drive is no success, in one sentence; empty where it is one."""
    if drive.touched:
        return f'The rover touched {" and ".join(drive.touched)}.'
    if drive.seconds >= _LIMIT_S:
        return f'The rover did not arrive within {_LIMIT_S:.0f} s.'
    if abs(drive.distance - DISTANCE) > TOLERANCE:
        return (f'The rover ended {drive.distance:.2f} m from the right cone, expected '
                f'{DISTANCE} m +- {TOLERANCE}.')
    return ''
