"""One random place, a room or a street, with cones, cubes and look-alikes of all designs."""

from __future__ import annotations

import math
from collections.abc import Callable

import bpy
import numpy as np

from demo import (
    clutter,
    cone_designs,
    cube_designs,
    lookalikes,
    picture_scene,
    renderer,
    street,
    street_things,
)
from demo.picture_scene import Ground, place

STREET_SHARE = 0.5
HEIGHT_RANGE_PX = (15.0, 260.0)  # of a target, at 480 rows; far more small ones than large ones
ROAD_KINDS = ('road', 'slender')
OUTSIDE = (street_things.drum, street_things.post, street_things.barrier, street_things.jersey,
           street_things.sign, street_things.worker, street_things.beacon, street_things.hydrant,
           street_things.wheelie_bin, lookalikes.ball, lookalikes.cloth, lookalikes.tape_strip)
# Some crates, cartons and what stands on shelves are cubes, which would go without a box.
FITTINGS = ('door', 'cabinet', 'cabinet', 'window', 'window', 'radiator', 'poster')
FURNITURE = (clutter.chair, clutter.person, clutter.plant, clutter.bag, clutter.bucket,
             clutter.pipes, clutter.cable, clutter.frame)
Inside = Callable[[float, float, float], bool]


def build(rng: np.random.Generator, scene: bpy.types.Scene, floors: tuple[str, ...],
          empty: bool) -> tuple[bpy.types.Object, dict[bpy.types.Object, str]]:
    """Fill the scene; return (camera, targets: object -> label). `empty`: look-alikes alone."""
    outside = rng.uniform() < STREET_SHARE
    if outside:
        street.build(rng)
        camera, yaw, pitch = _street_camera(rng, scene)

        def inside(x: float, y: float, margin: float) -> bool:
            return True
    else:
        room = picture_scene.room(rng, floors, FITTINGS)
        camera, yaw, pitch = picture_scene.camera(rng, scene)

        def inside(x: float, y: float, margin: float) -> bool:
            return (room[0][0] + margin < x < room[1][0] - margin
                    and room[0][1] + 0.3 < y < room[2][1] - margin)
    ground = Ground()
    ground.take(0, 0, 0.3)
    targets: dict[bpy.types.Object, str] = {}
    if not empty:
        _targets(rng, camera, yaw, pitch, ground, targets, inside, outside)
    _others(rng, ground, yaw, inside, outside, int(rng.integers(2, 8)) + 3 * empty)
    for number, thing in enumerate(targets, 1):
        thing.pass_index = number
    return camera, targets


def _street_camera(rng: np.random.Generator,
                   scene: bpy.types.Scene) -> tuple[bpy.types.Object, float, float]:
    """A rover's low camera, a person's or a car's; all see the horizon or nearly so."""
    focal_px = rng.uniform(430, 1000)
    camera = renderer.add_camera(scene, focal_px)
    camera.data.clip_end = 300.0
    low = rng.uniform() < 0.45
    height = rng.uniform(0.18, 0.6) if low else rng.uniform(0.9, 2.0)
    pitch = math.radians(rng.uniform(0, 12) if low else rng.uniform(1, 20))
    yaw, roll = rng.normal(0, 0.25), rng.normal(0, 0.03)
    renderer.set_pose(camera, np.array((0, 0, height)), yaw, pitch, roll)
    camera['focal_px'] = focal_px
    return camera, yaw, pitch


def _target(rng: np.random.Generator, outside: bool) -> tuple[bpy.types.Object, str]:
    if rng.uniform() < (0.85 if outside else 0.5):
        kind = str(rng.choice(ROAD_KINDS, p=(0.85, 0.15))) if outside and rng.uniform() < 0.8 \
            else ''
        return cone_designs.cone(rng, kind), 'cone'
    return cube_designs.cube(rng), 'cube'


def _targets(rng: np.random.Generator, camera: bpy.types.Object, yaw: float, pitch: float,
             ground: Ground, targets: dict[bpy.types.Object, str], inside: Inside,
             outside: bool) -> None:
    """Scatter cones and cubes; outdoors some cones stand in a row, as along a road works."""
    focal_px, height = camera['focal_px'], camera.location[2]
    half_view = math.atan(320 / focal_px)
    steepest = pitch + math.atan(240 / focal_px)
    nearest = max(0.3, 0.9 * height / math.tan(min(steepest, 1.5)))
    for _ in range(int(rng.choice((1, 2, 3, 4, 6), p=(0.2, 0.25, 0.25, 0.2, 0.1)))):
        thing, label = _target(rng, outside)
        tall, radius = thing.dimensions.z, max(thing.dimensions.xy) / 2
        for _ in range(25):
            size_px = math.exp(rng.uniform(*np.log(HEIGHT_RANGE_PX)))
            distance = focal_px * tall / size_px
            bearing = yaw + rng.uniform(-1.05, 1.05) * half_view
            x, y = -math.sin(bearing) * distance, math.cos(bearing) * distance
            if targets and rng.uniform() < 0.25:
                near = list(targets)[rng.integers(len(targets))]
                x, y = np.array(near.location[:2]) + rng.normal(0, 2 * radius, 2)
            if (nearest < distance < street.FAR_M and inside(x, y, radius + 0.4)
                    and ground.free(x, y, radius, 0.2 * radius)):
                place(thing, x, y, rng.uniform(0, 2 * math.pi))
                ground.take(x, y, radius)
                targets[thing] = label
                break
        else:
            bpy.data.objects.remove(thing)
            continue
        if outside and label == 'cone' and rng.uniform() < 0.25:
            _row(rng, thing, ground, targets, radius)


def _row(rng: np.random.Generator, first: bpy.types.Object, ground: Ground,
         targets: dict[bpy.types.Object, str], radius: float) -> None:
    """Repeat a cone along a line into the distance."""
    turn, step = rng.normal(0, 0.5), rng.uniform(1.0, 4.0)
    x, y = first.location[:2]
    for _ in range(rng.integers(2, 6)):
        x, y = x + step * math.sin(turn), y + step * math.cos(turn)
        if not ground.free(x, y, radius):
            return
        thing = first.copy()
        bpy.context.scene.collection.objects.link(thing)
        place(thing, x, y, rng.uniform(0, 2 * math.pi))
        ground.take(x, y, radius)
        targets[thing] = 'cone'


def _others(rng: np.random.Generator, ground: Ground, yaw: float, inside: Inside, outside: bool,
            count: int) -> None:
    """Put look-alikes and furniture between and behind the targets."""
    for _ in range(count):
        if outside and rng.uniform() < 0.75:
            thing = OUTSIDE[rng.integers(len(OUTSIDE))](rng)
        elif not outside and rng.uniform() < 0.4:
            thing = FURNITURE[rng.integers(len(FURNITURE))](rng)
        else:
            thing = lookalikes.lookalike(rng)
        radius = max(thing.dimensions.xy) / 2
        for _ in range(20):
            bearing = yaw + rng.uniform(-0.65, 0.65)
            distance = math.exp(rng.uniform(math.log(0.6 + 3 * radius),
                                            math.log(22 if outside else 7)))
            x, y = -math.sin(bearing) * distance, math.cos(bearing) * distance
            if inside(x, y, radius + 0.1) and ground.free(x, y, radius):
                place(thing, x, y, rng.uniform(0, 2 * math.pi))
                ground.take(x, y, radius)
                break
        else:
            bpy.data.objects.remove(thing)
