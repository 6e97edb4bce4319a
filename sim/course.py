"""Seeded courses: where cones and cubes stand, how they look, and which cone is the right one."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

KINDS = ('one cone', 'a cone behind', 'cubes in the way', 'both')
FLOORS = ('concrete', 'tiles', 'planks', 'carpet')
WALLS = ('plaster', 'bricks', 'panels')
CUBE_SKINS = ('plain', 'carton', 'framed', 'wood')
# A cube in the way must be seen: these are what the shipped weights find.
_SEEN_SKINS = ('plain', 'carton')

# Half the rover's width and half a cube's diagonal: a cube nearer to the straight way stops it.
_IN_THE_WAY = 0.33
# Further off than this a cube hides no part of the cone from the start.
_HIDES_NOTHING = 0.24
_CLEAR = 0.75  # between the middles of two things that stand apart, metres


@dataclass(frozen=True)
class Thing:
    """One object on the floor.

    Attributes:
        name: unique in its course.
        class_name: ``cone`` or ``cube``.
        x, y: its middle, metres; the rover starts at the origin.
        height, half_width: metres; of a cone's foot plate, of a cube's side.
        yaw: radians.
        colour: RGB, each 0 to 1.
        skin: a cube's, of CUBE_SKINS.
        bands: white bands of a cone, (from, to) as parts of its height.
    """

    name: str
    class_name: str
    x: float
    y: float
    height: float
    half_width: float
    yaw: float
    colour: tuple[float, float, float]
    skin: str = 'plain'
    bands: tuple[tuple[float, float], ...] = ()


@dataclass(frozen=True)
class Course:
    """A room with things in it.

    Attributes:
        seed: what it was drawn from; the kind is ``KINDS[seed % 4]``.
        kind: of KINDS.
        heading: of the rover at the start, radians.
        things: the first one is the right cone: the nearest.
        floor, wall: of FLOORS and WALLS.
        light: direction that the lamp shines in, (3,).
        brightness: of the lamp, and of the light from everywhere, 0 to 1.
    """

    seed: int
    kind: str
    heading: float
    things: tuple[Thing, ...]
    floor: str
    wall: str
    light: tuple[float, float, float]
    brightness: tuple[float, float]

    @property
    def right(self) -> Thing:
        """The cone to stop at."""
        return self.things[0]


def make_course(seed: int) -> Course:
    """Return the course of a seed, always the same."""
    rng = np.random.default_rng(seed)
    kind = KINDS[seed % len(KINDS)]
    away, bearing = rng.uniform(2.2, 3.2), rng.uniform(-0.3, 0.3)
    way = np.array([math.cos(bearing), math.sin(bearing)])
    aside = np.array([-way[1], way[0]])
    things = [_cone(rng, 'right cone', way * away)]
    if kind in ('a cone behind', 'both'):
        behind = way * (away + rng.uniform(0.8, 1.4)) + aside * _either(rng, 0.25, 0.6)
        things.append(_cone(rng, 'cone behind', behind))
    if kind in ('cubes in the way', 'both'):
        # in the way of the rover, but not between camera and cone
        at = way * away * rng.uniform(0.42, 0.55)
        at = at + aside * _either(rng, _HIDES_NOTHING, _IN_THE_WAY)
        things.append(_cube(rng, 'cube in the way', at, _SEEN_SKINS))
    for k in range(int(rng.integers(1, 3))):
        place = _free_place(rng, things, way * away)
        if place is not None:
            things.append(_cube(rng, f'cube {k + 1}', place))
    turn = rng.uniform(0.6, 1.2)
    to = rng.uniform(-math.pi, math.pi)
    return Course(seed, kind, bearing + _either(rng, 0.0, 0.25), tuple(things),
                  str(rng.choice(FLOORS)), str(rng.choice(WALLS)),
                  (math.cos(to) * math.cos(turn), math.sin(to) * math.cos(turn), -math.sin(turn)),
                  (rng.uniform(0.4, 0.7), rng.uniform(0.35, 0.5)))


def _either(rng: np.random.Generator, low: float, high: float) -> float:
    """Return a number between two, to either side of 0."""
    return float(rng.choice((-1, 1)) * rng.uniform(low, high))


def _cone(rng: np.random.Generator, name: str, at: np.ndarray) -> Thing:
    height = rng.uniform(0.28, 0.37)
    colours = ((0.95, 0.30, 0.04), (1.0, 0.38, 0.05), (0.90, 0.22, 0.05), (0.95, 0.62, 0.05))
    low = rng.uniform(0.35, 0.5)
    bands = (((low, low + rng.uniform(0.15, 0.25)),) if rng.uniform() < 0.6 else
             ((0.28, 0.42), (0.58, 0.76)))
    return Thing(name, 'cone', float(at[0]), float(at[1]), height, height * 0.33,
                 rng.uniform(0, math.pi / 2), colours[rng.integers(len(colours))], bands=bands)


def _cube(rng: np.random.Generator, name: str, at: np.ndarray,
          skins: tuple[str, ...] = CUBE_SKINS) -> Thing:
    colours = ((0.05, 0.15, 0.75), (0.08, 0.25, 0.85), (0.10, 0.32, 0.70), (0.06, 0.20, 0.60))
    skin = str(rng.choice(skins))
    colour = {'carton': (0.62, 0.46, 0.29), 'wood': (0.72, 0.55, 0.33)}.get(
        skin, colours[rng.integers(len(colours))])
    half = rng.uniform(0.11, 0.14)
    return Thing(name, 'cube', float(at[0]), float(at[1]), 2 * half, half,
                 rng.uniform(0, math.pi / 2), colour, skin)


def _free_place(rng: np.random.Generator, things: list[Thing],
                goal: np.ndarray) -> np.ndarray | None:
    """Return a place beside the way, where nothing else stands."""
    for _ in range(50):
        at = np.array([rng.uniform(1.0, 4.5), rng.uniform(-1.8, 1.8)])
        along = np.clip(at @ goal / (goal @ goal), 0, 1)
        beside = np.linalg.norm(at - along * goal)
        if beside > _CLEAR and all(np.hypot(at[0] - t.x, at[1] - t.y) > _CLEAR for t in things):
            return at
    return None
