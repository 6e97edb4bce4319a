"""The two objects to be detected: an orange plastic cone and an inflatable blue cube."""

from __future__ import annotations

import math
from collections.abc import Callable

import bpy
import numpy as np
from mathutils import Matrix

from demo import materials
from demo.palette import Colour
from demo.shape import Shape

CONE_HEIGHT_M = 0.33
CONE_BASE_M = 0.21
CONE_TIP_RADIUS_M = 0.024
CUBE_EDGE_M = 0.24


def _cone_mesh(material: bpy.types.Material, height: float, base: float) -> bpy.types.Object:
    """Loft one skin: down the hollow inside, under the plate, over its rim, up to the tip."""
    half = base / 2
    foot, tip, wall = 0.84 * half, CONE_TIP_RADIUS_M, 0.004
    shape = Shape()
    square = 11
    body = [(foot * 1.04, 2, 0.024), (foot * 0.98, 2, 0.030), (foot * 0.945, 2, 0.042)]
    for t in np.linspace(0.12, 0.985, 7):
        body.append((foot + (tip - foot) * t, 2, 0.026 + (height - 0.026) * t))
    lip = [(tip + 0.0015, 2, height - 0.003), (tip - 0.001, 2, height),
           (tip - wall, 2, height - 0.001), (tip - wall, 2, height - 0.02)]
    inside = [(0.001, 2, height * 0.42), (foot * 0.42, 2, height * 0.41),
              (foot * 0.52, 2, height * 0.37), (foot * 0.90, 2, 0.030), (foot * 0.93, 2, 0.012)]
    under = [(foot * 0.96, 2, 0.008), (half - 0.012, 8, 0.010), (half - 0.009, 9, 0.0),
             (half - 0.002, square, 0.0)]
    plate = [(half, square, 0.002), (half, square, 0.014), (half - 0.003, square, 0.018),
             (half - 0.010, 9, 0.020)]
    shape.loft(inside + under + plate + body + lip + [(0.001, 2, height - 0.02)], material, 96)
    for k in range(4):
        # Ribs in the corners of the hollow plate, and the small stacking lugs on top of it.
        turn = math.pi / 4 + k * math.pi / 2
        c, s = math.cos(turn), math.sin(turn)
        for spread in (-0.22, 0.0, 0.22):
            r = half * (1.10 if spread == 0 else 0.99)
            shape.box((r * math.cos(turn + spread), r * math.sin(turn + spread), 0.006),
                      (0.05 if spread == 0 else 0.034, 0.004, 0.012), material, turn + spread)
        shape.box((1.17 * half * c, 1.17 * half * s, 0.021), (0.012, 0.03, 0.006), material, turn)
    return shape.build('cone', 32)


def cone(rng: np.random.Generator, pose: str = 'standing',
         tint: Colour | None = None) -> bpy.types.Object:
    """Return a cone at the origin, resting on the floor; pose: standing, lying or on_tip.

    `tint` is another colour than orange, linear RGB.
    """
    hue = rng.uniform(0, 1)
    colour = (0.86 + 0.08 * hue, 0.22 + 0.25 * hue, 0.004 + 0.012 * hue)
    material = materials.cone_plastic(tint or colour, rng.uniform(0.05, 0.5),
                                      rng.uniform(0.22, 0.42))
    scale = rng.uniform(0.93, 1.07)
    height, base = CONE_HEIGHT_M * scale, CONE_BASE_M * rng.uniform(0.95, 1.05)
    thing = _cone_mesh(material, height, base)
    turn = Matrix.Identity(4)
    if pose == 'lying':
        # It touches the floor with one edge of its plate and with its tip.
        lean = math.pi / 2 + math.atan2(base / 2 - CONE_TIP_RADIUS_M, height)
        turn = Matrix.Rotation(lean, 4, 'Y')
    elif pose == 'on_tip':
        turn = Matrix.Rotation(math.pi, 4, 'X')
    bake(thing, turn, flatten=0.0)
    return thing


def cube(rng: np.random.Generator, word: str | None = None,
         tint: Colour | None = None) -> bpy.types.Object:
    """Return an inflated cube at the origin, resting on one of its puffy faces.

    `tint` is another colour than blue, linear RGB.
    """
    colour = np.array([0.008, 0.022, 0.40]) * rng.uniform(0.7, 1.35)
    colour[0] += rng.uniform(0, 0.03)
    colour[1] += rng.uniform(0, 0.025)
    if tint is not None:
        colour = np.array(tint)
    if word is None:
        word = ('ROVER', 'DEMO', 'BLUE', 'SSD', '')[rng.integers(5)]
    material = materials.cube_vinyl(tuple(colour), rng.uniform(0.22, 0.42), word, rng)
    bulge, pinch = rng.uniform(0.10, 0.26), rng.uniform(0.05, 0.13)
    wrinkle, phase = rng.uniform(0.004, 0.014), rng.uniform(0, 6.28, 3)
    edge = CUBE_EDGE_M / 2 * rng.uniform(0.93, 1.05)
    stretch = np.array([1.0, rng.uniform(0.92, 1.05), rng.uniform(0.98, 1.16)]) * edge

    def inflate(p: np.ndarray) -> np.ndarray:
        """Blow up points (..., 3) of the cube [-1, 1]^3: faces out, edges in, corners stay."""
        out = np.empty_like(p)
        for a in range(3):
            b, c = p[..., (a + 1) % 3], p[..., (a + 2) % 3]
            face = np.clip((1 - b**2) * (1 - c**2), 0, None) ** 0.8
            seam = (1 - b**2) * c**4 + (1 - c**2) * b**4
            # Folds run across the seams, because the seam is shorter than the film beside it.
            folds = (np.sin(17 * b + phase[a]) * c**6 + np.sin(15 * c + phase[a]) * b**6)
            out[..., a] = p[..., a] * (1 + bulge * face - pinch * seam
                                       + wrinkle * folds * (1 - (b * c) ** 2))
        return out

    shape = Shape()
    count = 29
    line = np.linspace(-1, 1, count)
    u, v = np.meshgrid(line, line, indexing='ij')
    for axis in range(3):
        for sign in (-1.0, 1.0):
            points = np.empty((count, count, 3))
            points[..., axis] = sign
            points[..., (axis + 1) % 3], points[..., (axis + 2) % 3] = u * sign, v
            shape.grid(inflate(points) * stretch, material)
    _flanges(shape, line, lambda p: inflate(p) * stretch, material)
    thing = shape.build('cube', 50)
    _print_on_faces(thing, count, rng)
    quarter = Matrix.Rotation(math.pi / 2 * rng.integers(4), 4, 'XYZ'[rng.integers(2)])
    tilt = Matrix.Rotation(rng.normal(0, 0.04), 4, 'X')
    bake(thing, tilt @ quarter, flatten=0.45 * bulge * edge)
    return thing


def _flanges(shape: Shape, line: np.ndarray, inflate: Callable[[np.ndarray], np.ndarray],
             material: bpy.types.Material) -> None:
    """Add the welded flange that stands out from every edge of the cube."""
    for axis in range(3):
        for sb in (-1.0, 1.0):
            for sc in (-1.0, 1.0):
                points = np.empty((2, len(line), 3))
                points[..., axis] = line
                points[..., (axis + 1) % 3], points[..., (axis + 2) % 3] = sb, sc
                points = inflate(points)
                outward = np.zeros(3)
                outward[(axis + 1) % 3], outward[(axis + 2) % 3] = sb, sc
                points[1] += outward * 0.0035
                shape.grid(points, material)


def _print_on_faces(thing: bpy.types.Object, count: int, rng: np.random.Generator) -> None:
    """Give two opposite faces UVs into the print; all other faces point outside of it."""
    mesh = thing.data
    uv = np.full((len(mesh.loops), 2), -5.0, np.float32)
    quads = (count - 1) ** 2
    corner = np.array([(0, 0), (0, 1), (1, 1), (1, 0)], np.float32)
    axis = int(rng.integers(3))
    for face in (2 * axis, 2 * axis + 1):
        row, column = np.divmod(np.arange(quads), count - 1)
        where = (np.stack([row, column], -1)[:, None] + corner) / (count - 1)
        # The second coordinate runs along the lettering on these grids.
        uv[face * quads * 4:(face + 1) * quads * 4] = where.reshape(-1, 2)
    mesh.uv_layers.new(name='print').data.foreach_set('uv', uv.ravel())


def bake(thing: bpy.types.Object, rotation: Matrix, flatten: float = 0.0) -> None:
    """Rotate the mesh itself and set it on the floor, pressed flat by `flatten` metres."""
    thing.data.transform(rotation)
    points = np.empty(len(thing.data.vertices) * 3, np.float32)
    thing.data.vertices.foreach_get('co', points)
    points = points.reshape(-1, 3)
    points[:, 2] -= points[:, 2].min() + flatten
    np.clip(points[:, 2], 0.0005, None, out=points[:, 2])
    thing.data.vertices.foreach_set('co', points.ravel())
    thing.data.update()
