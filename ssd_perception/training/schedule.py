"""How weights change: three-phase learning rate, SGD with its groups, moving average."""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass
from typing import Generic, TypeVar

import torch
from torch import nn

from ssd_perception.model.ssd import SSD
from ssd_perception.training.recipe import Recipe


@dataclass(frozen=True)
class ThreePhase:
    """Factor on the base learning rate: linear warm-up, plateau, cosine to a floor.

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

    def __post_init__(self) -> None:
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


def schedule_of(recipe: Recipe) -> ThreePhase:
    """Return a recipe's schedule; a short run has a warm-up of a fifth of its steps."""
    warmup = min(recipe.warmup, recipe.iterations // 5)
    return ThreePhase(recipe.iterations, warmup, recipe.plateau, recipe.floor)


def make_optimizer(model: SSD, recipe: Recipe) -> torch.optim.SGD:
    """Return SGD with momentum over what of ``model`` is trained."""
    return torch.optim.SGD(parameter_groups(model, recipe), lr=recipe.learning_rate,
                           momentum=recipe.momentum)


def parameter_groups(model: SSD, recipe: Recipe) -> list[dict]:
    """Split the trained parameters: backbone or not, decayed or not.

    Norms and biases are not decayed (Goyal et al. 2017, section 5.3 and mmdetection's
    EfficientNet recipe); each group carries its ``full_rate``.
    """
    groups: dict[tuple[bool, bool], list[nn.Parameter]] = {}
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            key = name.startswith('backbone.'), parameter.ndim > 1
            groups.setdefault(key, []).append(parameter)
    return [{'params': parameters,
             'weight_decay': recipe.weight_decay if decayed else 0.0,
             'full_rate': recipe.learning_rate * (recipe.backbone_rate if backbone else 1.0)}
            for (backbone, decayed), parameters in groups.items()]


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
        mine, theirs = self.model.state_dict().values(), model.state_dict().values()
        smooth = [(m, t) for m, t in zip(mine, theirs) if m.is_floating_point()]
        # One call for hundreds of small tensors: a GPU is started once, not for each.
        torch._foreach_lerp_([m for m, _ in smooth], [t for _, t in smooth], 1 - decay)
        for m, t in zip(mine, theirs):
            if not m.is_floating_point():
                m.copy_(t)
