"""One picture of a selection with the boxes to begin from."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Picture:
    """What every layout is written from.

    Attributes:
        stem, suffix: the file's name and ending, such as ``.jpg``.
        width, height: pixels.
        xyxy: float (n, 4) continuous edges from 0.
        names: n classes.
        scores: n scores; 1 for what a person said.
    """

    stem: str
    suffix: str
    width: int
    height: int
    xyxy: np.ndarray
    names: tuple[str, ...]
    scores: tuple[float, ...]

    @property
    def file(self) -> str:
        """The file's whole name."""
        return self.stem + self.suffix
