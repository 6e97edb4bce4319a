"""The three-phase learning rate: linear warm-up, plateau, cosine to a floor."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class ThreePhase:
    """Factor on the base learning rate at every iteration.

    Attributes:
        iterations: of the whole run.
        warmup: iterations of the linear rise from ``warmup_start`` to 1.
        plateau: share of the run, in [0, 1], after which the cosine begins.
        floor: factor at the last iteration.
    """

    iterations: int
    warmup: int
    plateau: float
    floor: float
    warmup_start: float = 0.01

    def __post_init__(self):
        if self.iterations < 1 or self.warmup < 0 or not 0 <= self.plateau <= 1 \
                or not 0 <= self.floor <= 1 or not 0 <= self.warmup_start <= 1:
            raise ValueError('A schedule needs iterations >= 1, warmup >= 0, and plateau, floor '
                             f'and warmup_start within 0 and 1, got {self}.')

    @property
    def decay_start(self) -> float:
        """Iteration at which the plateau ends and the cosine begins."""
        return max(self.warmup, self.plateau * self.iterations)

    def __call__(self, iteration: int) -> float:
        """Return the factor for ``iteration``, 0-based."""
        if iteration < self.warmup:
            return self.warmup_start + (1 - self.warmup_start) * iteration / self.warmup
        start, last = self.decay_start, self.iterations - 1
        if iteration <= start or last <= start:
            return 1.0
        progress = min(1.0, (iteration - start) / (last - start))
        return self.floor + (1 - self.floor) * (1 + math.cos(math.pi * progress)) / 2
