"""Clutter: what else lies and stands on a workshop floor, some of it orange or blue on purpose."""

from __future__ import annotations

import math

import bpy
import numpy as np
from mathutils import Matrix

from demo import materials
from demo.palette import Colour
from demo.shape import Shape

GREYS = ((0.02, 0.02, 0.022), (0.08, 0.08, 0.085), (0.25, 0.25, 0.25), (0.6, 0.6, 0.58))
BRIGHTS = ((0.75, 0.22, 0.01), (0.01, 0.05, 0.35), (0.5, 0.02, 0.015), (0.02, 0.2, 0.06),
           (0.7, 0.5, 0.02), (0.02, 0.25, 0.3), (0.35, 0.03, 0.2))
CARDBOARD = (0.36, 0.22, 0.11)


def random_colour(rng: np.random.Generator, bright: float = 0.5) -> Colour:
    """Draw a grey, or with probability `bright` a strong colour."""
    pool = BRIGHTS if rng.uniform() < bright else GREYS
    return tuple(np.array(pool[rng.integers(len(pool))]) * rng.uniform(0.7, 1.25))


def _paint(rng: np.random.Generator, bright: float = 0.5) -> bpy.types.Material:
    return materials.plain(random_colour(rng, bright), rng.uniform(0.25, 0.8))


def box(rng: np.random.Generator) -> bpy.types.Object:
    """A cardboard or plastic box, sometimes with tape and a label."""
    size = rng.uniform((0.15, 0.12, 0.08), (0.5, 0.4, 0.4))
    cardboard = rng.uniform() < 0.5
    shape = Shape()
    skin = materials.plain(CARDBOARD, 0.85) if cardboard else _paint(rng, 0.7)
    shape.box((0, 0, size[2] / 2), size, skin)
    if cardboard:
        shape.box((0, 0, size[2] / 2), (size[0] * 1.004, 0.05, size[2] * 1.004),
                  materials.plain((0.42, 0.30, 0.17), 0.25))
        shape.box((size[0] * 0.2, 0, size[2] * 0.6), (0.09, size[1] * 1.006, 0.06),
                  materials.plain((0.75, 0.75, 0.73), 0.6))
    return shape.build('box', bevel_m=0.004)


def bag(rng: np.random.Generator) -> bpy.types.Object:
    """A slumped backpack or bag with straps and a front pocket."""
    shape = Shape()
    cloth = materials.plain(random_colour(rng, 0.4), 0.9, dirt=0.2)
    trim = materials.plain(random_colour(rng, 0.6), 0.85)
    size = rng.uniform((0.15, 0.10, 0.2), (0.22, 0.16, 0.27))
    for centre, radii, skin in (((0, 0, 0), size, cloth),
                                ((0, -0.7 * size[1], -0.25 * size[2]), size * 0.62, trim)):
        shape.ball((0, 0, 0), (1, 1, 1), skin, 40)
        points = np.array(shape.vertices[-21 * 40:])
        # A superellipsoid with lumps: cloth over books.
        points = np.sign(points) * np.abs(points) ** 0.5
        lumps = 1 + 0.035 * np.sin(7 * points[:, :1] + rng.uniform(0, 6)) * np.cos(
            6 * points[:, 2:] + rng.uniform(0, 6))
        points = points * lumps * radii + centre + (0, 0, size[2])
        shape.vertices[-21 * 40:] = [tuple(p) for p in points]
    for side in (-0.08, 0.08):
        arc = np.linspace(0, math.pi, 14)
        shape.tube(np.stack([np.full(14, side), 0.9 * size[1] + 0.03 * np.sin(arc),
                             size[2] * (1 + 0.6 * np.cos(arc))], -1), 0.012, trim)
    thing = shape.build('bag', 60)
    if rng.uniform() < 0.4:
        thing.data.transform(Matrix.Translation((0, 0, size[1])) @ Matrix.Rotation(
            math.pi / 2, 4, 'X') @ Matrix.Translation((0, 0, -size[2])))
    return thing


def chair(rng: np.random.Generator) -> bpy.types.Object:
    """A chair: seat, back and four thin legs."""
    shape = Shape()
    metal = materials.plain(GREYS[rng.integers(3)], 0.3, 0.8)
    seat = _paint(rng, 0.6)
    shape.loft([(0.19, 5, 0.44), (0.21, 5, 0.45), (0.21, 5, 0.465), (0.19, 5, 0.475)], seat, 40,
               True, True)
    for x in (-0.17, 0.17):
        for y in (-0.17, 0.17):
            shape.tube([(x * 1.2, y * 1.2, 0), (x, y, 0.44)], 0.012, metal)
        shape.tube([(x, 0.18, 0.44), (x, 0.21, 0.62), (x, 0.25, 0.85)], 0.011, metal)
    shape.box((0, 0.235, 0.74), (0.38, 0.02, 0.2), seat)
    return shape.build('chair', bevel_m=0.003)


def table(rng: np.random.Generator) -> bpy.types.Object:
    """A table on four legs, with a few things on it."""
    shape = Shape()
    w, d = rng.uniform((0.9, 0.5), (1.8, 0.8))
    top = (materials.wood((0.45, 0.27, 0.13), 0.4, (3.0, 0.5)) if rng.uniform() < 0.6
           else _paint(rng, 0.1))
    leg = materials.plain(GREYS[rng.integers(4)], 0.4, 0.5)
    shape.box((0, 0, 0.72), (w, d, 0.03), top)
    for x in (-w / 2 + 0.05, w / 2 - 0.05):
        for y in (-d / 2 + 0.05, d / 2 - 0.05):
            shape.box((x, y, 0.355), (0.045, 0.045, 0.70), leg)
    shape.box((0, d / 2 - 0.06, 0.66), (w - 0.1, 0.02, 0.08), leg)
    for _ in range(3):
        size = rng.uniform((0.08, 0.08, 0.05), (0.3, 0.25, 0.3))
        shape.box((rng.uniform(-0.4, 0.4) * w, rng.uniform(-0.2, 0.2) * d, 0.735 + size[2] / 2),
                  size, _paint(rng), rng.uniform(0, 3))
    return shape.build('table', bevel_m=0.003)


def ball(rng: np.random.Generator) -> bpy.types.Object:
    """A ball of a colour that may well be orange or blue."""
    radius = rng.uniform(0.05, 0.13)
    shape = Shape()
    shape.ball((0, 0, radius), (radius,) * 3, materials.plain(random_colour(rng, 0.9),
                                                             rng.uniform(0.2, 0.6)), 36)
    return shape.build('ball', 80)


def bucket(rng: np.random.Generator) -> bpy.types.Object:
    """An open bucket or bin."""
    r, h = rng.uniform(0.10, 0.17), rng.uniform(0.2, 0.42)
    shape = Shape()
    shape.loft([(0.8 * r, 2, 0), (r, 2, h - 0.02), (r + 0.01, 2, h - 0.02), (r + 0.01, 2, h),
                (r - 0.005, 2, h), (0.78 * r, 2, 0.01)], _paint(rng, 0.8), 40, True, True)
    arc = np.linspace(0, math.pi, 16)
    shape.tube(np.stack([r * np.cos(arc), 0.5 * r * np.sin(arc), h - 0.03 - r * 0.8 * np.sin(arc)],
                        -1), 0.004, materials.plain(GREYS[2], 0.3, 0.9))
    return shape.build('bucket', 40)


def pipes(rng: np.random.Generator) -> bpy.types.Object:
    """A few tubes lying about, at all angles."""
    shape = Shape()
    for _ in range(rng.integers(1, 4)):
        a, length, r = rng.uniform(0, 6.3), rng.uniform(0.3, 1.2), rng.uniform(0.008, 0.03)
        step = np.array([math.cos(a), math.sin(a), 0]) * length / 2
        middle = np.array([*rng.uniform(-0.2, 0.2, 2), r])
        shape.tube([middle - step, middle + step], r, _paint(rng, 0.6), 14)
    return shape.build('pipes', 50)


def cable(rng: np.random.Generator) -> bpy.types.Object:
    """A cable thrown on the floor in loops, often bright blue or orange."""
    t = np.linspace(0, rng.uniform(4, 12), 70)
    radius = 0.12 + 0.03 * t * rng.uniform(0.3, 1)
    x = radius * np.cos(t) + 0.05 * np.sin(2.3 * t)
    y = radius * np.sin(t) * rng.uniform(0.5, 1)
    z = 0.006 + 0.004 * (1 + np.sin(5 * t))
    shape = Shape()
    shape.tube(np.stack([x, y, z], -1), 0.005, _paint(rng, 0.8), 8)
    return shape.build('cable', 80)


def person(rng: np.random.Generator) -> bpy.types.Object:
    """Two legs in trousers and shoes: what a rover sees of people."""
    shape = Shape()
    cloth = materials.plain(((0.015, 0.02, 0.05), (0.02, 0.02, 0.02), (0.09, 0.08, 0.06),
                             (0.03, 0.05, 0.12))[rng.integers(4)], 0.9)
    shoe, sole = _paint(rng, 0.3), materials.plain((0.6, 0.6, 0.58), 0.7)
    for side in (-1, 1):
        x, y = side * rng.uniform(0.09, 0.16), rng.uniform(-0.2, 0.2)
        knee = (x * 0.9, y * 0.6 + 0.02, 0.48)
        shape.tube([(x, y, 0.07), (x, y + 0.01, 0.25), knee, (x * 0.8, 0.02, 0.9),
                    (x * 0.7, 0, 1.5)], 0.075, cloth, 18)
        shape.ball((x, y - 0.07, 0.045), (0.048, 0.135, 0.055), shoe, 22)
        shape.box((x, y - 0.065, 0.012), (0.085, 0.26, 0.024), sole)
    return shape.build('person', 60)


def frame(rng: np.random.Generator) -> bpy.types.Object:
    """A wooden or metal frame leaning together: robot parts, trestles, stools."""
    shape = Shape()
    stuff = (materials.wood((0.5, 0.33, 0.17), 0.6, (2.0, 0.2)) if rng.uniform() < 0.5
             else materials.plain(random_colour(rng, 0.3), 0.35, 0.6))
    w, d, h = rng.uniform((0.25, 0.2, 0.2), (0.7, 0.5, 0.6))
    for x in (-w / 2, w / 2):
        for y in (-d / 2, d / 2):
            shape.tube([(x, y, 0), (x * 0.8, y * 0.8, h)], 0.016, stuff, 8)
        shape.box((x * 0.85, 0, h * 0.6), (0.03, d * 0.9, 0.04), stuff)
    shape.box((0, 0, h), (w * 0.9, d * 0.9, 0.025), stuff)
    return shape.build('frame', bevel_m=0.002)


def plant(rng: np.random.Generator) -> bpy.types.Object:
    """A pot with long drooping leaves."""
    shape = Shape()
    shape.loft([(0.10, 2, 0), (0.14, 2, 0.24), (0.15, 2, 0.25), (0.13, 2, 0.25)], _paint(rng, 0.4),
               36, True, True)
    leaf = materials.plain((0.03, 0.11 * rng.uniform(0.6, 1.5), 0.02), 0.45, dirt=0.3)
    for _ in range(rng.integers(14, 30)):
        turn, length, droop = rng.uniform(0, 6.3), rng.uniform(0.25, 0.6), rng.uniform(0.3, 1.4)
        t = np.linspace(0, 1, 7)
        reach = length * np.sin(t * droop) / droop
        z = 0.24 + length * 1.2 * (t - droop * 0.5 * t**2)
        wide = 0.035 * np.sin(math.pi * np.clip(t, 0.06, 0.98))
        middle = np.stack([reach * math.cos(turn), reach * math.sin(turn), z], -1)
        across = np.array([-math.sin(turn), math.cos(turn), 0])
        shape.grid(np.stack([middle - wide[:, None] * across, middle + wide[:, None] * across], 1),
                   leaf)
    return shape.build('plant', 60)


SMALL = (box, bag, ball, bucket, pipes, cable, frame, bag, cable, box)
LARGE = (chair, table, person, plant, person, chair)
