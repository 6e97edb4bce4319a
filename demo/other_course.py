"""Another drive through the same three rooms: other things, floors and light, another way."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from demo import clutter, course, surroundings

_TARGETS, _SMALL = 15, 8
_KINDS, _SHARES = ('standing', 'lying', 'cube'), (0.4, 0.2, 0.4)
_FROM_DOOR_M, _FROM_WAY_M, _APART_M = 0.45, 0.27, 0.36


def random_plan(seed: int) -> course.Plan:
    """Return the course.Plan that a seed stands for."""
    rng = np.random.default_rng(seed)
    way = _way(rng)
    points, _ = course.way_points(way)
    taken: list[tuple[float, float]] = []
    targets = _targets(rng, points, taken)
    # Small things lie where targets do and can be taken for them; large ones along the walls.
    small = [(clutter.SMALL[rng.integers(len(clutter.SMALL))].__name__,
              *_place(rng, points, taken, y, 2.0), rng.uniform(0, 2 * math.pi), 100 + number)
             for number, y in enumerate(np.linspace(1.0, 13.0, _SMALL))]
    large = [(clutter.LARGE[rng.integers(len(clutter.LARGE))].__name__, x, y,
              rng.uniform(0, 2 * math.pi), 200 + number)
             for number, (kind, x, y, *_) in enumerate(course.CLUTTER)
             if kind in ('chair', 'table', 'person', 'plant')]
    names = sorted(surroundings.FLOORS)
    return course.Plan(
        seed=seed, way=way, glances=_glances(rng), targets=targets, clutter=tuple(small + large),
        floors=tuple(names[i] for i in rng.choice(len(names), 3, replace=False)),
        lamps=tuple(rng.uniform(0.25, 1.4, 3)))


def another_day(plan: course.Plan, day: int) -> course.Plan:
    """Return the same rooms and light with cones and cubes elsewhere, seen on another way."""
    rng = np.random.default_rng([plan.seed, day])
    lying = [(x, y) for _, x, y, *_ in plan.clutter]
    for _ in range(200):
        way = _way(rng)
        points, _ = course.way_points(way)
        if all(np.hypot(*(points - at).T).min() > _FROM_WAY_M for at in lying):
            break
    return replace(plan, way=way, targets=_targets(rng, points, lying), glances=_glances(rng))


def _way(rng: np.random.Generator) -> tuple[tuple[float, float], ...]:
    return tuple((x + rng.uniform(-0.3, 0.3) * _far_from_doors(y), y) for x, y in course.WAY)


def _targets(rng: np.random.Generator, points: np.ndarray,
             taken: list[tuple[float, float]]) -> tuple:
    return tuple((_KINDS[rng.choice(len(_KINDS), p=_SHARES)], *_place(rng, points, taken, y, 1.4),
                  rng.uniform(0, 2 * math.pi), number)
                 for number, y in enumerate(np.linspace(0.6, 12.0, _TARGETS), 1))


def _glances(rng: np.random.Generator) -> tuple[tuple[float, float, float], ...]:
    return tuple((rng.uniform(low, low + 2.2), rng.uniform(0.3, 0.5), rng.normal(0, 0.45))
                 for low in (2.0, 4.6, 7.0))


def _far_from_doors(y: float) -> float:
    """Return 0 within reach of a doorway, which the rover must pass through, else 1."""
    return float(all(abs(y - door[0]) > 0.9 for door in course.DOORS))


def _place(rng: np.random.Generator, points: np.ndarray, taken: list[tuple[float, float]],
           y: float, reach_m: float) -> tuple[float, float]:
    """Return a free place on the floor near ``y``, up to ``reach_m`` beside the way."""
    for _ in range(200):
        at_y = y + rng.normal(0, 0.3)
        x = np.interp(at_y, points[:, 1], points[:, 0]) + rng.uniform(-reach_m, reach_m)
        if (abs(x) < 2.1 and all(abs(at_y - door[0]) > _FROM_DOOR_M for door in course.DOORS)
                and np.hypot(*(points - (x, at_y)).T).min() > _FROM_WAY_M
                and all(math.hypot(x - a, at_y - b) > _APART_M for a, b in taken)):
            break
    taken.append((x, at_y))
    return float(x), float(at_y)
