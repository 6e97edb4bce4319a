"""What stands along streets in the colours of road cones: posts, drums, barriers, workers."""

from __future__ import annotations

import math

import bpy
import numpy as np
from mathutils import Matrix

from demo import materials, objects
from demo.palette import OTHER_SHARES, drawn
from demo.shape import Shape

SIGNAL = {'orange': 0.45, 'red': 0.25, 'yellow': 0.15, 'green': 0.05, 'blue': 0.1}


def _signal(rng: np.random.Generator) -> bpy.types.Material:
    return materials.road_plastic(drawn(rng, SIGNAL), rng.uniform(0.05, 0.8),
                                  rng.uniform(0.3, 0.7))


def _white(rng: np.random.Generator) -> bpy.types.Material:
    tone = rng.uniform(0.4, 0.85)
    return materials.band((tone, tone, 0.95 * tone), rng.uniform(0.05, 0.8), rng.uniform() < 0.5)


def _banded(shape: Shape, radius: float, low: float, high: float, skins: list, count: int,
            taper: float = 1.0) -> None:
    cuts = np.linspace(low, high, count + 1)
    sizes = radius * np.linspace(1, taper, count + 1)
    for k in range(count):
        shape.loft([(sizes[k], 2, cuts[k]), (sizes[k + 1], 2, cuts[k + 1])], skins[k % 2], 48,
                   close_end=k == count - 1)


def drum(rng: np.random.Generator) -> bpy.types.Object:
    """A traffic drum: a banded barrel, hardly narrower at the top, on a rubber ring."""
    radius, height = rng.uniform(0.22, 0.3), rng.uniform(0.85, 1.1)
    shape = Shape()
    shape.loft([(radius * 1.25, 2, 0), (radius * 1.3, 2, 0.03), (radius * 1.2, 2, 0.07)],
               materials.road_plastic((0.012, 0.012, 0.013), 0.5, 0.8), 48, True, True)
    _banded(shape, radius, 0.07, height, [_signal(rng), _white(rng)],
            int(rng.choice((4, 5, 6, 7))), rng.uniform(0.86, 0.97))
    if rng.uniform() < 0.6:
        shape.box((0, 0, height + 0.04), (0.22, 0.04, 0.09), _signal(rng))
    return shape.build('drum', 32)


def post(rng: np.random.Generator) -> bpy.types.Object:
    """A bollard or flexible post: a thin cylinder, banded or plain, rounded at the top."""
    radius, height = rng.uniform(0.035, 0.1), rng.uniform(0.6, 1.2)
    shape = Shape()
    skins = [_signal(rng), _white(rng)]
    if rng.uniform() < 0.3:
        skins[0] = materials.plain(drawn(rng, OTHER_SHARES), 0.5)
    _banded(shape, radius, 0, 0.95 * height, skins, int(rng.choice((1, 3, 5, 7))))
    shape.ball((0, 0, 0.95 * height), (radius,) * 3, skins[0], 32)
    if rng.uniform() < 0.6:
        shape.loft([(radius * 2.2, 2, 0), (radius * 2.2, 2, 0.025), (radius, 2, 0.04)],
                   materials.road_plastic((0.02, 0.02, 0.02), 0.4, 0.8), 40, True, True)
    thing = shape.build('post', 40)
    if rng.uniform() < 0.1:
        objects.bake(thing, Matrix.Rotation(math.pi / 2, 4, 'X'))
    return thing


def hydrant(rng: np.random.Generator) -> bpy.types.Object:
    """A fire hydrant: a stout cylinder with a cap, a bonnet and two nozzles."""
    shape, skin, cap = Shape(), _signal(rng), _signal(rng)
    r, h = rng.uniform(0.09, 0.13), rng.uniform(0.5, 0.8)
    shape.loft([(1.5 * r, 2, 0), (1.5 * r, 2, 0.05), (r, 2, 0.06), (r, 2, 0.72 * h),
                (1.25 * r, 2, 0.73 * h), (1.25 * r, 2, 0.78 * h)], skin, 40, True, True)
    shape.loft([(1.1 * r, 2, 0.78 * h), (0.95 * r, 2, 0.88 * h), (0.5 * r, 2, 0.95 * h),
                (0.25 * r, 2, 0.96 * h), (0.25 * r, 2, h)], cap, 40, False, True)
    shape.tube([(-1.7 * r, 0, 0.6 * h), (0, 0, 0.6 * h), (1.7 * r, 0, 0.6 * h)], 0.5 * r, skin, 20)
    shape.tube([(0, -1.6 * r, 0.5 * h), (0, 0, 0.5 * h)], 0.6 * r, cap, 20)
    return shape.build('hydrant', 40, bevel_m=0.004)


def barrier(rng: np.random.Generator) -> bpy.types.Object:
    """Boards with slanted or straight stripes on two legs."""
    w, h = rng.uniform(0.8, 2.0), rng.uniform(0.6, 1.1)
    skins, leg = [_signal(rng), _white(rng)], _signal(rng)
    shape = Shape()
    count, slant = int(rng.integers(4, 12)), rng.choice((0.0, 0.12, -0.12))
    for z in ((h - 0.1,) if rng.uniform() < 0.5 else (h - 0.1, h - 0.45)):
        for k in range(count):
            a, b = -w / 2 + k * w / count, -w / 2 + (k + 1) * w / count
            shape.sheet([(a - slant, -0.02, z - 0.1), (b - slant, -0.02, z - 0.1),
                         (b + slant, -0.02, z + 0.1), (a + slant, -0.02, z + 0.1)], skins[k % 2])
    for x in (-0.42 * w, 0.42 * w):
        shape.box((x, 0.02, h / 2), (0.05, 0.04, h), leg)
        shape.box((x, 0.02, 0.02), (0.06, 0.5, 0.04), leg)
    return shape.build('barrier')


def jersey(rng: np.random.Generator) -> bpy.types.Object:
    """A water-filled plastic barrier: a long block with a sloping foot."""
    length, height = rng.uniform(0.9, 2.0), rng.uniform(0.5, 1.0)
    profile = ((0.3, 0), (0.3, 0.1), (0.13, 0.45), (0.1, 1.0), (-0.1, 1.0), (-0.13, 0.45),
               (-0.3, 0.1), (-0.3, 0))
    points = np.array([[(x, y * height * 0.9, z * height) for y, z in profile]
                       for x in (-length / 2, length / 2)])
    shape, skin = Shape(), _signal(rng)
    shape.grid(points, skin)
    shape.sheet(points[0], skin)
    shape.sheet(points[1][::-1], skin)
    for x in (-0.25, 0.25):
        shape.box((x * length, 0, 0.12 * height), (0.2, 0.8 * height, 0.1),
                  materials.plain((0.02, 0.02, 0.02), 0.8))
    return shape.build('jersey', 30)


def sign(rng: np.random.Generator) -> bpy.types.Object:
    """A round, square, diamond or triangular road sign on a pole."""
    corners, turn = ((32, 0.0), (4, math.pi / 4), (4, 0.0), (3, math.pi / 2), (3, -math.pi / 2),
                     (8, math.pi / 8))[rng.integers(6)]
    r, z = rng.uniform(0.2, 0.4), rng.uniform(0.5, 1.8)
    angle = np.arange(corners) * 2 * math.pi / corners + turn
    shape = Shape()
    for scale, y, skin in ((1.0, 0.0, _signal(rng)), (rng.uniform(0.6, 0.85), -0.004, _white(rng)),
                           (rng.uniform(0.2, 0.4), -0.008, _signal(rng))):
        shape.sheet([(r * scale * math.cos(a), y, z + r * scale * math.sin(a))
                     for a in angle[::-1]], skin)
    shape.tube([(0, 0.03, 0), (0, 0.03, z + 0.3 * r)], 0.03,
               materials.plain((0.4, 0.4, 0.4), 0.4, 0.7))
    return shape.build('sign')


def wheelie_bin(rng: np.random.Generator) -> bpy.types.Object:
    """A rubbish bin on wheels, wider at the top, with a lid."""
    skin = materials.plain(drawn(rng, OTHER_SHARES), rng.uniform(0.3, 0.7))
    lid = skin if rng.uniform() < 0.5 else materials.plain(drawn(rng, OTHER_SHARES), 0.5)
    h, shape = rng.uniform(0.6, 1.05), Shape()
    shape.loft([(0.2, 12, 0.05), (0.27, 12, h)], skin, 64, True)
    shape.loft([(0.3, 12, h), (0.3, 12, h + 0.03), (0.26, 10, h + 0.07)], lid, 64, True, True)
    for x in (-0.2, 0.2):
        shape.tube([(x - 0.03, 0.2, 0.09), (x + 0.03, 0.2, 0.09)], 0.09,
                   materials.plain((0.015, 0.015, 0.015), 0.8), 24)
    shape.tube([(-0.24, 0.33, h), (0.24, 0.33, h)], 0.018, skin)
    return shape.build('bin', 40)


def folding_sign(rng: np.random.Generator) -> bpy.types.Object:
    """A folding sign on a wet floor: two boards that lean on one another."""
    w, h, out = rng.uniform(0.22, 0.35), rng.uniform(0.5, 0.75), rng.uniform(0.1, 0.18)
    skin, ink = _signal(rng), materials.plain((0.02, 0.02, 0.02), 0.6)
    shape = Shape()
    for side in (-1, 1):
        def at(x: float, t: float, lift: float, side: int = side) -> tuple:
            return x * w * (1 - 0.12 * t), side * (out * (1 - t) + lift), t * h
        shape.sheet([at(-0.5, 0, 0), at(0.5, 0, 0), at(0.5, 1, 0), at(-0.5, 1, 0)], skin)
        shape.sheet([at(-0.3, 0.55, 0.003), at(0.3, 0.55, 0.003), at(0, 0.88, 0.003)], ink)
        for t in (0.2, 0.3, 0.4):
            shape.sheet([at(-0.35, t, 0.003), at(0.35, t, 0.003), at(0.35, t + 0.04, 0.003),
                         at(-0.35, t + 0.04, 0.003)], ink)
    return shape.build('folding')


def worker(rng: np.random.Generator) -> bpy.types.Object:
    """Somebody in a signal vest: legs, trunk, arms and a head, seen from afar."""
    vest, strip = _signal(rng), _white(rng)
    trousers = materials.plain(((0.015, 0.02, 0.05), (0.02, 0.02, 0.02),
                                (0.1, 0.09, 0.07))[rng.integers(3)], 0.9)
    skin = materials.plain(((0.5, 0.28, 0.2), (0.2, 0.1, 0.06))[rng.integers(2)], 0.6)
    shape = Shape()
    for side in (-1, 1):
        step = rng.uniform(-0.15, 0.15)
        shape.tube([(side * 0.13, step, 0), (side * 0.11, 0.5 * step, 0.45), (side * 0.1, 0, 0.9)],
                   0.08, trousers, 18)
        shape.ball((side * 0.13, step - 0.06, 0.04), (0.05, 0.14, 0.05),
                   materials.plain((0.03, 0.025, 0.02), 0.7), 18)
        shape.tube([(side * 0.21, 0, 1.38), (side * 0.29, -0.04, 1.12),
                    (side * 0.27, -0.2 * rng.uniform(0, 1), 0.88)], 0.055, vest, 16)
    first = len(shape.vertices)
    for low, high, stuff in ((0.86, 0.98, vest), (0.98, 1.04, strip), (1.04, 1.2, vest),
                             (1.2, 1.26, strip), (1.26, 1.46, vest)):
        shape.loft([(0.2, 2.5, low), (0.205 if high < 1.4 else 0.13, 2.5, high)], stuff, 40,
                   False, high > 1.4)
    shape.vertices[first:] = [(x, 0.62 * y, z) for x, y, z in shape.vertices[first:]]
    shape.ball((0, 0, 1.6), (0.09, 0.11, 0.13), skin, 24)
    if rng.uniform() < 0.7:
        shape.ball((0, 0, 1.66), (0.13, 0.15, 0.1), _signal(rng), 24)
    return shape.build('worker', 60)


def beacon(rng: np.random.Generator) -> bpy.types.Object:
    """A flat guide beacon: an upright striped board in a rubber foot."""
    w, h = rng.uniform(0.15, 0.28), rng.uniform(0.7, 1.1)
    skins, shape = [_signal(rng), _white(rng)], Shape()
    shape.box((0, 0, 0.05), (0.8 * h * 0.5, 0.3, 0.1),
              materials.road_plastic((0.015, 0.015, 0.015), 0.5, 0.85))
    count, slant = int(rng.integers(3, 7)), rng.choice((0.0, 0.08, -0.08))
    cuts = np.linspace(0.12, h, count + 1)
    for side in (-1, 1):
        for k in range(count):
            low = slant if 0 < k else 0.0
            high = slant if k < count - 1 else 0.0
            shape.sheet([(-w / 2, side * 0.02, cuts[k] - low), (w / 2, side * 0.02, cuts[k] + low),
                         (w / 2, side * 0.02, cuts[k + 1] + high),
                         (-w / 2, side * 0.02, cuts[k + 1] - high)], skins[k % 2])
    return shape.build('beacon')
