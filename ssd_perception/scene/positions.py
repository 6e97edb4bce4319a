"""Where detected objects are, in metres: from a depth image, the ground plane or a known height.

A position is that of the object's middle. What a camera sees of it is its near side; an object
is taken to be as deep as it is wide. Errors of the box, of the mounting and of that assumption
go into the covariance.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from ssd_perception.core.detections import Detections
from ssd_perception.core.errors import SettingError
from ssd_perception.scene.box_rays import MAX_LEAN, BoxRays
from ssd_perception.scene.camera_model import CameraModel
from ssd_perception.scene.depth import depth_in_box

METHODS = ('depth', 'ground', 'height')
CUT = 'The box is cut by the edge of the image.'
HORIZON = 'The lower edge of the box lies above the horizon.'
FAR = 'The lower edge of the box lies too close to the horizon for a range.'
BELOW = 'The object lies below the camera, where the edges of its box give no place.'
LEANS = ('The object leans in the image: the camera is on its side, or looks down steeply, so the '
         'lower edge of the box is not the foot of the object.')
LENS = 'The lens model does not hold where the box lies.'
SIZE = 'The size of the box does not fit the heights of its class at that range.'
NUMBERS = 'Calibration, transform or depth hold numbers that give no finite position.'
NOTHING = 'Neither depth, ground plane nor a known height gives a position.'

# Deviation of the height of an object's middle: which of its upper edge's points the box shows, as
# a share of half its width times the slope and the lean at which it is seen.
_UPPER = 0.4
# Seen from above, the upper edge of a cylinder is that of its far side, that of a cone is its tip;
# of what leans it is a corner or a tip beside the middle.
_FAR_SIDE, _LEANING = 0.5, 0.3
# Of the mounting's angles, radians: from a transform at the image's stamp, and of a fixed one
# although the robot pitches on its wheels.
TILT, TILT_OF_FIXED = 0.0035, 0.007
# Deviation of an object's middle ahead, as a share of half its width: not every object is as deep
# as it is wide.
_DEEP = 0.4
# Distance of an object's middle behind the surface in a depth image, as a share of half its width.
_BEHIND, _BEHIND_DEVIATION = 0.5, 0.25
# Of a depth camera: a share of the range, and metres.
_DEPTH, _DEPTH_M = 0.01, 0.01
# Of the spread of the depths inside a box: their median is far more certain than each of them.
_OF_SPREAD = 0.5
# A ground position whose range is less certain than this share of it is none.
_MAX_DEVIATION = 0.3
# Seen steeper than this, as its tangent, the upper edge of a box is not at the object's middle.
_STEEPEST = 3 ** 0.5
_EDGE_PX = 1.5


@dataclass(frozen=True)
class PositionSettings:
    """How positions are found.

    Attributes:
        methods: of METHODS, the preferred one first.
        class_heights: class name -> least and greatest height of such an object, metres.
        size_tolerance: factor by which a box on the ground may be taller or shorter than its
            class before it is taken for something else; 0 switches that check off.
        floor_z: height of the floor in the frame of the positions, metres.

    Raises:
        SettingError: for a value out of range.
    """

    methods: tuple[str, ...] = METHODS
    class_heights: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    size_tolerance: float = 1.3
    floor_z: float = 0.0

    def __post_init__(self) -> None:
        if not self.methods or not set(self.methods) <= set(METHODS):
            raise SettingError(f'Position methods must be some of {", ".join(METHODS)}, got '
                               f'{", ".join(self.methods) or "none"}.')
        for name, (low, high) in self.class_heights.items():
            if not 0 < low <= high < 100:
                raise SettingError(f'The heights of class "{name}" must be metres, the smaller '
                                   f'first, got {low:g} to {high:g}.')
        if self.size_tolerance != 0 and self.size_tolerance < 1:
            raise SettingError('The size tolerance must be 0 or at least 1, got '
                               f'{self.size_tolerance:g}.')

    def fits(self, height: float, heights: tuple[float, float] | None) -> bool:
        """Return whether an object of that height, metres, may be of a class with ``heights``."""
        return heights is None or not self.size_tolerance or (
            heights[0] / self.size_tolerance < height < heights[1] * self.size_tolerance)


@dataclass(frozen=True, eq=False)
class View:
    """What one image needs for positions.

    Attributes:
        camera: its model, for images of just that size.
        mounting: float64 (4, 4), from optical axes to the frame of the positions, at the
            image's stamp. Ground plane and known heights need that z of that frame points up and
            the floor is level in it.
        depth: float32 (H, W), metres, registered to the image and of its size, NaN where
            nothing is measured; None where there is no depth camera.
        tilt: standard deviation of the mounting's angles, radians.
    """

    camera: CameraModel
    mounting: np.ndarray
    depth: np.ndarray | None = None
    tilt: float = TILT


@dataclass(frozen=True, eq=False)
class Position:
    """Where one object is, or why that is not known.

    Attributes:
        xyz: float64 (3,), its middle, metres; None where not known.
        covariance: float64 (3, 3), square metres.
        size: width across the line of sight and height, metres.
        method: of METHODS; empty where not known.
        reason: one sentence where not known, else empty.
    """

    xyz: np.ndarray | None
    covariance: np.ndarray
    size: tuple[float, float]
    method: str
    reason: str = ''

    @classmethod
    def unknown(cls, reason: str) -> Position:
        """Return the value for "not known", with the reason."""
        return cls(None, np.zeros((3, 3)), (0.0, 0.0), '', reason)

    def is_finite(self) -> bool:
        """Say whether a place is one: calibration, transforms and depth come from others."""
        return self.xyz is None or bool(
            np.isfinite([*self.xyz, *self.covariance.flat, *self.size]).all())


def locate(detections: Detections, view: View, settings: PositionSettings,
           class_names: Sequence[str]) -> list[Position]:
    """Return a Position for each detection.

    Args:
        detections: in pixels of the image that ``view.camera`` is for.
        view: of that image.
        settings: which methods, and the heights of classes.
        class_names: names that labels index into.
    """
    with np.errstate(over='ignore', invalid='ignore'):  # of such numbers
        return _located(detections, view, settings, class_names)


def _located(detections: Detections, view: View, settings: PositionSettings,
             class_names: Sequence[str]) -> list[Position]:
    if not len(detections):
        return []
    boxes = BoxRays.seen(detections.xyxy.astype(np.float64), view.camera, view.mounting)
    cut = _cut(boxes.xyxy, view.camera)
    lens = ~np.isfinite(boxes.low_aside + boxes.low_down + boxes.top + boxes.middle).all(1)
    found = []
    for i, label in enumerate(detections.labels):
        if cut[i] or lens[i]:
            found.append(Position.unknown(CUT if cut[i] else LENS))
        else:
            found.append(_locate_one(boxes, i, view, settings,
                                     settings.class_heights.get(class_names[label])))
    return found


def _locate_one(boxes: BoxRays, i: int, view: View, settings: PositionSettings,
                heights: tuple[float, float] | None) -> Position:
    for method in settings.methods:
        if method == 'depth' and view.depth is not None:
            position = _by_depth(boxes, i, view, settings, heights)
        elif method == 'ground':
            position = _by_ground(boxes, i, view, settings, heights)
        elif method == 'height' and heights:
            position = _by_height(boxes, i, view, heights)
        else:
            continue
        if position is not None:  # found, or unknown for a reason that no other method mends
            return position if position.is_finite() else Position.unknown(NUMBERS)
    return Position.unknown(NOTHING)


def _by_depth(boxes: BoxRays, i: int, view: View, settings: PositionSettings,
              heights: tuple[float, float] | None) -> Position | None:
    assert view.depth is not None
    measured = depth_in_box(view.depth, boxes.xyxy[i])
    if measured is None:
        return None
    depth, spread = measured
    half = boxes.half_width[i] * depth
    ray = boxes.middle[i]
    unit = ray / np.linalg.norm(ray)
    xyz = ray * depth + unit * half * _BEHIND
    if boxes.lean[i] < MAX_LEAN:
        xyz[:2] = boxes.away[i, :2] * np.hypot(xyz[0], xyz[1])
    xyz += view.mounting[:3, 3]
    along = np.linalg.norm((_DEPTH * depth, _DEPTH_M, half * _BEHIND_DEVIATION,
                            _OF_SPREAD * spread))
    pixel = depth / view.camera.focal_px
    across = _across(boxes, i, depth, view)
    # Seen straight from above it is within the object all the same: the depth says where that is.
    upward = min(_upward(boxes, i, ray, half, depth, view), float(half))
    aside = _level_normal(unit)
    ahead = np.array([aside[1], -aside[0], 0.0]) * unit[2]  # level part of the image's vertical
    covariance = (np.outer(unit, unit) * along ** 2 + np.outer(aside, aside) * across ** 2
                  + np.outer(ahead, ahead) * across ** 2 + np.diag([0, 0, upward ** 2]))
    height = (boxes.xyxy[i, 3] - boxes.xyxy[i, 1]) * pixel
    if not settings.fits(height, heights):
        return Position.unknown(SIZE)
    return Position(xyz, covariance, (2 * half, height), 'depth')


def _by_ground(boxes: BoxRays, i: int, view: View, settings: PositionSettings,
               heights: tuple[float, float] | None) -> Position | None:
    origin = view.mounting[:3, 3]
    above = origin[2] - settings.floor_z
    low = boxes.low[i]
    tilted = low + view.tilt * np.linalg.norm(low) * np.array([0, 0, 1])
    if above <= 0 or low[2] >= 0:
        return Position.unknown(HORIZON)
    if max(boxes.low_down[i, 2], tilted[2]) >= 0:
        return Position.unknown(FAR)
    points = [ray * (above / -ray[2]) for ray in (low, boxes.low_down[i], boxes.low_aside[i],
                                                  tilted)]
    level = np.hypot(points[0][0], points[0][1])
    half = boxes.half_width[i] * np.linalg.norm(points[0]) / np.linalg.norm(low)
    away = boxes.away[i]
    across = _level_normal(away) * level * view.tilt
    errors = [*(point - points[0] for point in points[1:]), away * half * _DEEP, across]
    if np.hypot(np.linalg.norm(errors[0]), np.linalg.norm(errors[2])) > _MAX_DEVIATION * level:
        return Position.unknown(FAR)
    top = boxes.top[i]
    height = above + (level + half) * top[2] / np.hypot(top[0], top[1])
    if height <= 0 or away @ low <= 0:
        return Position.unknown(BELOW)
    if boxes.lean[i] > MAX_LEAN:
        return Position.unknown(LEANS)
    if not settings.fits(height, heights):
        return Position.unknown(SIZE)
    xyz = origin + away * (level + half)
    xyz[2] = settings.floor_z + height / 2
    covariance = np.array(errors).T @ np.array(errors)
    upward = _upward(boxes, i, top, half, level, view)
    covariance[2, 2] += upward ** 2
    return Position(xyz, covariance, (2 * half, height), 'ground')


def _by_height(boxes: BoxRays, i: int, view: View,
               heights: tuple[float, float]) -> Position | None:
    rise = []
    for ray in (boxes.top[i], boxes.low[i]):
        across = np.hypot(ray[0], ray[1])
        if across < 1e-3:
            return None
        rise.append(ray[2] / across)
    if rise[1] < -_STEEPEST or rise[0] - rise[1] < 1e-3:
        return None
    if boxes.lean[i] > MAX_LEAN:
        return Position.unknown(LEANS)
    height = sum(heights) / 2
    low = boxes.low[i]
    per_range = boxes.half_width[i] / np.hypot(low[0], low[1])  # half width over level range
    # the upper edge is at the object's middle, the lower edge at its near side
    level = height / (rise[0] - rise[1] * (1 - per_range))
    if level <= 0:
        return None
    half = per_range * level
    corner = half * (_FAR_SIDE * abs(rise[0]) + _LEANING * boxes.leaning[i])
    share = np.linalg.norm([boxes.deviations[i, 2] / (boxes.xyxy[i, 3] - boxes.xyxy[i, 1]),
                            (heights[1] - heights[0]) / 12 ** 0.5 / height, corner / height])
    away = boxes.away[i]
    origin = view.mounting[:3, 3]
    xyz = origin + away * level
    xyz[2] = origin[2] + level * rise[0] - height / 2
    aside, across = _level_normal(away), _across(boxes, i, level, view)
    upward = np.linalg.norm((_upward(boxes, i, boxes.top[i], 2 * half, level, view),
                             level * share * rise[0], (heights[1] - heights[0]) / 48 ** 0.5))
    covariance = (np.outer(away, away) * (level * share) ** 2
                  + np.outer(aside, aside) * across ** 2
                  + np.diag([0, 0, upward ** 2]))
    return Position(xyz, covariance, (2 * half, height), 'height')


def _upward(boxes: BoxRays, i: int, ray: np.ndarray, half: float, away: float,
            view: View) -> float:
    """Return the standard deviation of the height of an object's middle, metres.

    Args:
        ray: (3,), towards its upper edge or its middle.
        half: half of its width, metres.
        away: its range.
    """
    pixels = boxes.deviations[i, 2] / 2 * away / view.camera.focal_px
    slope = abs(ray[2]) / max(np.hypot(ray[0], ray[1]), 1e-3)
    return float(np.hypot(pixels, _UPPER * half * (slope + boxes.leaning[i]))) + 0.001


def _across(boxes: BoxRays, i: int, away: float, view: View) -> float:
    """Return the standard deviation across the line of sight at a range, metres."""
    return float(away * np.hypot(boxes.deviations[i, 1] / view.camera.focal_px, view.tilt))


def _level_normal(direction: np.ndarray) -> np.ndarray:
    """Return the level unit vector at right angles to a direction, (3,)."""
    aside = np.array([-direction[1], direction[0], 0.0])
    length = np.linalg.norm(aside)
    return aside / length if length > 1e-9 else np.array([0.0, 1.0, 0.0])


def _cut(xyxy: np.ndarray, camera: CameraModel) -> np.ndarray:
    """Return which boxes touch an edge of the image: bool (n,)."""
    beyond = np.array([camera.width, camera.height]) - _EDGE_PX
    return np.any((xyxy[:, :2] <= _EDGE_PX) | (xyxy[:, 2:] >= beyond), axis=1)


def plausible(detections: Detections, view: View, settings: PositionSettings,
              class_names: Sequence[str]) -> np.ndarray:
    """Return bool (n,): False for boxes whose size on the floor does not fit their class.

    Also False for boxes above the horizon or too close to it. True for a box whose size is not
    known, because the image's edge cuts it or it lies below the camera, and for classes without
    known heights.
    """
    positions = locate(detections, replace(view, depth=None),
                       settings, class_names)
    known = [class_names[label] in settings.class_heights for label in detections.labels]
    return np.array([position.reason not in (SIZE, HORIZON) or not check
                     for position, check in zip(positions, known)], bool)
