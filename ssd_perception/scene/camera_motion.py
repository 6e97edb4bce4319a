"""How far a turn of the camera moved its image, from the optical flow of a shrunk copy."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

# The flow is computed with a longer side of this, pixels: a turn then still moves few of them.
_LENGTH = 160
_FEATURES, _QUALITY, _APART_PX = 40, 0.01, 6
_WINDOW, _LEVELS = (7, 7), 3
_MIN_FEATURES = 8
# Half of the features must lie within this of their median, pixels and a share of its length:
# what is near moves more than what is far, but a flow that was not found is scattered.
_SPREAD_PX, _SPREAD = 3.0, 0.3
# The focal length as a share of the image's width: 67 degrees across. It decides only how much
# more a turn moves the sides of the image than its middle.
_FOCAL = 0.75
# A turn is followed no further than this many focal lengths aside.
_ASIDE = 1.5


@dataclass(frozen=True, eq=False)
class Turn:
    """What a turn of the camera does to its image.

    Attributes:
        shift: float64 (2,), by how much the middle of the image moved, pixels, x and y.
        size: width and height of the image, pixels.
    """

    shift: np.ndarray
    size: tuple[float, float]

    def move(self, points: np.ndarray) -> np.ndarray:
        """Return where the points (n, 2), pixels, are after the turn; they may lie outside."""
        focal, middle = _FOCAL * self.size[0], np.array(self.size) / 2
        at = (points - middle) / focal
        turned = self.shift / focal
        half = at + _field(at, turned / 2)
        return (at + _field(half, turned)) * focal + middle


class CameraMotion:
    """Remembers one camera's last image, to compare the next one with it.

    The flow is that of Lucas and Kanade (1981) in a pyramid. Features on moving objects are few
    beside those of the surroundings, so the median is the camera's part.
    """

    def __init__(self) -> None:
        self._before: np.ndarray | None = None

    def forget(self) -> None:
        """The next image follows none."""
        self._before = None

    def turn(self, image: np.ndarray | None, scale: float = 1.0) -> Turn | None:
        """Return how the camera turned since the last call.

        Args:
            image: uint8 (H, W, 3) RGB; None where it is not at hand.
            scale: factor from its pixels to those that the result is in.

        Returns:
            None for the first image, after a change of the size, and where too few features
            were found again or they disagree.
        """
        small = None if image is None else _shrunk(image)
        before, self._before = self._before, small
        if image is None or small is None or before is None or before.shape != small.shape:
            return None
        points = cv2.goodFeaturesToTrack(before, _FEATURES, _QUALITY, _APART_PX)
        if np.ndim(points) != 3:  # None where there is none, which OpenCV's types leave out
            return None
        moved, found, _ = cv2.calcOpticalFlowPyrLK(before, small, points, points.copy(),
                                                   winSize=_WINDOW, maxLevel=_LEVELS)
        kept = found[:, 0] > 0
        start, flow = points[kept].reshape(-1, 2), (moved - points)[kept].reshape(-1, 2)
        if len(flow) < _MIN_FEATURES:
            return None
        median = _median(flow)
        if (_median(np.abs(flow - median).sum(1))
                > _SPREAD_PX + _SPREAD * np.abs(median).sum()):
            return None
        height, width = image.shape[:2]
        factor = max(height, width) / _LENGTH * scale
        shift = _shift(start + flow / 2, flow, small.shape) * factor
        return Turn(shift, (width * scale, height * scale))


def _field(at: np.ndarray, turned: np.ndarray) -> np.ndarray:
    """Return the image motion of a small turn (Longuet-Higgins and Prazdny 1980).

    Args:
        at: (n, 2), from the middle of the image in focal lengths.
        turned: (2,), the motion in the middle.
    """
    x, y = np.clip(at, -_ASIDE, _ASIDE).T
    return np.stack([turned[0] * (1 + x * x) + turned[1] * x * y,
                     turned[1] * (1 + y * y) + turned[0] * x * y], axis=1)


def _shift(points: np.ndarray, flow: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Return the motion (2,) in the middle of the image that explains the flow there: (n, 2)."""
    height, width = shape
    x, y = ((points - np.array([width, height]) / 2) / (_FOCAL * width)).T
    aside = _median(flow[:, 0] / (1 + x * x))
    return np.array([aside, _median((flow[:, 1] - aside * x * y) / (1 + y * y))], np.float64)


def _median(values: np.ndarray) -> np.ndarray:
    """Return what np.median does along the first axis; for so few numbers it costs far more."""
    ordered = np.sort(values, axis=0)
    return (ordered[(len(values) - 1) // 2] + ordered[len(values) // 2]) / 2


def _shrunk(image: np.ndarray) -> np.ndarray:
    """Return a grey copy whose longer side is _LENGTH, however narrow the image is.

    It is the green channel: a conversion to grey would cost more than the rest of the copy.
    """
    height, width = image.shape[:2]
    longer = max(height, width)
    step = max(1, longer // (2 * _LENGTH))  # a large image need not be read as a whole
    size = max(1, round(width * _LENGTH / longer)), max(1, round(height * _LENGTH / longer))
    green = np.ascontiguousarray(image[::step, ::step, 1])
    return cv2.resize(green, size, interpolation=cv2.INTER_AREA)
