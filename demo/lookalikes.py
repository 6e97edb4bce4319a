"""What is neither a cone nor a cube but has their colours, bands, sizes or places."""

from __future__ import annotations

import math
from collections.abc import Callable

import bpy
import cv2
import numpy as np
from mathutils import Matrix

from demo import clutter, materials, objects, street_things
from demo.palette import OTHER_SHARES, Colour, drawn
from demo.shape import Shape

Maker = Callable[[np.random.Generator], bpy.types.Object]


def paint(rng: np.random.Generator, shares: dict[str, float] | None = None) -> bpy.types.Material:
    """Return plastic, paint or dull stuff in one of the colours that cones and cubes have."""
    colour = drawn(rng, shares or OTHER_SHARES)
    if rng.uniform() < 0.3:
        return materials.road_plastic(colour, rng.uniform(0.1, 0.8), rng.uniform(0.3, 0.8))
    return materials.plain(colour, rng.uniform(0.12, 0.85), dirt=rng.uniform(0, 0.2))


def bottle(rng: np.random.Generator) -> bpy.types.Object:
    """A bottle or can, with a label and a cap, standing or lying."""
    r, h = rng.uniform(0.03, 0.05), rng.uniform(0.15, 0.33)
    neck = rng.uniform(0.3, 0.98)  # can to narrow neck
    body, label, cap = paint(rng), paint(rng), paint(rng)
    shape = Shape()
    shape.loft([(0.9 * r, 2, 0), (r, 2, 0.01), (r, 2, 0.2 * h)], body, 40, True)
    shape.loft([(r, 2, 0.2 * h), (1.01 * r, 2, 0.21 * h), (1.01 * r, 2, 0.5 * h),
                (r, 2, 0.51 * h)], label, 40)
    shape.loft([(r, 2, 0.51 * h), (r, 2, 0.62 * h), (r * (1 - 0.3 * (1 - neck)), 2, 0.72 * h),
                (r * (0.3 + 0.7 * neck), 2, 0.82 * h), (r * (0.3 + 0.65 * neck), 2, 0.92 * h)],
               body, 40)
    top = r * (0.34 + 0.64 * neck)
    shape.loft([(top, 2, 0.92 * h), (top, 2, h), (0.001, 2, h)], cap, 40)
    return _maybe_lying(rng, shape.build('bottle', 40), 0.35)


def _maybe_lying(rng: np.random.Generator, thing: bpy.types.Object,
                 share: float) -> bpy.types.Object:
    turn = Matrix.Identity(4)
    if rng.uniform() < share:
        turn = Matrix.Rotation(math.pi / 2 * rng.choice((-1, 1)), 4, 'XY'[rng.integers(2)])
    objects.bake(thing, turn)
    return thing


def ball(rng: np.random.Generator) -> bpy.types.Object:
    """A plain ball, a two-coloured one, or a fruit."""
    shape = Shape()
    radius = rng.uniform(0.03, 0.15)
    shape.ball((0, 0, 0), (radius, radius, radius * rng.uniform(0.85, 1.1)), paint(rng), 40)
    if rng.uniform() < 0.3:
        count = len(shape.faces)
        shape.materials.append(paint(rng))
        shape.face_materials = [int(k // (count / 10)) % 2 for k in range(count)]
    thing = shape.build('ball', 80)
    objects.bake(thing, Matrix.Rotation(rng.uniform(0, 3), 4, 'X'))
    return thing


def cylinder(rng: np.random.Generator) -> bpy.types.Object:
    """A drum, tin, pipe end or tin of paint, ribbed or banded."""
    r = rng.uniform(0.04, 0.3)
    h = r * rng.uniform(0.5, 4.5)
    skins = [paint(rng), paint(rng)]
    count = int(rng.choice((1, 3, 5), p=(0.5, 0.35, 0.15)))
    shape = Shape()
    cuts = np.linspace(0, h, count + 1)
    for k, (low, high) in enumerate(zip(cuts, cuts[1:])):
        shape.loft([(r, 2, low), (r, 2, high)], skins[k % 2], 56, k == 0, k == count - 1)
    if rng.uniform() < 0.4:
        for z in (0.02 * h, 0.35 * h, 0.65 * h, 0.98 * h):
            shape.loft([(r, 2, z - 0.01), (1.03 * r, 2, z), (r, 2, z + 0.01)], skins[0], 56)
    return _maybe_lying(rng, shape.build('drum', 40, bevel_m=0.003), 0.3)


def tape_roll(rng: np.random.Generator) -> bpy.types.Object:
    """A roll of tape, hose or cable: a thick ring, flat on the ground or upright."""
    r, core = rng.uniform(0.04, 0.2), rng.uniform(0.4, 0.8)
    wide = r * rng.uniform(0.3, 1.0)
    shape = Shape()
    shape.loft([(core * r, 2, 0), (r, 2, 0), (r, 2, wide), (core * r, 2, wide), (core * r, 2, 0)],
               paint(rng), 56)
    inner = paint(rng, {'brown': 0.7, 'grey': 0.2, 'white': 0.1})
    shape.loft([(core * r * 0.99, 2, 0), (core * r * 0.99, 2, wide)], inner, 56)
    return _maybe_lying(rng, shape.build('roll', 40), 0.45)


def tape_strip(rng: np.random.Generator) -> bpy.types.Object:
    """A strip of tape or a painted line on the floor: straight, bent or cornered."""
    width, length = rng.uniform(0.02, 0.1), rng.uniform(0.25, 1.5)
    t = np.linspace(0, 1, 24)
    bend = rng.choice((0.0, rng.normal(0, 1.2)))
    angle = np.cumsum(np.full(24, bend / 24))
    if rng.uniform() < 0.3:
        # Around a corner the strip turns within its own width, not at once.
        angle += np.clip((t - 0.5) * 8 + 0.5, 0, 1) * rng.choice((-1, 1)) * math.pi / 2
    middle = np.stack([np.cumsum(np.cos(angle)), np.cumsum(np.sin(angle))], -1) * length / 24
    side = np.stack([-np.sin(angle), np.cos(angle)], -1) * width / 2
    z = 0.0015 + 0.004 * np.abs(rng.normal(0, 1, 24)) * (rng.uniform() < 0.4)
    points = np.stack([np.c_[middle - side, z], np.c_[middle + side, z]], 1)
    shape = Shape()
    shape.grid(points - np.r_[middle.mean(0), 0], paint(rng))
    return shape.build('strip', 60)


def cloth(rng: np.random.Generator) -> bpy.types.Object:
    """A towel, jacket or sheet thrown over something: folds and a lump in the middle."""
    count, size = 60, rng.uniform(0.2, 0.7)
    x, y = np.meshgrid(np.linspace(-1, 1, count), np.linspace(-1, 1, count), indexing='ij')
    height = np.zeros_like(x)
    for _ in range(7):
        turn, wave = rng.uniform(0, math.pi), rng.uniform(3, 11)
        height += (np.sin(wave * (x * math.cos(turn) + y * math.sin(turn)) + rng.uniform(0, 6))
                   + 1) * rng.uniform(0.1, 0.5) / wave
    bulk = rng.uniform(0, 0.7)
    # A flat-topped lump: what lies below is no cone.
    lump = bulk * (1 - (np.abs(x) ** 3 + np.abs(y) ** 3).clip(0, 1))
    edge = 1 + 0.15 * np.sin(3 * np.arctan2(y, x) + rng.uniform(0, 6))
    points = np.stack([x * edge, y * edge * rng.uniform(0.5, 1), height + lump], -1) * size
    points[..., 2] -= points[..., 2].min()
    shape = Shape()
    skin = materials.plain(drawn(rng, OTHER_SHARES), 0.95, dirt=rng.uniform(0, 0.15))
    shape.grid(points, skin)
    return shape.build('cloth', 80)


def flat_box(rng: np.random.Generator) -> bpy.types.Object:
    """A book, tray, brick or parcel, or a tall carton: clearly no cube."""
    size = np.array(rng.choice(((1, 0.7, 0.14), (1, 0.45, 0.3), (0.35, 0.3, 1), (1, 0.9, 0.2),
                                (1, 0.5, 0.42), (0.6, 0.2, 0.9)))) * rng.uniform(0.85, 1.15, 3)
    shape = Shape()
    z = 0.0
    for _ in range(rng.integers(1, 4) if size[2] < 0.25 else 1):
        own = size * rng.uniform(0.85, 1, 3)
        shape.box((rng.normal(0, 0.02), rng.normal(0, 0.02), z + own[2] / 2), own, paint(rng),
                  rng.normal(0, 0.1))
        z += own[2]
    shape.vertices = [tuple(v) for v in np.array(shape.vertices) * rng.uniform(0.15, 0.6)]
    return shape.build('flat', bevel_m=0.004)


def panel(rng: np.random.Generator) -> bpy.types.Object:
    """A door, cupboard front or board that stands upright, with panels and a handle."""
    w, h = rng.uniform(0.4, 1.0), rng.uniform(0.6, 2.1)
    shape = Shape()
    leaf, trim = paint(rng), paint(rng)
    shape.box((0, 0, h / 2), (w, 0.04, h), leaf)
    for z in ((0.3, 0.72) if rng.uniform() < 0.6 else ()):
        shape.box((0, -0.02, z * h), (0.7 * w, 0.02, 0.3 * h), leaf if rng.uniform() < 0.5
                  else trim)
    shape.box((0.4 * w, -0.05, 0.5 * h), (0.12, 0.02, 0.02), materials.plain((0.5, 0.5, 0.5),
                                                                             0.3, 0.9))
    return shape.build('panel', bevel_m=0.004)


def seat(rng: np.random.Generator) -> bpy.types.Object:
    """An armchair or sofa: cushions with rounded edges."""
    w = rng.choice((0.6, 0.7, 1.4)) * rng.uniform(0.9, 1.1)
    skin, legs = paint(rng), materials.plain((0.05, 0.04, 0.03), 0.5)
    shape = Shape()
    shape.box((0, 0, 0.3), (w, 0.65, 0.26), skin)
    shape.box((0, 0.33, 0.52), (w + 0.1, 0.18, 0.7), skin)
    for x in (-1, 1):
        shape.box((x * (w / 2 + 0.08), 0, 0.37), (0.16, 0.7, 0.42), skin)
        for y in (-0.27, 0.27):
            shape.box((x * (w / 2), y, 0.08), (0.05, 0.05, 0.18), legs)
    return shape.build('seat', bevel_m=0.04)


def helmet(rng: np.random.Generator) -> bpy.types.Object:
    """A hard hat or bowl: half a ball on a brim."""
    shape, skin = Shape(), paint(rng)
    shape.loft([(0.14, 2, 0.0), (0.14, 2, 0.012), (0.115, 2, 0.016)]
               + [(0.115 * math.cos(a), 2, 0.016 + 0.125 * math.sin(a))
                  for a in np.linspace(0.05, 1.53, 9)], skin, 56, True, True)
    shape.box((0, 0, 0.135), (0.18, 0.03, 0.02), skin)
    shape.vertices = [(x * 1.2, y, z) for x, y, z in shape.vertices]
    return shape.build('helmet', 40)


def vase(rng: np.random.Generator) -> bpy.types.Object:
    """A vase, jug, lamp foot or pot: a turned shape that swells and narrows."""
    h = rng.uniform(0.15, 0.6)
    t = np.linspace(0, 1, 22)
    # Widest in the middle or wavy: never straight from a wide foot to a narrow tip.
    radius = 0.35 + 0.45 * np.sin(math.pi * t * rng.uniform(0.8, 1.2) + rng.uniform(0, 0.4)) ** 2
    radius += 0.12 * np.sin(rng.uniform(7, 14) * t + rng.uniform(0, 6))
    shape = Shape()
    shape.loft([(max(0.06, r) * h * 0.45, 2, z * h) for r, z in zip(radius, t)], paint(rng), 48,
               True, True)
    return _maybe_lying(rng, shape.build('vase', 60), 0.15)


def toolbox(rng: np.random.Generator) -> bpy.types.Object:
    """A tool box, jerry can or suitcase: a long box with a handle and a lid's seam."""
    w, d, h = rng.uniform((0.3, 0.14, 0.18), (0.6, 0.24, 0.45))
    skin, dark = paint(rng), materials.plain((0.015, 0.015, 0.016), 0.6)
    shape = Shape()
    shape.box((0, 0, h / 2), (w, d, h), skin)
    shape.box((0, 0, 0.68 * h), (w * 1.01, d * 1.02, 0.02), dark)
    arc = np.linspace(0, math.pi, 12)
    shape.tube(np.stack([0.25 * w * np.cos(arc), np.zeros(12), h + 0.06 * np.sin(arc)], -1), 0.012,
               dark)
    return shape.build('toolbox', bevel_m=0.02)


def letters(rng: np.random.Generator) -> bpy.types.Object:
    """A board with lettering: an advertisement, a name plate, a number."""
    picture = np.ones((96, 192, 3), np.float32) * np.array(drawn(rng, OTHER_SHARES), np.float32)
    ink: Colour = drawn(rng, OTHER_SHARES)
    cv2.putText(picture, ('EXIT', 'SALE', '24 h', 'OPEN', 'A 12', 'STOP')[rng.integers(6)],
                (20, 65), cv2.FONT_HERSHEY_DUPLEX, 1.7, ink, 4, cv2.LINE_AA)
    image = bpy.data.images.new('board', 192, 96)
    pixels = np.ones((96, 192, 4), np.float32)
    pixels[..., :3] = np.clip(picture[::-1], 0, 1) ** (1 / 2.2)
    image.pixels.foreach_set(pixels.ravel())
    image.pack()
    w, h, low = rng.uniform(0.3, 1.0), rng.uniform(0.15, 0.6), rng.uniform(0.0, 0.6)
    shape = Shape()
    shape.sheet([(-w / 2, 0, low), (w / 2, 0, low), (w / 2, 0, low + h), (-w / 2, 0, low + h)],
                materials.image_skin(image, 0.5, '', 0.2))
    post = paint(rng)
    for x in (-0.35 * w, 0.35 * w):
        shape.box((x, 0.02, (low + h) / 2), (0.03, 0.02, low + h), post)
    thing = shape.build('board')
    uv = np.full((len(thing.data.loops), 2), 0.01, np.float32)
    uv[:4] = ((0, 0), (1, 0), (1, 1), (0, 1))
    thing.data.uv_layers.new(name='board').data.foreach_set('uv', uv.ravel())
    return thing


MAKERS: tuple[tuple[float, Maker], ...] = (
    (1.0, bottle), (1.0, ball), (1.2, cylinder), (0.9, tape_roll), (1.2, tape_strip), (1.1, cloth),
    (1.2, flat_box), (0.8, panel), (0.5, seat), (0.5, helmet), (0.7, vase), (0.8, toolbox),
    (0.5, letters),
    (0.6, clutter.bag), (0.6, clutter.chair), (0.6, clutter.bucket), (0.3, clutter.pipes),
    (0.4, clutter.cable), (0.3, clutter.person), (0.3, clutter.frame), (0.4, clutter.plant),
    (1.0, street_things.drum), (1.0, street_things.post), (0.7, street_things.hydrant),
    (0.8, street_things.barrier), (0.7, street_things.jersey), (0.9, street_things.sign),
    (0.6, street_things.wheelie_bin), (0.6, street_things.folding_sign),
    (0.8, street_things.worker), (0.5, street_things.beacon))


def lookalike(rng: np.random.Generator) -> bpy.types.Object:
    """Return a random thing at the origin, resting on the ground, that is no cone and no cube."""
    shares = np.array([share for share, _ in MAKERS])
    return MAKERS[rng.choice(len(MAKERS), p=shares / shares.sum())][1](rng)
