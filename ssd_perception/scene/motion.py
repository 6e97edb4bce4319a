"""How boxes move in the image: a Kalman filter each, and the shift that the camera gives all."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np

from ssd_perception.core.boxes import cxcywh_to_xyxy

# In sizes of the object (square root of its area): standard deviation of a box's centre and
# size, of the velocity that a new object may have, per second, and of the acceleration's
# integral over a second.
_MEASURED = np.array([0.05, 0.05, 0.06, 0.06])
_FIRST_VELOCITY = np.array([4.0, 4.0, 1.2, 1.2])
_ACCELERATION = np.array([2.0, 2.0, 1.0, 1.0])
# What is left of the velocity of centre and size after each frame without a box.
_SLOWED = np.array([0.8, 0.8, 0.5, 0.5])
_MIN_SIZE_PX = 2.0

# A shift pulls an object onto a box of nearly its own width and height: at most this factor.
_LIKE_SIZE = 1.4
# Within this share of the object's size a pair agrees with a shift.
_AGREES = 0.8
# A shift must explain this much more than standing still, in objects.
_SHIFT_GAIN = 0.2
# and this much more for each median object size that it is long.
_PER_SIZE = 0.05
_MAX_REFERENCES = 8
# A shift of zero is kept if it explains at least this share of what any shift could explain.
_GOOD_ENOUGH = 0.8
# More objects than this say nothing more about the shift, and cost.
_MAX_OBJECTS = 24


@dataclass
class Motion:
    """Boxes with velocities, each coordinate with a constant-velocity Kalman filter.

    Attributes:
        boxes: float64 (n, 4), centre x, centre y, width, height, pixels.
        velocities: float64 (n, 4), pixels per second.
        covariances: float64 (n, 4, 3): of value, of value with velocity, of velocity.
    """

    boxes: np.ndarray
    velocities: np.ndarray
    covariances: np.ndarray

    @classmethod
    def begin(cls, boxes: np.ndarray) -> Motion:
        """Return the motion of objects seen for the first time; ``boxes`` as in ``boxes``."""
        size = _sizes(boxes)
        covariances = np.stack([(_MEASURED * size) ** 2, np.zeros_like(boxes),
                                (_FIRST_VELOCITY * size) ** 2], axis=-1)
        return cls(boxes.copy(), np.zeros_like(boxes), covariances)

    def __getitem__(self, rows: np.ndarray) -> Motion:
        return Motion(*(getattr(self, field.name)[rows] for field in fields(self)))

    def joined(self, other: Motion) -> Motion:
        """Return the rows of both."""
        return Motion(*(np.concatenate([getattr(self, field.name), getattr(other, field.name)])
                        for field in fields(self)))

    def predict(self, seconds: float) -> None:
        """Move all boxes on by their velocities."""
        noise = (_ACCELERATION * _sizes(self.boxes)) ** 2 * seconds
        self.boxes = self.boxes + self.velocities * seconds
        np.maximum(self.boxes[:, 2:], _MIN_SIZE_PX, out=self.boxes[:, 2:])
        value, both, velocity = np.moveaxis(self.covariances, -1, 0)
        self.covariances = np.stack([
            value + 2 * seconds * both + seconds ** 2 * velocity + noise * seconds ** 2 / 3,
            both + seconds * velocity + noise * seconds / 2, velocity + noise], axis=-1)

    def slow_down(self, rows: np.ndarray) -> None:
        """Reduce the velocities of the objects in ``rows``, bool (n,): they were not seen."""
        self.velocities[rows] *= _SLOWED

    def move(self, shift: np.ndarray) -> None:
        """Move all centres by ``shift`` (2,), pixels; the camera turned, the objects did not."""
        self.boxes[:, :2] += shift

    def correct(self, rows: np.ndarray, measured: np.ndarray) -> None:
        """Take the boxes ``measured`` (m, 4) for the objects in ``rows``."""
        value, both, velocity = np.moveaxis(self.covariances[rows], -1, 0)
        total = value + (_MEASURED * _sizes(measured)) ** 2
        gain, velocity_gain = value / total, both / total
        difference = measured - self.boxes[rows]
        self.boxes[rows] += gain * difference
        self.velocities[rows] += velocity_gain * difference
        self.covariances[rows] = np.stack([
            (1 - gain) * value, (1 - gain) * both, velocity - velocity_gain * both], axis=-1)


def widened(boxes: np.ndarray, share: float) -> np.ndarray:
    """Return the edges (n, 4) of boxes (n, 4) given by centre and size, each side moved out.

    ``share`` is that of the box's width and height by which each side moves.
    """
    factor = np.array([1, 1, 1 + 2 * share, 1 + 2 * share])
    return cxcywh_to_xyxy(boxes * factor)


def common_shift(boxes: np.ndarray, labels: np.ndarray, known: np.ndarray, found: np.ndarray,
                 found_labels: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """Return the shift (2,), pixels, that brings most predicted boxes onto found ones.

    Candidates are the displacements of the largest known objects to every box of their class
    and about their size. Zero where none explains clearly more than standing still.

    Args:
        boxes: (n, 4) predicted, centre and size.
        labels: (n,).
        known: bool (n,); only these take part.
        found: (m, 4) detected, centre and size.
        found_labels: (m,).
        scores: (m,), their weight.
    """
    still = np.zeros(2)
    boxes, labels = boxes[known][:_MAX_OBJECTS], labels[known][:_MAX_OBJECTS]
    found, found_labels, scores = (array[:_MAX_OBJECTS] for array in (found, found_labels, scores))
    if not len(boxes) or not len(found):
        return still
    log_size = np.log(np.maximum(found[:, 2:], _MIN_SIZE_PX))
    log_ratio = np.abs(log_size[None] - np.log(boxes[:, None, 2:])).max(-1)
    # Pairs of an object and a found box of its class and about its size, ordered by object.
    one, other = np.nonzero((labels[:, None] == found_labels) & (log_ratio < np.log(_LIKE_SIZE)))
    if not len(one):
        return still
    first = np.concatenate([[0], 1 + np.flatnonzero(one[1:] != one[:-1])])
    weight, away = np.minimum(scores[other], 0.6), found[other, :2] - boxes[one, :2]
    pairs = _Pairs(away, _AGREES * _sizes(boxes)[one, 0], weight, first)
    now = pairs.agreement(still[None])[0]
    if now >= _GOOD_ENOUGH * np.maximum.reduceat(weight, first).sum():
        return still
    large = np.zeros(len(boxes), bool)
    large[np.argsort(-boxes[:, 3])[:_MAX_REFERENCES]] = True
    candidates = away[large[one]]  # (k, 2)
    if not len(candidates):  # only smaller objects have a box of their class and size
        return still
    # Of two shifts that explain as much the smaller one is likelier.
    length = np.abs(candidates).sum(1) / np.sort(_sizes(boxes)[:, 0])[len(boxes) // 2]
    agreement = pairs.agreement(candidates) - _PER_SIZE * length
    best = int(np.argmax(agreement))
    return candidates[best] if agreement[best] > now + _SHIFT_GAIN else still


@dataclass(frozen=True, eq=False)
class _Pairs:
    """Objects with the boxes that each may be.

    Attributes:
        away: (p, 2), from the object to the box, pixels.
        scale: (p,), the distance from which on a pair does not agree, pixels.
        weight: (p,).
        first: (n,), where each object's pairs begin.
    """

    away: np.ndarray
    scale: np.ndarray
    weight: np.ndarray
    first: np.ndarray

    def agreement(self, shifts: np.ndarray) -> np.ndarray:
        """Return how many objects each shift (k, 2) brings onto a box, weighted: (k,)."""
        x, y = np.abs(self.away.T[:, None] - shifts.T[..., None])  # (k, p) each
        agreed = np.maximum(1 - (x + y) / self.scale, 0) * self.weight
        return np.maximum.reduceat(agreed, self.first, axis=1).sum(-1)


def _sizes(boxes: np.ndarray) -> np.ndarray:
    """Return the square root of each box's area, (n, 1), pixels."""
    return np.sqrt(np.maximum(boxes[:, 2:].prod(-1, keepdims=True), _MIN_SIZE_PX ** 2))
