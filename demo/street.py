"""Outdoors: asphalt, pavement and grass under a sky, lines, kerbs, house fronts, hedges, cars."""

from __future__ import annotations

import math
from collections.abc import Callable

import bpy
import numpy as np

from demo import materials, surroundings
from demo.palette import OTHER_SHARES, drawn, hsv
from demo.shape import Shape


def _asphalt(rng: np.random.Generator) -> bpy.types.Material:
    tone = rng.uniform(0.025, 0.16)
    return materials.concrete((tone, tone * 0.99, tone * rng.uniform(0.93, 1.02)),
                              rng.uniform(0.45, 0.8))


def _slabs(rng: np.random.Generator) -> bpy.types.Material:
    tone = rng.uniform(0.15, 0.4)
    return materials.concrete((tone, tone * 0.96, tone * 0.9), 0.7, rng.uniform(0.3, 0.8),
                              rng.uniform(0, 1.6))


def _bricks(rng: np.random.Generator) -> bpy.types.Material:
    colour = hsv(rng.uniform(0.0, 0.08), rng.uniform(0.15, 0.5), rng.uniform(0.35, 0.65))
    return materials.tiles(colour, (0.1, 0.09, 0.08), rng.uniform(0.1, 0.25), 0.7, 0.4,
                           rng.uniform(0, 1.6))


def _grass(rng: np.random.Generator) -> bpy.types.Material:
    dry = rng.uniform(0, 1)
    colour = (1 - dry) * np.array((0.05, 0.13, 0.02)) + dry * np.array((0.22, 0.18, 0.07))
    return materials.grass(tuple(colour))


def _earth(rng: np.random.Generator) -> bpy.types.Material:
    return materials.grass(tuple(np.array((0.2, 0.14, 0.09)) * rng.uniform(0.5, 1.3)))


GROUNDS: tuple[Callable[[np.random.Generator], bpy.types.Material], ...] = (
    _asphalt, _asphalt, _asphalt, _slabs, _bricks, _grass, _earth)
FAR_M = 45.0


def _lines(rng: np.random.Generator, edge: float) -> None:
    """Paint lines along the road, broken or whole, white or yellow."""
    paint = materials.band(((0.75, 0.75, 0.72), (0.7, 0.45, 0.04))[int(rng.uniform() < 0.3)],
                           rng.uniform(0.2, 1.0), False)
    shape = Shape()
    for x in rng.uniform(-4, 4, rng.integers(1, 3)):
        width, dash = rng.uniform(0.1, 0.2), rng.choice((0.0, 1.5, 3.0))
        y = -3.0
        while y < FAR_M:
            long = dash or FAR_M + 3
            shape.sheet([(x, y, 0.003), (x + width, y, 0.003), (x + width, y + long, 0.003),
                         (x, y + long, 0.003)], paint)
            y += 2 * long
    thing = shape.build('lines')
    thing.rotation_euler = (0, 0, rng.normal(0, 0.15))


def _front(rng: np.random.Generator, x: float, y: float, yaw: float) -> None:
    """Raise a house front with rows of windows, or a garden wall."""
    w, h = rng.uniform(5, 16), rng.choice((1.2, 3.0, 6.0, 9.0)) * rng.uniform(0.8, 1.2)
    shape = Shape()
    colour = hsv(rng.uniform(0.02, 0.12), rng.uniform(0.0, 0.5), rng.uniform(0.35, 0.9))
    skin = (materials.tiles(colour, (0.4, 0.38, 0.35), 0.22, 0.8, 0.3) if rng.uniform() < 0.3
            else materials.plain(colour, 0.85))
    shape.box((0, 0.25, h / 2), (w, 0.5, h), skin)
    if h > 2:
        pane, frame = materials.plain((0.03, 0.04, 0.05), 0.08), materials.plain((0.6,) * 3, 0.5)
        step = rng.uniform(1.5, 3.0)
        for z in np.arange(1.5, h - 0.6, 2.8):
            for u in np.arange(-w / 2 + 1, w / 2 - 0.8, step):
                shape.box((u, -0.01, z), (1.0, 0.06, 1.4), frame)
                shape.box((u, -0.03, z), (0.86, 0.06, 1.26), pane)
        shape.box((rng.uniform(-0.3, 0.3) * w, -0.02, 1.0), (1.0, 0.08, 2.0),
                  materials.plain(drawn(rng, OTHER_SHARES), 0.5))
    thing = shape.build('front')
    thing.location, thing.rotation_euler = (x, y, 0), (0, 0, yaw)


def _tree(rng: np.random.Generator) -> bpy.types.Object:
    """A tree or bush: lumps of leaves, with or without a trunk."""
    shape = Shape()
    leaf = materials.grass((0.03, 0.09 * rng.uniform(0.5, 1.6), 0.015))
    high = rng.choice((0.3, 1.0, 2.5))
    if high > 0.5:
        shape.tube([(0, 0, 0), (0.05, 0, high), (0, 0.1, high + 1)], rng.uniform(0.06, 0.2),
                   materials.plain((0.08, 0.05, 0.03), 0.9))
    for _ in range(7):
        r = rng.uniform(0.3, 0.8) * (1 + 0.4 * high)
        shape.ball(rng.normal(0, 0.5, 3) * (1, 1, 0.4) + (0, 0, high + 0.7 * r), (r, r, 0.8 * r),
                   leaf, 20)
    points = np.array(shape.vertices)
    points += 0.06 * np.sin(points[:, [1, 2, 0]] * 9 + rng.uniform(0, 6, 3))
    shape.vertices = [tuple(p) for p in points]
    return shape.build('tree', 80)


def _car(rng: np.random.Generator) -> bpy.types.Object:
    """A parked car, simple: body, glass, wheels, lamps."""
    shape = Shape()
    body = materials.plain(drawn(rng, {'white': 0.3, 'grey': 0.4, 'red': 0.1, 'blue': 0.15,
                                       'orange': 0.05}), 0.15, 0.2, 0.03)
    glass, tyre = materials.plain((0.02, 0.025, 0.03), 0.05), materials.plain((0.012,) * 3, 0.8)
    for x in (-0.8, 0.8):
        profile = np.array([(-2.1, 0.35), (-2.15, 0.7), (-1.9, 0.9), (-1.0, 0.98), (1.9, 1.0),
                            (2.1, 0.8), (2.1, 0.35)])
        shape.sheet([(x, y, z) for y, z in (profile if x > 0 else profile[::-1])], body)
        cabin = ((-1.0, 0.97), (-0.4, 1.42), (1.2, 1.45), (1.8, 0.99))
        shape.sheet([(0.9 * x, y, z) for y, z in (cabin if x > 0 else cabin[::-1])], glass)
        for y in (-1.3, 1.3):
            shape.tube([(x - 0.1, y, 0.31), (x + 0.1, y, 0.31)], 0.31, tyre, 24)
    shape.grid(np.array([[(x, y, z) for y, z in profile] for x in (-0.8, 0.8)]), body)
    shape.grid(np.array([[(x, y, z) for y, z in cabin] for x in (-0.72, 0.72)]), glass)
    shape.sheet([(-0.7, -0.42, 1.43), (0.7, -0.42, 1.43), (0.7, 1.2, 1.46), (-0.7, 1.2, 1.46)],
                body)
    for y, colour in ((-2.14, (0.8, 0.8, 0.75)), (2.11, (0.4, 0.01, 0.01))):
        for x in (-0.6, 0.6):
            shape.box((x, y, 0.72), (0.3, 0.03, 0.14), materials.plain(colour, 0.2))
    return shape.build('car', 30)


def build(rng: np.random.Generator) -> None:
    """Lay the ground, put up what stands along it and light it with sun and sky."""
    main, side = (GROUNDS[k] for k in rng.integers(len(GROUNDS), size=2))
    surroundings.floor(main(rng), [(-60, -15), (60, -15), (60, 80), (-60, 80)])
    edge = rng.uniform(1.5, 6) * rng.choice((-1, 1))
    far = math.copysign(60, edge)
    corners = [(edge, -15), (far, -15), (far, 80), (edge + rng.normal(0, 2), 80)]
    surroundings.floor(side(rng), corners if far > 0 else corners[::-1], 0.004)
    if rng.uniform() < 0.6:
        shape = Shape()
        shape.box((edge, 30, 0.05), (0.15, 90, 0.1), materials.concrete((0.35, 0.34, 0.32), 0.8))
        shape.build('kerb', bevel_m=0.01)
    if rng.uniform() < 0.6:
        _lines(rng, edge)
    for _ in range(rng.integers(1, 6)):
        x = rng.choice((-1, 1)) * rng.uniform(5, 18)
        _front(rng, x, rng.uniform(8, FAR_M), -math.pi / 2 * np.sign(x) + rng.normal(0, 0.3))
    if rng.uniform() < 0.6:
        _front(rng, rng.normal(0, 6), rng.uniform(12, FAR_M), rng.normal(0, 0.3))
    for maker, count, near in ((_tree, rng.integers(0, 9), 4), (_car, rng.integers(0, 4), 5)):
        for _ in range(count):
            thing = maker(rng)
            thing.location = (rng.choice((-1, 1)) * rng.uniform(2.5, 14), rng.uniform(near, 35), 0)
            thing.rotation_euler = (0, 0, rng.normal(0, 0.3) + math.pi * rng.integers(2))
    _daylight(rng)


def _daylight(rng: np.random.Generator) -> None:
    """Sun or cloud; the sky's own colour is what the camera sees behind everything."""
    sunny = rng.uniform() < 0.55
    dull = np.array((0.8, 0.85, 0.92)) * rng.uniform(0.5, 1.1)
    zenith = np.array((0.25, 0.45, 0.9)) if sunny else dull
    surroundings.sky(zenith, np.array((0.85, 0.92, 1.0)) * rng.uniform(0.6, 1.1),
                     np.array((0.1, 0.1, 0.09)))
    if sunny:
        data = bpy.data.lights.new('sun', 'SUN')
        data.energy, data.angle = rng.uniform(2, 6), math.radians(rng.uniform(0.5, 3))
        data.color = (1.0, rng.uniform(0.8, 0.95), rng.uniform(0.6, 0.88))
        sun = bpy.data.objects.new('sun', data)
        sun.rotation_euler = (math.radians(rng.uniform(15, 70)), 0, rng.uniform(0, 2 * math.pi))
        bpy.context.scene.collection.objects.link(sun)
