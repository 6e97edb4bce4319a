"""Cubes of many kinds: inflatable, cardboard, wood, plastic, foam, dice, gifts and crates."""

from __future__ import annotations

import math
from collections.abc import Callable

import bpy
import cv2
import numpy as np
from mathutils import Matrix

from demo import materials, objects
from demo.palette import CUBE_SHARES, Colour, drawn, hsv
from demo.shape import Shape

FACE_PX = 160
# Edges in metres; a cube of any size may be seen from as near as its size allows.
Picture = np.ndarray  # float32 (FACE_PX, FACE_PX, 3), linear RGB


def _sheet(colour: Colour) -> Picture:
    return np.ones((FACE_PX, FACE_PX, 3), np.float32) * np.array(colour, np.float32)


def _plain(rng: np.random.Generator, colour: Colour, ink: Colour) -> Picture:
    return _sheet(colour)


def _framed(rng: np.random.Generator, colour: Colour, ink: Colour) -> Picture:
    """A coloured frame around a field, with or without a letter: a toy block."""
    face = _sheet(colour)
    edge = int(rng.integers(6, 26))
    cv2.rectangle(face, (edge, edge), (FACE_PX - edge, FACE_PX - edge), ink,
                  int(rng.integers(3, 14)))
    return _letter(rng, face, ink)


def _letter(rng: np.random.Generator, face: Picture, ink: Colour) -> Picture:
    letter = 'ABCDEFGHKLMNPRSTUVXYZ0123456789'[rng.integers(31)]
    font = int(rng.choice((cv2.FONT_HERSHEY_DUPLEX, cv2.FONT_HERSHEY_TRIPLEX,
                           cv2.FONT_HERSHEY_SIMPLEX)))
    scale, thick = rng.uniform(2.5, 4.0), int(rng.integers(6, 16))
    (wide, high), _ = cv2.getTextSize(letter, font, scale, thick)
    cv2.putText(face, letter, ((FACE_PX - wide) // 2, (FACE_PX + high) // 2), font, scale, ink,
                thick, cv2.LINE_AA)
    return face


def _lettered(rng: np.random.Generator, colour: Colour, ink: Colour) -> Picture:
    return _letter(rng, _sheet(colour), ink)


def _striped(rng: np.random.Generator, colour: Colour, ink: Colour) -> Picture:
    row, column = np.mgrid[0:FACE_PX, 0:FACE_PX].astype(np.float32)
    turn = rng.choice((0.0, math.pi / 2, math.pi / 4))
    wave = np.sin((row * math.sin(turn) + column * math.cos(turn)) * rng.uniform(0.12, 0.5))
    return np.where(wave[..., None] > rng.uniform(-0.4, 0.4), _sheet(colour), _sheet(ink))


def _dotted(rng: np.random.Generator, colour: Colour, ink: Colour) -> Picture:
    face, step = _sheet(colour), int(rng.integers(18, 45))
    for row, y in enumerate(range(step // 2, FACE_PX, step)):
        for x in range(step // 2 + (row % 2) * step // 2, FACE_PX, step):
            cv2.circle(face, (x, y), max(2, step // 4), ink, -1, cv2.LINE_AA)
    return face


def _checked(rng: np.random.Generator, colour: Colour, ink: Colour) -> Picture:
    count = int(rng.integers(2, 7))
    pattern = np.indices((count, count)).sum(0) % 2
    pattern = cv2.resize(pattern.astype(np.uint8), (FACE_PX, FACE_PX),
                         interpolation=cv2.INTER_NEAREST)
    return np.where(pattern[..., None] == 1, _sheet(colour), _sheet(ink))


def _stickers(rng: np.random.Generator, colour: Colour, ink: Colour) -> Picture:
    """A twisting puzzle's side: three by three coloured squares on black or white."""
    face = _sheet((0.01, 0.01, 0.01) if rng.uniform() < 0.8 else (0.7, 0.7, 0.7))
    third = FACE_PX / 3
    pool = (ink, colour, *(drawn(rng, CUBE_SHARES) for _ in range(3)))
    for k in range(9):
        x, y = (int(third * v + 6) for v in (k % 3, k // 3))
        cv2.rectangle(face, (x, y), (x + int(third) - 12, y + int(third) - 12),
                      pool[rng.integers(len(pool))], -1)
    return face


def _printed(rng: np.random.Generator, colour: Colour, ink: Colour) -> Picture:
    """A carton: packing tape, a label, some lettering, the seam of its flaps."""
    face = _sheet(colour)
    if rng.uniform() < 0.6:
        width = int(rng.integers(14, 34))
        x = FACE_PX // 2 - width // 2
        tape = (np.array(colour) * rng.uniform(0.7, 1.5)).clip(0, 0.8)
        face[:, x:x + width] = tape
    if rng.uniform() < 0.5:
        cv2.line(face, (0, FACE_PX // 2), (FACE_PX, FACE_PX // 2),
                 tuple(0.35 * c for c in colour), 2)
    if rng.uniform() < 0.5:
        x, y = (int(v) for v in rng.integers(8, 80, 2))
        cv2.rectangle(face, (x, y), (x + int(rng.integers(30, 70)), y + int(rng.integers(20, 50))),
                      (0.75, 0.75, 0.73), -1)
        for k in range(3):
            cv2.line(face, (x + 5, y + 6 + 6 * k), (x + 25, y + 6 + 6 * k), (0.05, 0.05, 0.05), 1)
    if rng.uniform() < 0.5:
        word = ('FRAGILE', 'ROVER', 'PARTS 12', 'SSD', 'THIS SIDE UP')[rng.integers(5)]
        cv2.putText(face, word, (int(rng.integers(4, 40)), int(rng.integers(30, 150))),
                    cv2.FONT_HERSHEY_DUPLEX, rng.uniform(0.5, 1.0), ink, 2, cv2.LINE_AA)
    return face


def _ribboned(rng: np.random.Generator, colour: Colour, ink: Colour) -> Picture:
    draw = (_plain, _dotted, _striped)[rng.integers(3)]
    face = draw(rng, colour, tuple(0.5 * np.array(colour) + 0.3))
    width = int(rng.integers(14, 34))
    middle = FACE_PX // 2
    face[:, middle - width // 2:middle + width // 2] = ink
    face[middle - width // 2:middle + width // 2] = ink
    return face


def _pips(rng: np.random.Generator, colour: Colour, ink: Colour, count: int) -> Picture:
    face, radius = _sheet(colour), int(rng.integers(11, 19))
    spots = {1: [(0, 0)], 2: [(-1, -1), (1, 1)], 3: [(-1, -1), (0, 0), (1, 1)],
             4: [(-1, -1), (1, 1), (-1, 1), (1, -1)],
             5: [(-1, -1), (1, 1), (-1, 1), (1, -1), (0, 0)],
             6: [(-1, -1), (1, 1), (-1, 1), (1, -1), (-1, 0), (1, 0)]}[count]
    for x, y in spots:
        cv2.circle(face, (80 + 42 * x, 80 + 42 * y), radius, ink, -1, cv2.LINE_AA)
    return face


def _atlas(faces: list[Picture]) -> bpy.types.Image:
    """Put six faces side by side into one image."""
    strip = np.concatenate(faces, 1)[::-1]
    pixels = np.ones((*strip.shape[:2], 4), np.float32)
    # The image is stored as displayed, hence encoded.
    pixels[..., :3] = np.clip(strip, 0, 1) ** (1 / 2.2)
    image = bpy.data.images.new('faces', strip.shape[1], strip.shape[0])
    image.pixels.foreach_set(pixels.ravel())
    image.pack()
    return image


def _solid(rng: np.random.Generator, edge: float, skin: bpy.types.Material,
           rounding: float) -> bpy.types.Object:
    """A box of nearly equal sides, its six faces laid out in the image of `skin`."""
    size = edge * np.clip(rng.normal(1, 0.05, 3), 0.88, 1.12)
    shape = Shape()
    shape.box((0, 0, 0), size, skin)
    thing = shape.build('cube', 30, bevel_m=rounding * edge)
    layer = thing.data.uv_layers.new(name='faces')
    corner = np.array([(0, 0), (1, 0), (1, 1), (0, 1)], np.float32)
    uv = np.concatenate([(corner * 0.998 + 0.001 + (k, 0)) / (6, 1) for k in range(6)])
    layer.data.foreach_set('uv', uv.astype(np.float32).ravel())
    return thing


def _with_faces(draw: Callable, rough: tuple[float, float], edges: tuple[float, float],
                rounding: tuple[float, float], colour: Colour | None = None,
                grain: str = '') -> Callable[[np.random.Generator], bpy.types.Object]:
    """Return a maker of cubes whose six faces are drawn by `draw`."""
    def make(rng: np.random.Generator) -> bpy.types.Object:
        body = colour or drawn(rng, CUBE_SHARES)
        body = tuple(np.array(body) * rng.uniform(0.8, 1.2))
        ink = drawn(rng, CUBE_SHARES)
        same = draw(rng, body, ink)
        faces = [same if rng.uniform() < 0.3 else draw(rng, body, ink) for _ in range(6)]
        skin = materials.image_skin(_atlas(faces), rng.uniform(*rough), grain,
                                    rng.uniform(0.05, 0.6))
        return _solid(rng, rng.uniform(*edges), skin, rng.uniform(*rounding))
    return make


def _inflatable(rng: np.random.Generator) -> bpy.types.Object:
    tint = None if rng.uniform() < 0.4 else drawn(rng, CUBE_SHARES)
    return objects.cube(rng, tint=tint)


def _die(rng: np.random.Generator) -> bpy.types.Object:
    body = drawn(rng, {'white': 0.5, 'red': 0.2, 'blue': 0.1, 'green': 0.1, 'grey': 0.1})
    ink = (0.02, 0.02, 0.02) if sum(body) > 0.9 else (0.8, 0.8, 0.8)
    faces = [_pips(rng, body, ink, count) for count in (1, 6, 2, 5, 3, 4)]
    skin = materials.image_skin(_atlas(faces), rng.uniform(0.1, 0.4), '', 0.1)
    return _solid(rng, rng.uniform(0.02, 0.3), skin, rng.uniform(0.05, 0.14))


def _wooden(rng: np.random.Generator) -> bpy.types.Object:
    colour = hsv(rng.uniform(0.07, 0.11), rng.uniform(0.3, 0.65), rng.uniform(0.45, 0.9))
    edge = rng.uniform(0.03, 0.35)
    skin = materials.wood(colour, rng.uniform(0.4, 0.7), (40 * edge, 10 * edge))
    return _solid(rng, edge, skin, rng.uniform(0.01, 0.06))


def _crate(rng: np.random.Generator) -> bpy.types.Object:
    """A slatted wooden or plastic crate as wide as it is high."""
    edge, count = rng.uniform(0.25, 0.5), int(rng.integers(3, 6))
    wooden = rng.uniform() < 0.6
    skin = (materials.wood(hsv(0.09, rng.uniform(0.3, 0.6), rng.uniform(0.5, 0.85)), 0.7,
                           (2.0, 0.3))
            if wooden else materials.plain(drawn(rng, CUBE_SHARES), 0.45))
    half, thick = edge / 2, 0.04 * edge
    shape = Shape()
    for x in (-1, 1):
        for y in (-1, 1):
            shape.box((x * half, y * half, 0), (2 * thick, 2 * thick, edge), skin)
    for k in range(count):
        z = -half + (k + 0.5) * edge / count
        high = edge / count * rng.uniform(0.6, 0.85)
        for sign in (-1, 1):
            shape.box((0, sign * half, z), (edge, thick, high), skin)
            shape.box((sign * half, 0, z), (thick, edge, high), skin)
    shape.box((0, 0, -half + thick / 2), (edge, edge, thick), skin)
    if rng.uniform() < 0.5:
        shape.box((0, 0, half), (edge, edge, thick), skin)
    return shape.build('cube', bevel_m=0.003)


def _gift(rng: np.random.Generator) -> bpy.types.Object:
    thing = _with_faces(_ribboned, (0.15, 0.6), (0.06, 0.35), (0.004, 0.02))(rng)
    return thing


CARDBOARD = (0.36, 0.22, 0.11)
MAKERS: tuple[tuple[float, Callable[[np.random.Generator], bpy.types.Object]], ...] = (
    (0.26, _inflatable),
    (0.15, _with_faces(_printed, (0.7, 0.95), (0.12, 0.45), (0.004, 0.02), CARDBOARD, 'paper')),
    (0.05, _with_faces(_printed, (0.3, 0.8), (0.10, 0.40), (0.004, 0.02))),
    (0.08, _wooden),
    (0.09, _with_faces(_framed, (0.3, 0.7), (0.03, 0.12), (0.02, 0.07))),
    (0.05, _with_faces(_lettered, (0.2, 0.7), (0.03, 0.25), (0.02, 0.1))),
    (0.12, _with_faces(_plain, (0.15, 0.9), (0.03, 0.40), (0.005, 0.14))),
    (0.04, _die),
    (0.06, _gift),
    (0.04, _with_faces(_stickers, (0.1, 0.4), (0.05, 0.07), (0.02, 0.05))),
    (0.03, _with_faces(_checked, (0.3, 0.8), (0.05, 0.30), (0.005, 0.05))),
    (0.03, _crate))


def cube(rng: np.random.Generator) -> bpy.types.Object:
    """Return a cube of a random kind at the origin, on a face mostly, else thrown down anyhow."""
    shares = np.array([share for share, _ in MAKERS])
    maker = MAKERS[rng.choice(len(MAKERS), p=shares / shares.sum())][1]
    thing = maker(rng)
    if maker is _inflatable:
        return thing
    turn = Matrix.Identity(4)
    if rng.uniform() < 0.12:
        turn = (Matrix.Rotation(rng.uniform(0, 0.8), 4, 'X')
                @ Matrix.Rotation(rng.uniform(0, 0.8), 4, 'Y'))
    objects.bake(thing, turn)
    return thing
