"""The drive: three rooms in a row, what stands in them, and the rover's way through."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import bpy
import numpy as np

from demo import clutter, materials, objects, renderer, surroundings
from demo.shape import Shape

FRAMES = 100
RATE_HZ = 10
WIDTH, HEIGHT = 640, 480
FOCAL_PX = 480.0  # a horizontal view of 67 degrees
CAMERA_HEIGHT_M = 0.33
CAMERA_PITCH_RAD = math.radians(11)
SHUTTER_S = 0.02
SEED = 20_260_101

# Metres; the rover drives towards +y, through a doorway into each next room.
DOORS = ((4.3, 0.15, 1.35), (8.7, -1.35, -0.15))  # y of the wall, opening from x to x
WAY = ((-0.5, -1.3), (-0.5, -0.5), (-0.45, 0.6), (-0.2, 1.7), (0.2, 2.8), (0.65, 3.9),
       (0.75, 4.6), (0.55, 5.7), (0.0, 6.8), (-0.55, 7.7), (-0.75, 8.5), (-0.7, 9.2),
       (-0.25, 10.1), (0.1, 10.9))
# Glances aside: middle and width in seconds, angle to the left in radians.
GLANCES = ((3.3, 0.4, 0.30), (5.0, 0.4, 0.20), (6.7, 0.30, -1.30))

# kind, x, y, yaw (radians), seed
TARGETS = (
    ('standing', -0.85, 0.75, 0.3, 1),
    ('lying', 0.20, 1.15, 2.3, 2),
    ('cube', -0.45, 2.50, 0.5, 3),
    ('standing', 0.95, 2.75, 0.8, 4),
    ('standing', -1.30, 3.40, 0.2, 15),
    ('cube', 0.20, 5.40, 0.9, 5),
    ('lying', 1.05, 5.90, -1.9, 6),
    ('standing', -0.65, 6.60, 0.1, 7),
    ('standing', -0.12, 7.75, 0.6, 8),
    ('cube', -1.15, 7.40, 0.2, 9),
    ('cube', 0.30, 9.75, 0.4, 10),
    ('lying', -1.20, 9.95, 0.9, 11),
    ('standing', -0.60, 10.75, 0.2, 12),
    ('cube', 0.25, 11.45, 1.2, 13),
    ('standing', 1.10, 11.60, 0.5, 14))
CLUTTER = (
    ('bag', -1.9, 2.4, 0.4, 21),
    ('chair', 1.75, 2.9, 2.0, 22),
    ('cable', 1.3, 1.9, 0.0, 23),
    ('table', 1.7, 0.9, 1.57, 24),
    ('box', -1.8, 3.7, 0.3, 25),
    ('person', 1.9, 5.2, 0.6, 26),
    ('plant', -2.0, 8.25, 0.0, 27),
    ('pipes', 0.6, 8.2, 0.5, 28),
    ('frame', 2.3, 6.4, 0.4, 29),
    ('bucket', -2.1, 6.4, 0.0, 30),
    ('ball', 1.55, 7.1, 0.0, 31),
    ('chair', -1.9, 11.1, 4.2, 32),
    ('box', 1.9, 10.6, 0.9, 33),
    ('bag', 1.6, 12.5, 2.2, 34),
    ('plant', -2.1, 13.1, 0.0, 35),
    ('person', 0.9, 13.2, 0.2, 36))


@dataclass(frozen=True)
class Plan:
    """What makes one drive through the three rooms differ from another; this is the shipped one.

    Attributes:
        floors: names in ``surroundings.FLOORS``, one per room; empty for the recording's own.
        lamps: factors on the lamps' power, one per room.
    """

    seed: int = SEED
    way: tuple = WAY
    glances: tuple = GLANCES
    targets: tuple = TARGETS
    clutter: tuple = CLUTTER
    floors: tuple = ()
    lamps: tuple = (1.0, 1.0, 1.0)


def build(scene: bpy.types.Scene,
          plan: Plan = Plan()) -> tuple[bpy.types.Object, dict[bpy.types.Object, str]]:
    """Build the three rooms; return (camera, targets: object -> label)."""
    rng = np.random.default_rng(plan.seed)
    _floors(rng, plan.floors)
    _walls(rng)
    _lights(rng, plan.lamps)
    targets = {}
    for kind, x, y, yaw, seed in plan.targets:
        own = np.random.default_rng(plan.seed + seed)
        if kind == 'cube':
            thing, label = objects.cube(own), 'cube'
        else:
            thing, label = objects.cone(own, kind), 'cone'
        thing.location, thing.rotation_euler = (x, y, thing.location[2]), (0, 0, yaw)
        targets[thing] = label
        thing.pass_index = len(targets)
    for kind, x, y, yaw, seed in plan.clutter:
        thing = getattr(clutter, kind)(np.random.default_rng(plan.seed + seed))
        thing.location, thing.rotation_euler = (x, y, 0), (0, 0, yaw)
    camera = renderer.add_camera(scene, FOCAL_PX)
    _animate(scene, camera, plan)
    return camera, targets


def _floors(rng: np.random.Generator, names: Sequence[str]) -> None:
    floors = tuple(surroundings.FLOORS[name](rng) for name in names) or (
              materials.tiles((0.44, 0.42, 0.38), (0.13, 0.10, 0.08), 0.33, 0.2, 0.6, 0.25),
              materials.concrete((0.25, 0.243, 0.23), 0.42, 0.9, 0.1),
              materials.wood((0.43, 0.26, 0.125), 0.25, (1.2, 0.12), 1.35))
    ends = (-3.5, DOORS[0][0], DOORS[1][0], 14.5)
    for skin, low, high in zip(floors, ends, ends[1:]):
        surroundings.floor(skin, [(-4, low), (4, low), (4, high), (-4, high)])
    sill = materials.plain((0.35, 0.33, 0.30), 0.3, 0.8)
    for y, left, right in DOORS:
        shape = Shape()
        shape.box(((left + right) / 2, y, 0.004), (right - left, 0.12, 0.008), sill)
        shape.build('sill', bevel_m=0.002)


def _walls(rng: np.random.Generator) -> None:
    room_1 = ('cabinet', 'shelf', 'poster', 'crates', 'door')
    room_2 = ('radiator', 'crates', 'poster')
    room_3 = ('shelf', 'cabinet', 'poster', 'door')
    glass = ('window',)
    for start, end, fittings in (
            ((2.4, -3.5), (2.4, 4.3), room_1), ((-2.4, 4.3), (-2.4, -3.5), room_1),
            ((3.2, 4.3), (3.2, 8.7), glass), ((-3.0, 8.7), (-3.0, 4.3), room_2),
            ((2.6, 8.7), (2.6, 14.5), room_3), ((-2.6, 14.5), (-2.6, 8.7), room_3),
            ((2.6, 14.5), (-2.6, 14.5), ('window', 'shelf', 'cabinet'))):
        surroundings.wall(rng, start, end, 5.0, fittings=fittings)
    for y, left, right in DOORS:
        surroundings.wall(rng, (3.2, y), (right, y), 0, fittings=('poster', 'crates', 'cabinet'))
        surroundings.wall(rng, (left, y), (-3.0, y), 0, fittings=('poster', 'shelf'))
        shape = Shape()
        jamb = materials.plain((0.30, 0.17, 0.08), 0.4)
        for x in (left, right):
            shape.box((x, y, 1.05), (0.06, 0.2, 2.1), jamb)
        shape.box(((left + right) / 2, y, 2.12), (right - left + 0.1, 0.2, 0.1), jamb)
        shape.box(((left + right) / 2, y, 2.5), (right - left, 0.1, 0.7),
                  materials.plain((0.6, 0.58, 0.54), 0.8))
        shape.build('doorway', bevel_m=0.004)


def _lights(rng: np.random.Generator, power: Sequence[float]) -> None:
    surroundings.world((0.95, 0.97, 1.0), 0.28)
    cold, warm = (0.93, 0.97, 1.0), (1.0, 0.78, 0.55)
    for y in (-0.5, 2.6):
        surroundings.lamp((0.4, y, 2.6), (0.3, 1.2), 75 * power[0], cold)
    # The middle room has no lamp on: light comes from the windows on the right alone.
    surroundings.lamp((3.05, 6.4, 1.5), (1.4, 3.0), 60 * power[1], (0.8, 0.9, 1.0),
                      (-1.0, 0.0, -0.35))
    surroundings.sun_through_windows(rng, (-0.7, 6.1), 7.0, math.radians(54), math.radians(190))
    for x, y in ((-0.8, 10.2), (0.9, 12.6)):
        surroundings.lamp((x, y, 2.5), (0.5, 0.5), 95 * power[2], warm)


def way_points(way: Sequence[tuple[float, float]]) -> tuple[np.ndarray, np.ndarray]:
    """Sample the Catmull-Rom curve through ``way``; return (points (n, 2), length to it (n,))."""
    way = np.array(way)
    way = np.vstack([2 * way[0] - way[1], way, 2 * way[-1] - way[-2]])
    t = np.linspace(0, 1, 200, endpoint=False)[:, None]
    pieces = []
    for a, b, c, d in zip(way, way[1:], way[2:], way[3:]):
        pieces.append(0.5 * (2 * b + (c - a) * t + (2 * a - 5 * b + 4 * c - d) * t**2
                             + (3 * b - a - 3 * c + d) * t**3))
    points = np.concatenate(pieces)
    return points, np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(points, axis=0),
                                                                axis=1))])


def pose_at(time_s: float, plan: Plan = Plan()) -> tuple[np.ndarray, float, float, float]:
    """Return (position, yaw, pitch, roll) of the camera, shake included."""
    points, length = way_points(plan.way)
    duration = FRAMES / RATE_HZ
    # Gentle start, then an even speed of about 1.1 m/s.
    travelled = (time_s - 0.35 * math.tanh(time_s / 0.7)) / (duration - 0.35)
    travelled = travelled * (length[-1] - 0.5) + 0.1

    def on_way(s: float) -> np.ndarray:
        return np.array([np.interp(s, length, points[:, i]) for i in (0, 1)])

    x, y = on_way(travelled)
    # A rover turns as its wheels do: towards the way half a metre ahead.
    ahead = on_way(travelled + 0.4) - on_way(travelled - 0.2)
    yaw = math.atan2(-ahead[0], ahead[1])
    yaw += sum(a * math.exp(-((time_s - t) / w)**2) for t, w, a in plan.glances)
    waves = [math.sin(2 * math.pi * f * time_s + p) for f, p in
             ((1.3, 0.4), (2.9, 2.0), (5.7, 1.1), (8.3, 4.0), (3.7, 5.2))]
    # The threshold of a doorway gives a jolt.
    jolt = sum(math.exp(-((y - door[0] - 0.05) / 0.09)**2) for door in DOORS)
    pitch = CAMERA_PITCH_RAD + 0.004 * waves[0] + 0.003 * waves[2] + 0.002 * waves[3] - 0.03 * jolt
    roll = 0.006 * waves[1] + 0.003 * waves[4]
    height = CAMERA_HEIGHT_M + 0.002 * waves[2] + 0.012 * jolt
    return np.array([x, y, height]), yaw + 0.003 * waves[4], pitch, roll


def _animate(scene: bpy.types.Scene, camera: bpy.types.Object, plan: Plan) -> None:
    """Key the camera four times a frame; frame k + 1 is the middle of exposure k."""
    for quarter in range(-4, 4 * FRAMES + 5):
        renderer.set_pose(camera, *pose_at(quarter / 4 / RATE_HZ, plan), frame=1 + quarter / 4)
    renderer.set_linear_motion(camera)
    scene.render.use_motion_blur = True
    scene.render.motion_blur_shutter = SHUTTER_S * RATE_HZ
    scene.render.motion_blur_position = 'CENTER'
    scene.render.fps = RATE_HZ
