"""Classification and box heads: convolutions shared by all levels, norms per level."""

from __future__ import annotations

import math
from typing import cast

import torch
from torch import nn
from torch.nn import functional as F

from ssd_perception.model.pyramid import SeparableConv

PRIOR_PROBABILITY = 0.01  # of an anchor being an object at the start; RetinaNet, section 3.3


class Head(nn.Module):
    """``depth`` separable convolutions and a predicting one, over every level.

    Convolutions are shared by the levels; batch norms are not, since the statistics of the
    levels differ (NAS-FPN's and EfficientDet's heads do the same).

    Args:
        channels: of every level.
        anchors_per_cell: see ``AnchorSpec.per_cell``.
        values: numbers for each anchor: classes, or the 4 of a box.
        levels: of the pyramid.
        depth: convolutions before the predicting one.
    """

    def __init__(self, channels: int, anchors_per_cell: int, values: int, levels: int,
                 depth: int):
        super().__init__()
        self.values = values
        self.convs = nn.ModuleList(SeparableConv(channels, channels) for _ in range(depth))
        self.norms = nn.ModuleList(
            nn.ModuleList(nn.BatchNorm2d(channels) for _ in range(levels)) for _ in range(depth))
        self.predict = SeparableConv(channels, anchors_per_cell * values, bias=True)
        initialise_convolutions(self.predict[1])

    def set_prior(self, probability: float = PRIOR_PROBABILITY) -> None:
        """Let every anchor start with this score, or focal loss drowns in background."""
        bias = self.predict[1].get_parameter('bias')
        nn.init.constant_(bias, -math.log((1 - probability) / probability))

    def forward(self, levels: list[torch.Tensor]) -> torch.Tensor:
        """Map level features to (B, A, values), in the order of ``core.anchors``."""
        outputs = []
        for index, x in enumerate(levels):
            for conv, norms in zip(self.convs, self.norms):
                x = F.relu(cast(nn.ModuleList, norms)[index](conv(x)))
            x = self.predict(x)  # (B, per_cell * values, H, W)
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
