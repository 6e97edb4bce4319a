"""Surfaces of a course as images: floors, walls and the sides of cubes."""

from __future__ import annotations

import cv2
import numpy as np

SIDE = 512  # pixels; one image covers TILE_M of a floor or wall
TILE_M = 2.0


def floor(kind: str, rng: np.random.Generator) -> np.ndarray:
    """Return uint8 (SIDE, SIDE, 3) RGB of a kind of ``course.FLOORS``."""
    if kind == 'concrete':
        return _cast(np.array([0.52, 0.51, 0.49]) * (0.85 + 0.3 * _clouds(rng, 6)))
    if kind == 'carpet':
        tint = np.array(((0.30, 0.33, 0.40), (0.38, 0.30, 0.28))[rng.integers(2)])
        return _cast(tint * (0.8 + 0.4 * rng.random((SIDE, SIDE, 1))))
    if kind == 'tiles':
        shade = 0.9 + 0.2 * _clouds(rng, 4)
        image = np.array([0.66, 0.64, 0.60]) * shade
        _lines(image, SIDE // 4, 3, 0.7)
        return _cast(image)
    rows = np.repeat(0.75 + 0.4 * rng.random((8, 1, 1)), SIDE // 8, axis=0)
    grain = cv2.resize(rng.random((SIDE // 4, 8)), (SIDE, SIDE))[..., None]
    image = np.array([0.55, 0.38, 0.22]) * rows * (0.85 + 0.3 * grain)
    image[::SIDE // 8] *= 0.5
    return _cast(image)


def wall(kind: str, rng: np.random.Generator) -> np.ndarray:
    """Return uint8 (SIDE, SIDE, 3) RGB of a kind of ``course.WALLS``; up is to the right."""
    return np.ascontiguousarray(np.rot90(_upright_wall(kind, rng)))


def _upright_wall(kind: str, rng: np.random.Generator) -> np.ndarray:
    if kind == 'plaster':
        tint = np.array(((0.80, 0.79, 0.74), (0.62, 0.70, 0.68), (0.74, 0.70, 0.60))[
            rng.integers(3)])
        return _cast(tint * (0.94 + 0.12 * _clouds(rng, 5)))
    if kind == 'panels':
        image = np.array([0.60, 0.62, 0.65]) * (0.95 + 0.1 * _clouds(rng, 5))
        _lines(image, SIDE // 2, 4, 0.6)
        return _cast(image)
    image = np.full((SIDE, SIDE, 3), 0.62)
    high, long = SIDE // 16, SIDE // 6
    for row in range(16):
        for x in range(-(row % 2) * long // 2, SIDE, long):
            tint = np.array([0.48, 0.27, 0.21]) * rng.uniform(0.8, 1.15)
            image[row * high + 2:(row + 1) * high - 1, max(x + 2, 0):max(x + long - 1, 0)] = tint
    return _cast(image)


def side(skin: str, colour: tuple[float, float, float], rng: np.random.Generator) -> np.ndarray:
    """Return uint8 (SIDE / 2, SIDE / 2, 3) RGB, the side of a cube with a skin."""
    size = SIDE // 2
    image = np.ones((size, size, 3)) * colour
    if skin == 'carton':
        image[:, size * 4 // 10:size * 6 // 10] *= (1.1, 1.05, 0.95)
        image[size // 2 - 1:size // 2 + 1] *= 0.5
        cv2.rectangle(image, (20, 30), (90, 75), (0.85, 0.85, 0.82), -1)
        for y in (195, 210, 225):
            cv2.line(image, (130, y), (225, y), (0.15, 0.13, 0.1), 5)
    elif skin == 'wood':
        grain = cv2.resize(rng.random((size // 3, 6)), (size, size))[..., None]
        image = image * (0.8 + 0.35 * grain)
    elif skin == 'framed':
        cv2.rectangle(image, (14, 14), (size - 14, size - 14), (0.92, 0.9, 0.85), 16)
    return _cast(image * (0.97 + 0.06 * rng.random((size, size, 1))))


def _clouds(rng: np.random.Generator, octaves: int) -> np.ndarray:
    """Return noise of several scales that repeats at the edges, about 0 to 1, (SIDE, SIDE, 1)."""
    total = np.zeros((SIDE, SIDE))
    for k in range(octaves):
        cells = 2 ** (k + 2)
        grid = np.pad(rng.random((cells, cells)), 2, mode='wrap')
        step = SIDE // cells
        large = cv2.resize(grid, None, fx=step, fy=step, interpolation=cv2.INTER_CUBIC)
        inside = slice(2 * step, 2 * step + SIDE)
        total += np.asarray(large, np.float64)[inside, inside] / 2 ** (k / 2 + 1)
    low, high = total.min(), total.max()
    return ((total - low) / (high - low))[..., None]


def _lines(image: np.ndarray, step: int, width: int, factor: float) -> None:
    for start in range(0, SIDE, step):
        image[start:start + width] *= factor
        image[:, start:start + width] *= factor


def _cast(image: np.ndarray) -> np.ndarray:
    return np.clip(image * 255, 0, 255).astype(np.uint8)
