"""Cones of many designs: road cones with bands, slender ones, sports cones and marker discs."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import bpy
import numpy as np
from mathutils import Matrix

from demo import materials, objects
from demo.palette import cone_colour, faded, hsv
from demo.shape import Shape

KINDS = ('road', 'slender', 'sports', 'disc', 'workshop')
KIND_SHARES = (0.56, 0.12, 0.17, 0.05, 0.10)
POSES = ('standing', 'lying', 'stacked')


@dataclass
class Design:
    """One cone's measures in metres; a band is (from, to) as parts of the body's height."""

    height: float
    base: float  # half the width of the foot plate
    thickness: float  # of the foot plate
    foot: float  # radius where the body leaves the plate
    tip: float  # radius at the top
    flare: float  # how much wider the body gets just above the plate
    squareness: float  # of the plate: 2 is round, 12 a square; 0 an octagon
    bands: list[tuple[float, float]] = field(default_factory=list)
    top: str = 'open'  # open, closed or knob


def _bands(rng: np.random.Generator, choices: tuple = (0, 1, 2, 3),
           shares: tuple = (0.14, 0.36, 0.38, 0.12)) -> list[tuple[float, float]]:
    """Lay white bands around the body, as road authorities do: evenly, the upper one wider."""
    count = int(rng.choice(choices, p=shares))
    if count == 0:
        return []
    if count == 1:
        low, width = rng.uniform(0.28, 0.58), rng.uniform(0.14, 0.36)
        return [(low, min(0.93, low + width))]
    low, high = rng.uniform(0.18, 0.36), rng.uniform(0.78, 0.97)
    step = (high - low) / (count - 0.5)
    part = rng.uniform(0.4, 0.66)
    return [(low + k * step, min(0.97, low + k * step + part * step * (1 + 0.2 * k)))
            for k in range(count)]


def _draw(rng: np.random.Generator, kind: str) -> Design:
    if kind == 'road':
        height = rng.choice((0.3, 0.36, 0.45, 0.5, 0.7, 0.75, 0.9, 1.0)) * rng.uniform(0.92, 1.08)
        base = height * rng.uniform(0.2, 0.3) + 0.03
        return Design(height, base, rng.uniform(0.015, 0.05), base * rng.uniform(0.62, 0.86),
                      height * rng.uniform(0.03, 0.07), rng.uniform(0, 0.15) * base,
                      rng.choice((10, 7, 14, 4, 0, 2), p=(0.35, 0.2, 0.15, 0.08, 0.15, 0.07)),
                      _bands(rng), rng.choice(('open', 'closed', 'knob'), p=(0.6, 0.28, 0.12)))
    if kind == 'slender':
        height = rng.uniform(0.7, 1.1)
        base = rng.uniform(0.15, 0.24)
        return Design(height, base, rng.uniform(0.03, 0.07), base * rng.uniform(0.38, 0.6),
                      height * rng.uniform(0.025, 0.05), 0.2 * base, rng.choice((10, 2, 0)),
                      _bands(rng, (1, 2, 3), (0.2, 0.5, 0.3)), rng.choice(('closed', 'knob')))
    if kind == 'sports':
        height = rng.uniform(0.13, 0.4)
        base = height * rng.uniform(0.28, 0.42)
        return Design(height, base, rng.uniform(0.003, 0.016), base * rng.uniform(0.7, 0.9),
                      height * rng.uniform(0.04, 0.09), rng.uniform(0, 0.1) * base,
                      rng.choice((10, 5, 2), p=(0.55, 0.25, 0.2)),
                      _bands(rng, (0, 1), (0.85, 0.15)), rng.choice(('open', 'closed')))
    base = rng.uniform(0.08, 0.11)
    return Design(rng.uniform(0.05, 0.09), base, 0.003, base * 0.93, base * rng.uniform(0.3, 0.42),
                  0.0, 2.0, [], 'open')


def _body(shape: Shape, design: Design, skin: bpy.types.Material, white: bpy.types.Material,
          z0: float) -> None:
    """Loft the body from the plate to the tip, each band a sleeve a hair wider."""
    low = z0 + design.thickness
    tall = design.height - design.thickness

    def ring(t: float, out: float = 0.0) -> tuple[float, float, float]:
        straight = design.foot + (design.tip - design.foot) * t
        return straight + design.flare * math.exp(-t / 0.05) + out, 2.0, low + tall * t

    cuts = [0.0] + [edge for band in design.bands for edge in band] + [1.0]
    for k, (start, end) in enumerate(zip(cuts, cuts[1:])):
        out = 0.0015 if k % 2 else 0.0
        # Short steps near the plate, where the body flares.
        steps = np.unique(np.r_[np.linspace(start, end, 5), np.clip((0.03, 0.07), start, end)])
        rings = [ring(t, out) for t in steps]
        if k % 2:
            rings = [ring(start), *rings, ring(end)]
        shape.loft(rings, white if k % 2 else skin, 64)
    tip, top = design.tip, z0 + design.height
    if design.top == 'open':
        wall = max(0.25 * tip, 0.002)
        shape.loft([(tip, 2, top), (tip - wall, 2, top), (tip - wall, 2, top - 2 * tip),
                    (0.001, 2, top - 2.2 * tip)], skin, 64)
    else:
        shape.loft([(tip, 2, top), (0.8 * tip, 2, top + 0.35 * tip), (0.001, 2, top + 0.5 * tip)],
                   skin, 64)
    if design.top == 'knob':
        shape.loft([(0.45 * tip, 2, top), (0.4 * tip, 2, top + 0.9 * tip),
                    (0.95 * tip, 2, top + 1.3 * tip), (0.95 * tip, 2, top + 2 * tip),
                    (0.001, 2, top + 2.3 * tip)], skin, 32)


def _plate(shape: Shape, design: Design, skin: bpy.types.Material, inner: bpy.types.Material,
           z0: float) -> None:
    """Loft the hollow inside, the underside and the foot plate."""
    half, thick = design.base, design.thickness
    square, segments = (design.squareness, 64) if design.squareness else (2.0, 8)
    soft = min(square, 8.0)
    edge = min(0.004, 0.3 * thick)
    shape.loft([(0.001, 2, z0 + 0.9 * design.height),
                (0.8 * design.tip, 2, z0 + 0.88 * design.height),
                (0.93 * design.foot, 2, z0 + 0.001)], inner, 64)
    shape.loft([(0.90 * design.foot, 2, z0), (half - edge, soft, z0), (half, square, z0 + edge),
                (half, square, z0 + thick - edge), (half - edge, soft, z0 + thick),
                (design.foot * 0.95, 2, z0 + thick + 0.001)], skin, segments)


def _mesh(rng: np.random.Generator, design: Design, count: int, kind: str) -> bpy.types.Object:
    colour = faded(rng, cone_colour(rng, kind in ('road', 'slender')))
    dirt = float(rng.choice((0.1, 0.45, 0.9), p=(0.4, 0.4, 0.2)))
    rough = rng.uniform(0.25, 0.65)
    white = materials.band(hsv(rng.uniform(0.08, 0.16), rng.uniform(0, 0.22),
                               rng.uniform(0.55, 0.95)), dirt, rng.uniform() < 0.5)
    if kind in ('road', 'slender') and rng.uniform() < 0.06:
        white = materials.band(cone_colour(rng, False), dirt, False)
    foot = None
    if kind in ('road', 'slender') and rng.uniform() < 0.5:
        foot = materials.road_plastic((0.012, 0.012, 0.013), dirt, 0.8)
    shape = Shape()
    step = design.height * rng.uniform(0.08, 0.22) + design.thickness * 0.4
    for k in range(count):
        skin = materials.road_plastic(tuple(np.array(colour) * rng.uniform(0.88, 1.12)), dirt,
                                      rough)
        _plate(shape, design, foot or skin, skin, k * step)
        _body(shape, design, skin, white, k * step)
    if rng.uniform() < 0.25:
        # Soft PVC that stood in the sun leans.
        lean = rng.uniform(0.02, 0.16) / design.height
        shape.vertices = [(x + lean * max(0.0, z - design.thickness)**2, y, z)
                          for x, y, z in shape.vertices]
    return shape.build('cone', 32)


def cone(rng: np.random.Generator, kind: str = '', pose: str = '') -> bpy.types.Object:
    """Return a cone of a random design at the origin, resting on the ground.

    Args:
        kind: one of ``KINDS``; empty draws one.
        pose: one of ``POSES``; empty draws one, standing mostly.
    """
    kind = kind or str(rng.choice(KINDS, p=KIND_SHARES))
    pose = pose or str(rng.choice(POSES, p=(0.72, 0.19, 0.09)))
    if kind == 'disc' and pose == 'lying':
        pose = 'standing'
    if kind == 'workshop':
        return objects.cone(rng, 'lying' if pose == 'lying' else 'standing', cone_colour(rng))
    design = _draw(rng, kind)
    thing = _mesh(rng, design, int(rng.integers(2, 5)) if pose == 'stacked' else 1, kind)
    turn = Matrix.Identity(4)
    if pose == 'lying':
        # It touches the ground with its plate's edge and its tip.
        lean = math.pi / 2 + math.atan2(design.base - design.tip, design.height)
        quarter = math.pi / 2 * rng.integers(4) + rng.normal(0, 0.05)
        turn = Matrix.Rotation(lean, 4, 'Y') @ Matrix.Rotation(quarter, 4, 'Z')
    elif rng.uniform() < 0.15:
        # Uneven ground.
        turn = Matrix.Rotation(rng.normal(0, 0.06), 4, 'X')
    objects.bake(thing, turn)
    return thing
