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
    warmup: int = 100
    plateau: float = 0.3
    floor: float = 0.01
    warmup_start: float = 0.01

    def __post_init__(self):
        if self.iterations < 1 or self.warmup < 0 or not 0 <= self.plateau <= 1 \
                or not 0 <= self.floor <= 1 or not 0 <= self.warmup_start <= 1:
            raise ValueError('A schedule needs iterations >= 1, warmup >= 0, and plateau, floor '
                             f'and warmup_start within 0 and 1, got {self}.')

    def __call__(self, iteration: int) -> float:
        """Return the factor for ``iteration``, 0-based."""
        if iteration < self.warmup:
            return self.warmup_start + (1 - self.warmup_start) * iteration / self.warmup
        decay_start = max(self.warmup, self.plateau * self.iterations)
        last = self.iterations - 1
        if iteration <= decay_start or last <= decay_start:
            return 1.0
        progress = min(1.0, (iteration - decay_start) / (last - decay_start))
        return self.floor + (1 - self.floor) * (1 + math.cos(math.pi * progress)) / 2
