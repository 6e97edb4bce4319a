"""SGD over groups of parameters: backbone or not, decayed or not."""

from __future__ import annotations

import torch
from torch import nn

from ssd_perception.model.ssd import SSD
from ssd_perception.training.recipe import Recipe


def make_optimizer(model: SSD, recipe: Recipe) -> torch.optim.SGD:
    """Return SGD with momentum over what of ``model`` is trained."""
    return torch.optim.SGD(parameter_groups(model, recipe), lr=recipe.learning_rate,
                           momentum=recipe.momentum, nesterov=recipe.nesterov)


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
