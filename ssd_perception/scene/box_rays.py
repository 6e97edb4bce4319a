"""Boxes of one image as rays, and how uncertain their edges are as those of an object."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ssd_perception.scene.camera_model import CameraModel

# Standard deviations of a box's edges, measured of the shipped weights on rendered drives: a
# share of the box's height or width, and pixels in an image 640 wide.
LOWER, LOWER_PX = 0.009, 0.8
SIDE, SIDE_PX = 0.015, 0.8
HEIGHT, HEIGHT_PX = 0.015, 0.9
# What is taller than wide mostly stands, the same to both sides. The middle of what is wider may
# lie aside of its box's: a lying cone is wide at one end, and its box may end before its tip.
# The deviation is a share of the box's height; it grows between two ratios of width to height.
_UNEVEN, _UNEVEN_FROM, _UNEVEN_TO = 0.2, 0.8, 1.0
# Deviation of the middle of an object that a nearer one may hide in part, as a share of its width.
_HIDDEN, _BESIDE = 0.25, 0.25
# The height in the box, from its lower edge, at which an object's middle lies below its box's.
# Aside in the image of a camera that looks down, what is upright leans: the middle of a box around
# a cube is that of half its height, but a cone is widest at its foot.
_LEAN = 0.25
# Where an object leans, the axis of a cylinder passes the middle of its box, that of a cone the
# middle of its lower edge: deviation as a share of the box's height. Its lower edge is then a
# corner, not its near side: as a share of the box's width. Both times the tangent of the lean,
# up to a lean in radians, as its box grows with it.
_AXIS, _CORNER, _WIDENS = 0.18, 0.25, 0.27
# At more than this, radians, an edge of the box is that of another side of the object.
MAX_LEAN = 0.52


@dataclass(frozen=True, eq=False)
class BoxRays:
    """Boxes of one image as rays in the frame of the positions; arrays have n rows.

    Attributes:
        xyxy: (n, 4) pixels.
        deviations: (n, 3), of lower edge, of the middle sideways, of the height, pixels.
        low, middle, top: (n, 3), through the middle of the lower edge, the centre and the
            middle of the upper edge.
        away: (n, 3), level unit vectors towards the objects.
        low_down, low_aside: (n, 3), ``low`` with its pixel off by one deviation.
        lean: (n,), angle in the image between its vertical and what is upright, radians.
        leaning: (n,), tangent of the lean, up to ``_WIDENS``.
        half_width: (n,), half the width over the range along the optical axis.
    """

    xyxy: np.ndarray
    deviations: np.ndarray
    low: np.ndarray
    low_down: np.ndarray
    low_aside: np.ndarray
    middle: np.ndarray
    top: np.ndarray
    away: np.ndarray
    lean: np.ndarray
    leaning: np.ndarray
    half_width: np.ndarray

    @classmethod
    def seen(cls, xyxy: np.ndarray, camera: CameraModel, mounting: np.ndarray) -> BoxRays:
        """Return the rays of boxes (n, 4), pixels; NaN where the lens model does not hold.

        Args:
            xyxy: float64.
            camera, mounting: see ``positions.View``.
        """
        x1, y1, x2, y2 = xyxy.T
        tall, unit = y2 - y1, camera.width / 640
        u, v = (x1 + x2) / 2, (y1 + y2) / 2
        left, right, sight, *more = _rays(camera, (x1, v), (x2, v), (u, v), (u, y2),
                                          (u, y1), (u, y2 - _LEAN * tall))
        down = -mounting[2, :3]  # in optical axes
        lean = np.arctan2(np.abs(down[0] - sight[:, 0] * down[2]),
                          down[1] - sight[:, 1] * down[2])
        leaning = np.tan(np.minimum(lean, _WIDENS))
        lower = np.hypot(LOWER * tall + LOWER_PX * unit, _CORNER * (x2 - x1) * leaning)
        side = np.hypot(_sideways(xyxy, SIDE_PX * unit), _AXIS * tall * leaning)
        deviations = np.stack([lower, side, HEIGHT * tall + HEIGHT_PX * unit], axis=1)
        more += _rays(camera, (u, y2 - lower), (u + side, y2))
        middle, low, top, away, low_down, low_aside = (
            ray @ mounting[:3, :3].T for ray in (sight, *more))
        away = away * [1, 1, 0] / np.maximum(np.hypot(away[:, :1], away[:, 1:2]), 1e-9)
        return cls(xyxy, deviations, low, low_down, low_aside, middle, top, away, lean, leaning,
                   np.abs(right[:, 0] - left[:, 0]) / 2)


def _rays(camera: CameraModel, *points: tuple[np.ndarray, np.ndarray]) -> list[np.ndarray]:
    """Return the rays (n, 3) of each of some points with x (n,) and y (n,)."""
    found = camera.rays(np.concatenate([np.stack(point, axis=1) for point in points]))
    return list(found.reshape(len(points), -1, 3))


def _sideways(xyxy: np.ndarray, edge: float) -> np.ndarray:
    """Return how far objects' middles may lie aside of their boxes': one deviation, (n,) pixels.

    ``edge`` is the deviation of a small box's sides, pixels.
    """
    x1, y1, x2, y2 = xyxy.T
    wide, tall = x2 - x1, y2 - y1
    grown = (wide / np.maximum(tall, edge) - _UNEVEN_FROM) / (_UNEVEN_TO - _UNEVEN_FROM)
    # A box that touches another one is hidden where the other one's lower edge is nearer.
    touch = (np.minimum(x2, x2[:, None]) + edge > np.maximum(x1, x1[:, None]))
    beside = np.minimum(y2, y2[:, None]) - np.maximum(y1, y1[:, None]) > _BESIDE * tall[:, None]
    hidden = (touch & beside & (y2 > y2[:, None])).any(1)
    return np.sqrt((SIDE * wide + edge) ** 2 + (_UNEVEN * tall * np.clip(grown, 0, 1)) ** 2
                   + (_HIDDEN * wide * hidden) ** 2)
