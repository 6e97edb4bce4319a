"""Towers and heads: convolutions shared by all levels, norms per level."""

from __future__ import annotations

import math
from typing import cast

import torch
from torch import nn
from torch.nn import functional as F

from ssd_perception.model.pyramid import FullConv, SeparableConv

PRIOR_PROBABILITY = 0.01  # of an anchor being an object at the start; RetinaNet, section 3.3


class Tower(nn.Module):
    """``depth`` convolutions over every level, each with a norm and a ReLU.

    Convolutions are shared by the levels; batch norms are not, since the statistics of the
    levels differ (NAS-FPN's and EfficientDet's heads do the same).

    Args:
        channels: of every level.
        levels: of the pyramid.
        depth: number of convolutions.
        full: whether they are full ones instead of separable ones.
    """

    def __init__(self, channels: int, levels: int, depth: int, full: bool = False):
        super().__init__()
        convolution = FullConv if full else SeparableConv
        self.convs = nn.ModuleList(convolution(channels, channels) for _ in range(depth))
        self.norms = nn.ModuleList(
            nn.ModuleList(nn.BatchNorm2d(channels) for _ in range(levels)) for _ in range(depth))

    def features(self, x: torch.Tensor, level: int) -> torch.Tensor:
        """Map (B, channels, H, W) of a level to as many."""
        for conv, norms in zip(self.convs, self.norms):
            x = F.relu(cast(nn.ModuleList, norms)[level](conv(x)))
        return x

    def forward(self, levels: list[torch.Tensor]) -> list[torch.Tensor]:
        """Map the features of all levels."""
        return [self.features(x, level) for level, x in enumerate(levels)]


class Head(Tower):
    """A tower and a predicting convolution, over every level.

    Args:
        channels, levels, depth: see ``Tower``.
        anchors_per_cell: see ``AnchorSpec.per_cell``.
        values: numbers for each anchor: classes, or the 4 of a box.
        pointwise: whether the predicting convolution is 1x1 instead of a separable 3x3.
    """

    def __init__(self, channels: int, anchors_per_cell: int, values: int, levels: int,
                 depth: int, pointwise: bool = False):
        super().__init__(channels, levels, depth)
        self.values = values
        outputs = anchors_per_cell * values
        self.predict = FullConv(channels, outputs, bias=True, kernel=1) if pointwise else \
            SeparableConv(channels, outputs, bias=True)
        initialise_convolutions(self.predict[1])

    def set_prior(self) -> None:
        """Let every anchor start with a low score, or focal loss drowns in background."""
        bias = self.predict[1].get_parameter('bias')
        nn.init.constant_(bias, -math.log((1 - PRIOR_PROBABILITY) / PRIOR_PROBABILITY))

    def forward(self, levels: list[torch.Tensor]) -> torch.Tensor:  # type: ignore[override]
        """Map level features to (B, A, values), in the order of ``core.anchors``."""
        outputs = []
        for index, x in enumerate(levels):
            x = self.predict(self.features(x, index))  # (B, per_cell * values, H, W)
            outputs.append(x.permute(0, 2, 3, 1).reshape(x.shape[0], -1, self.values))
        return torch.cat(outputs, 1)


def initialise_convolutions(module: nn.Module) -> None:
    """Give every convolution in ``module`` a normal(0, 0.01) kernel and a zero bias.

    For predicting layers, as in RetinaNet, section 4.1.
    """
    for layer in module.modules():
        if isinstance(layer, nn.Conv2d):
            nn.init.normal_(layer.weight, std=0.01)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
