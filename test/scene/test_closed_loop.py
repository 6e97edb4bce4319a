"""The example follows by tracks, positions and target, in a simulated course without pictures.

The camera's boxes come from geometry, with the detector's noise, misses, weak scores and false
boxes; commands arrive a tenth of a second late, and one image in ten never does.
"""

from __future__ import annotations

import importlib.util
import math
import sys
from collections import deque
from pathlib import Path

import numpy as np
import pytest
from cameras import cylinder_box
from drives import HEIGHT, WIDTH, camera_pose

pytest.importorskip('vision_msgs')
from ssd_perception.core.detections import Detections  # noqa: E402
from ssd_perception.core.frame import Frame, prepare_stages  # noqa: E402
from ssd_perception.core.postprocess import PostprocessSettings  # noqa: E402
from ssd_perception.scene.camera_model import CameraModel, mounting  # noqa: E402
from ssd_perception.scene.positions import PositionSettings, View, locate  # noqa: E402
from ssd_perception.scene.target import TargetSelector, TargetSettings  # noqa: E402
from ssd_perception.scene.tracks import TrackSettings, TrackStage  # noqa: E402

_spec = importlib.util.spec_from_file_location(
    'follow_cone', Path(__file__).parents[2] / 'examples' / 'follow_cone.py')
follow_cone = importlib.util.module_from_spec(_spec)
sys.modules['follow_cone'] = follow_cone
_spec.loader.exec_module(follow_cone)

NAMES = ('cone', 'cube')
STEP_S, LATE_STEPS, MAX_AGE_STEPS = 0.05, 2, 10
LENS = CameraModel.from_camera_info(
    WIDTH, HEIGHT, 'plumb_bob', [0.0] * 5, (480.0, 0.0, 319.5, 0.0, 480.0, 239.5, 0.0, 0.0, 1.0),
    (480.0, 0.0, 319.5, 0.0, 0.0, 480.0, 239.5, 0.0, 0.0, 0.0, 1.0, 0.0))
MOUNT = mounting(0.0, 0.0, 0.33, 0.0, 0.19, 0.0)


class Robot:
    """Tracks, positions and target as the node has them, and the example's command."""

    def __init__(self):
        self.tracks = TrackStage(TrackSettings())
        prepare_stages([self.tracks], PostprocessSettings(0.5), NAMES)
        self.settings = PositionSettings(
            ('ground',), {'cone': (0.3, 0.36), 'cube': (0.22, 0.28)})
        self.selector = TargetSelector(TargetSettings('cone'))

    def look(self, stamp_ns, found):
        """Return the target in the robot's frame, or None."""
        tracked = self.tracks(Frame('', stamp_ns, 'optical', None), found)
        places = locate(tracked, View(LENS, MOUNT), self.settings, NAMES)
        chosen = self.selector.choose(stamp_ns, tracked, places, NAMES, np.zeros(3))
        return None if chosen is None else places[chosen].xyz[:2]


def detect(rng, objects, labels, pose):
    """Return what a detector finds from this pose."""
    rows = []
    for place, label in zip(objects, labels):
        depth = (np.array([*place, 0.1]) - pose[:3, 3]) @ pose[:3, 2]
        if not 0.25 < depth < 4.5 or rng.uniform() < 0.1:
            continue
        whole = cylinder_box(LENS, pose, *place, radius=0.1 if label == 0 else 0.12,
                             height=0.33 if label == 0 else 0.25)
        box = np.clip(whole + rng.standard_normal(4) * (0.015 * (whole[3] - whole[1]) + 1), 0,
                      [WIDTH, HEIGHT] * 2)
        if np.prod(box[2:] - box[:2]) < 0.3 * np.prod(whole[2:] - whole[:2]):
            continue
        score = np.clip(1.0 - 0.1 * depth + 0.1 * rng.standard_normal(), 0, 1)
        rows.append((box, float(score), label))
    if rng.uniform() < 0.2:
        corner = rng.uniform([0, 0], [560, 300])
        rows.append((np.concatenate([corner, corner + 60]), rng.uniform(0.2, 0.7), 0))
    rows = sorted((row for row in rows if row[1] >= 0.2), key=lambda row: -row[1])
    return Detections(np.array([row[0] for row in rows]).reshape(-1, 4), [row[1] for row in rows],
                      [row[2] for row in rows])


def follow(seed):
    """Drive a course; return the distances to the right cone and to the nearest other object."""
    rng, robot = np.random.default_rng(seed), Robot()
    bearing, away = rng.uniform(-0.35, 0.35), rng.uniform(2.0, 3.5)
    goal = away * np.array([math.cos(bearing), math.sin(bearing)])
    behind = goal * (away + rng.uniform(0.8, 1.5)) / away + rng.uniform(-0.3, 0.3, 2)
    aside = goal * rng.uniform(0.4, 0.7) + rng.choice([-1, 1]) * 0.7 * np.array(
        [-math.sin(bearing), math.cos(bearing)])
    objects, labels = np.array([goal, behind, aside]), np.array([0, 0, 1])
    x = y = yaw = 0.0
    waiting, target, stamp = deque(), None, -math.inf
    nearest = math.inf
    for step in range(500):
        if step % 2 == 0 and rng.uniform() > 0.1:
            found = detect(rng, objects, labels, camera_pose(
                x, y, yaw, 0.19 + 0.003 * rng.standard_normal()))
            waiting.append((step, robot.look(10 ** 18 + int(step * STEP_S * 1e9), found)))
        while waiting and waiting[0][0] <= step - LATE_STEPS:
            taken, place = waiting.popleft()
            if place is not None:
                target, stamp = place, taken
        fresh = step - stamp <= MAX_AGE_STEPS
        twist = follow_cone.command_towards(
            follow_cone.Place(*target), (), follow_cone.PARAMETERS) if fresh else (
                follow_cone.Twist())
        yaw += STEP_S * twist.angular.z
        x += STEP_S * twist.linear.x * math.cos(yaw)
        y += STEP_S * twist.linear.x * math.sin(yaw)
        nearest = min(nearest, *np.hypot(*(objects[1:] - [x, y]).T))
    return math.hypot(*(goal - [x, y])), nearest


def test_the_robot_ends_before_the_right_cone():
    results = [follow(seed) for seed in range(20)]
    good = [abs(distance - 0.5) <= 0.1 and nearest > 0.35 for distance, nearest in results]
    assert sum(good) >= 18, results
