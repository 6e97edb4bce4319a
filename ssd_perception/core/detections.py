"""Detections: the one value that leaves the detector, whoever asked for it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, eq=False)
class Detections:
    """Objects found in one image.

    Attributes:
        xyxy: float32 (n, 4), box edges ``x_min, y_min, x_max, y_max`` in pixels of the SOURCE
            image: continuous, origin at its top-left corner, clipped to the image.
        scores: float32 (n,), in [0, 1], descending.
        labels: int64 (n,), 0-based index into the detector's ``class_names``.
        ids: int64 (n,), the same for the same object in all frames of one camera; None where
            no tracker ran.

    Raises:
        ValueError: if shapes disagree, a box has x_min > x_max, or scores are not descending.

    An empty set of detections is a normal value. The idea of one frozen type used
    everywhere is roboflow/supervision's.
    """

    xyxy: np.ndarray
    scores: np.ndarray
    labels: np.ndarray
    ids: np.ndarray | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, 'xyxy', np.array(self.xyxy, dtype=np.float32).reshape(-1, 4))
        object.__setattr__(self, 'scores', np.array(self.scores, dtype=np.float32).reshape(-1))
        object.__setattr__(self, 'labels', np.array(self.labels, dtype=np.int64).reshape(-1))
        if self.ids is not None:
            object.__setattr__(self, 'ids', np.array(self.ids, dtype=np.int64).reshape(-1))
        n = len(self.xyxy)
        if len(self.scores) != n or len(self.labels) != n:
            raise ValueError(
                f'Detections need as many scores and labels as boxes, got {n} boxes, '
                f'{len(self.scores)} scores and {len(self.labels)} labels.')
        if self.ids is not None and len(self.ids) != n:
            raise ValueError(f'Detections need one id for each box, got {n} boxes and '
                             f'{len(self.ids)} ids.')
        if n and not (self.xyxy[:, 2:] >= self.xyxy[:, :2]).all():
            raise ValueError('Detections need boxes with x_min <= x_max and y_min <= y_max.')
        if n > 1 and (np.diff(self.scores) > 0).any():
            raise ValueError('Detections need scores in descending order.')
        for array in (self.xyxy, self.scores, self.labels, self.ids):
            if array is not None:
                array.setflags(write=False)

    @classmethod
    def empty(cls) -> Detections:
        """Return the value for "looked, and nothing is there"."""
        return cls(np.zeros((0, 4)), np.zeros(0), np.zeros(0))

    def __len__(self) -> int:
        return len(self.scores)

    def __getitem__(self, index: np.ndarray | slice | Sequence[int]) -> Detections:
        """Select by boolean mask, slice or ascending indices; order stays descending."""
        return Detections(self.xyxy[index], self.scores[index], self.labels[index],
                          None if self.ids is None else self.ids[index])

    def scaled(self, factor: float) -> Detections:
        """Return them in the pixels of an image ``factor`` times as wide and as high."""
        return self if factor == 1 else Detections(self.xyxy * np.float32(factor), self.scores,
                                                   self.labels, self.ids)


@dataclass(frozen=True)
class GroundTruth:
    """The objects of one image.

    Attributes:
        xyxy: (n, 4) edges in the image's pixels.
        labels: int (n,).
        difficult: bool (n,), not counted as objects, nor as false positives when found;
            None means none is.
    """

    xyxy: np.ndarray
    labels: np.ndarray
    difficult: np.ndarray | None = None

    def __getitem__(self, index: Sequence[int]) -> GroundTruth:
        """Select objects by their indices."""
        return GroundTruth(self.boxes()[index], np.asarray(self.labels)[index],
                           self.flags()[index])

    def of_class(self, label: int) -> tuple[np.ndarray, np.ndarray]:
        """Return the (m, 4) boxes of one class and their bool (m,) difficult flags."""
        mine = np.asarray(self.labels) == label
        return self.boxes()[mine], self.flags()[mine]

    def scaled(self, factor: float) -> GroundTruth:
        """Return them in the pixels of an image ``factor`` times as wide and as high."""
        return GroundTruth(self.boxes() * factor, self.labels, self.difficult)

    def boxes(self) -> np.ndarray:
        """Return the float64 (n, 4) boxes of all classes."""
        return np.asarray(self.xyxy, np.float64).reshape(-1, 4)

    def flags(self) -> np.ndarray:
        """Return the bool (n,) difficult flags of all classes."""
        return np.zeros(len(self.labels), bool) if self.difficult is None \
            else np.asarray(self.difficult, bool)
