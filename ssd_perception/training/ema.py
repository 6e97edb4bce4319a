"""Exponential moving average of the weights, with a warm-up of its memory."""

from __future__ import annotations

import copy
import math
from typing import Generic, TypeVar

import torch
from torch import nn

Model = TypeVar('Model', bound=nn.Module)


class ModelEma(Generic[Model]):
    """Keeps a smoothed copy of a model, norms' running statistics included.

    Args:
        decay: memory at the end; 0.999 remembers about 1000 iterations.
        ramp: iterations over which the memory grows, so that random first weights are
            forgotten (YOLOv5's and timm's rule).
    """

    def __init__(self, model: Model, decay: float, ramp: float):
        self.model = copy.deepcopy(model).eval().requires_grad_(False)
        self._decay, self._ramp = decay, ramp
        self.updates = 0

    @torch.no_grad()
    def update(self, model: nn.Module) -> None:
        """Move the copy a step towards ``model``."""
        self.updates += 1
        decay = self._decay * (1 - math.exp(-self.updates / self._ramp))
        for mine, theirs in zip(self.model.state_dict().values(), model.state_dict().values()):
            if mine.is_floating_point():
                mine.lerp_(theirs, 1 - decay)
            else:
                mine.copy_(theirs)
