"""One random room with cones, cubes and clutter, seen by a camera at a random place in it."""

from __future__ import annotations

import math
from collections.abc import Sequence

import bpy
import numpy as np

from demo import clutter, objects, renderer, surroundings

FOCAL_RANGE_PX = (430.0, 620.0)  # at 640 pixels width: a horizontal view of 73 to 55 degrees
OBJECT_HEIGHT_RANGE_PX = (19.0, 430.0)
Targets = dict[bpy.types.Object, str]  # object -> class
Corners = list[tuple[float, float]]  # of the floor, metres


def place(thing: bpy.types.Object, x: float, y: float, yaw: float) -> None:
    thing.location = (x, y, thing.location[2])
    thing.rotation_euler = (0, 0, yaw)


class Ground:
    """Keeps things apart on the floor."""

    def __init__(self) -> None:
        self.taken = []

    def free(self, x: float, y: float, radius: float, slack: float = 0.0) -> bool:
        """Return whether a disc fits; `slack` allows some overlap."""
        return all(math.hypot(x - a, y - b) > radius + r - slack for a, b, r in self.taken)

    def take(self, x: float, y: float, radius: float) -> None:
        self.taken.append((x, y, radius))


def build(rng: np.random.Generator, scene: bpy.types.Scene, floors: Sequence[str],
          clutter_only: bool) -> tuple[bpy.types.Object, dict[bpy.types.Object, str]]:
    """Fill the scene; return (camera, targets: object -> label)."""
    corners = room(rng, floors)
    eye, yaw, pitch = camera(rng, scene)
    ground = Ground()
    ground.take(0, 0, 0.22)
    targets = {}
    if not clutter_only:
        _targets(rng, eye, yaw, pitch, ground, targets, corners)
    _clutter(rng, ground, yaw, corners, extra=3 if clutter_only else 0)
    for number, thing in enumerate(targets, 1):
        thing.pass_index = number
    return eye, targets


def room(rng: np.random.Generator, floors: Sequence[str],
         fittings: Sequence[str] | None = None) -> Corners:
    """Build a lit room with furnished walls around the origin; return its four corners (x, y).

    `fittings` names what may stand along the walls (see surroundings.FITTINGS).
    """
    width, depth = rng.uniform(4, 11), rng.uniform(4, 12)
    back = rng.uniform(0.8, 2.5)  # room behind the camera
    corners = [(-width / 2, -back), (width / 2, -back), (width / 2, depth), (-width / 2, depth)]
    kind = floors[rng.integers(len(floors))]
    surroundings.floor(surroundings.FLOORS[kind](rng), corners)
    if rng.uniform() < 0.35:
        # A second floor begins somewhere, a hair higher, as in halls and doorways.
        other = surroundings.FLOORS[floors[rng.integers(len(floors))]](rng)
        edge, slope = rng.uniform(0.8, 0.8 * depth), rng.uniform(-0.3, 0.3)
        surroundings.floor(other, [(-width / 2, edge - slope), (width / 2, edge + slope),
                                   (width / 2, depth), (-width / 2, depth)], 0.002)
    light_kind = rng.choice(('lamps', 'daylight', 'mixed', 'dim'), p=(0.35, 0.25, 0.25, 0.15))
    daylight = 0.0 if light_kind in ('lamps', 'dim') else rng.uniform(2.0, 7.0)
    for start, end in zip(corners, corners[1:] + corners[:1]):
        surroundings.wall(rng, start, end, daylight, rng.uniform(2.5, 3.2), fittings)
    _light(rng, light_kind, width, depth)
    return corners


def _light(rng: np.random.Generator, kind: str, width: float, depth: float) -> None:
    warm = rng.uniform(0, 1)
    colour = np.array((1.0, 0.76, 0.52)) * warm + np.array((0.93, 0.97, 1.0)) * (1 - warm)
    fill = {'lamps': 0.35, 'daylight': 0.5, 'mixed': 0.4, 'dim': 0.07}[kind]
    surroundings.world(tuple(colour**0.5), fill * rng.uniform(0.6, 1.4))
    lamps = {'lamps': rng.integers(1, 5), 'daylight': 0, 'mixed': rng.integers(1, 3), 'dim': 1}
    for _ in range(lamps[kind]):
        size = (rng.uniform(0.15, 0.6), rng.uniform(0.5, 1.4))
        surroundings.lamp((rng.uniform(-0.4, 0.4) * width, rng.uniform(-0.1, 0.9) * depth,
                           rng.uniform(2.3, 2.9)), size, rng.uniform(30, 110), tuple(colour))
    if kind in ('daylight', 'mixed'):
        side = -1 if rng.uniform() < 0.5 else 1
        aim = (-side * 1.0, rng.normal(0, 0.4), -0.45)
        surroundings.lamp((side * (width / 2 - 0.15), rng.uniform(0.1, 0.7) * depth, 1.6),
                          (1.5, rng.uniform(1.0, 3.0)), rng.uniform(60, 200), (0.8, 0.9, 1.0), aim)
        if rng.uniform() < 0.55:
            surroundings.sun_through_windows(
                rng, (rng.normal(0, 0.8), rng.uniform(0.5, 4)), rng.uniform(3, 14),
                math.radians(rng.uniform(25, 60)), rng.uniform(0, 2 * math.pi))


def camera(rng: np.random.Generator,
           scene: bpy.types.Scene) -> tuple[bpy.types.Object, float, float]:
    """Mount the camera low as on a rover, or higher and looking down as in a hand.

    Return (camera, yaw, pitch); the camera keeps its focal length in `focal_px`.
    """
    focal_px = rng.uniform(*FOCAL_RANGE_PX)
    eye = renderer.add_camera(scene, focal_px)
    if rng.uniform() < 0.6:
        height, pitch = rng.uniform(0.2, 0.5), math.radians(rng.uniform(2, 24))
    else:
        height, pitch = rng.uniform(0.5, 1.3), math.radians(rng.uniform(14, 55))
    yaw, roll = rng.normal(0, 0.45), rng.normal(0, 0.035)
    if rng.uniform() < 0.15:
        roll = rng.normal(0, 0.2)
    position = np.array((0.0, 0.0, height))
    blurred = rng.uniform() < 0.45
    if blurred:
        # The shutter is open for half of the way between frames 0 and 2.
        swing = rng.normal(0, 1, 3) * rng.choice((0.006, 0.015, 0.04))
        shift = rng.normal(0, 1, 3) * rng.choice((0.004, 0.015))
        for frame, sign in ((0, -1), (2, 1)):
            renderer.set_pose(eye, position + sign * shift, yaw + sign * swing[0],
                            pitch + sign * swing[1], roll + sign * swing[2], frame)
        renderer.set_linear_motion(eye)
        scene.render.use_motion_blur = True
        scene.render.motion_blur_shutter = 1.0
        scene.frame_set(1)
    else:
        renderer.set_pose(eye, position, yaw, pitch, roll)
    if rng.uniform() < 0.25:
        eye.data.dof.use_dof = True
        eye.data.dof.focus_distance = rng.uniform(0.6, 3)
        eye.data.dof.aperture_fstop = rng.uniform(1.4, 4)
    eye['focal_px'] = focal_px
    return eye, yaw, pitch


def _targets(rng: np.random.Generator, camera: bpy.types.Object, yaw: float, pitch: float,
             ground: Ground, targets: Targets, room: Corners) -> None:
    """Scatter cones and cubes so that their heights in the image spread evenly on a log scale."""
    wanted = rng.choice((1, 2, 3, 4, 5), p=(0.18, 0.27, 0.28, 0.17, 0.10))
    focal_px, height = camera['focal_px'], camera.location[2]
    half_view = math.atan(320 / focal_px)
    # The nearest floor in view; objects may stand a little nearer and be cut by the edge.
    steepest = pitch + math.atan(240 / focal_px)
    nearest = max(0.28, 0.85 * height / math.tan(min(steepest, 1.5)))
    farthest = 1e9
    if pitch > math.atan(240 / focal_px):
        farthest = height / math.tan(pitch - math.atan(240 / focal_px))
    for _ in range(60):
        if len(targets) == wanted:
            break
        size_px = np.exp(rng.uniform(*np.log(OBJECT_HEIGHT_RANGE_PX)))
        distance = focal_px * 0.27 / size_px
        if not nearest < distance < farthest:
            continue
        bearing = yaw + rng.uniform(-1.08, 1.08) * half_view
        x, y = -math.sin(bearing) * distance, math.cos(bearing) * distance
        if targets and rng.uniform() < 0.3:
            # Some stand close together: partly hidden, as in a real heap.
            near = list(targets)[rng.integers(len(targets))]
            x, y = np.array(near.location[:2]) + rng.normal(0, 0.24, 2)
        inside = (room[0][0] + 0.7 < x < room[1][0] - 0.7
                  and room[0][1] + 0.3 < y < room[2][1] - 0.7)
        if not inside or not ground.free(x, y, 0.16, 0.06):
            continue
        if rng.uniform() < 0.55:
            pose = rng.choice(('standing', 'lying', 'on_tip'), p=(0.5, 0.49, 0.01))
            thing, label = objects.cone(rng, pose), 'cone'
        else:
            thing, label = objects.cube(rng), 'cube'
        place(thing, x, y, rng.uniform(0, 2 * math.pi))
        ground.take(x, y, 0.17)
        targets[thing] = label


def _clutter(rng: np.random.Generator, ground: Ground, yaw: float, room: Corners,
             extra: int) -> None:
    for large in [True] * int(rng.integers(0, 5)) + [False] * int(rng.integers(1, 6) + extra):
        kinds = clutter.LARGE if large else clutter.SMALL
        thing = kinds[rng.integers(len(kinds))](rng)
        radius = 0.5 if large else 0.25
        for _ in range(20):
            bearing = yaw + rng.uniform(-0.65, 0.65)
            distance = np.exp(rng.uniform(math.log(1.3 if large else 0.6), math.log(7)))
            x, y = -math.sin(bearing) * distance, math.cos(bearing) * distance
            inside = (room[0][0] + 0.8 < x < room[1][0] - 0.8
                      and room[0][1] + 0.3 < y < room[2][1] - 0.8)
            if inside and ground.free(x, y, radius):
                break
        else:
            # No place: behind the camera it at least throws a shadow.
            x, y = 0.3, room[0][1] + 0.3
        place(thing, x, y, rng.uniform(0, 2 * math.pi))
        ground.take(x, y, radius)
