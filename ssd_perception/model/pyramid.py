"""Feature pyramid (Lin et al. 2017), P3 and up, and the kinds of its convolutions."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F

from ssd_perception.model.convolution import Conv2d


class SeparableConv(nn.Sequential):
    """Depthwise 3x3, then pointwise; the norm and activation are the caller's."""

    def __init__(self, inputs: int, outputs: int, stride: int = 1, bias: bool = False):
        super().__init__(
            Conv2d(inputs, inputs, 3, stride, padding=1, groups=inputs, bias=False),
            Conv2d(inputs, outputs, 1, bias=bias))


class FullConv(nn.Sequential):
    """One convolution in the place of a SeparableConv's second, so that names are the same."""

    def __init__(self, inputs: int, outputs: int, stride: int = 1, bias: bool = False,
                 kernel: int = 3):
        super().__init__(nn.Identity(), Conv2d(inputs, outputs, kernel, stride,
                                               padding=kernel // 2, bias=bias))


class Pyramid(nn.Module):
    """Top-down pyramid over C3, C4, C5, and coarser levels by stride-2 convolutions.

    Args:
        in_channels: of C3, C4, C5.
        channels: of every level.
        strides: of the levels, px, finest first.
        full: whether its 3x3 convolutions are full ones instead of separable ones.
    """

    def __init__(self, in_channels: tuple[int, ...], channels: int, strides: tuple[int, ...],
                 full: bool = False):
        super().__init__()
        convolution = FullConv if full else SeparableConv
        self.laterals = nn.ModuleList(Conv2d(c, channels, 1) for c in in_channels)
        self.smooth = nn.ModuleList(
            nn.Sequential(convolution(channels, channels), nn.BatchNorm2d(channels))
            for _ in in_channels)
        self.coarser = nn.ModuleList(
            nn.Sequential(convolution(channels, channels, stride=2), nn.BatchNorm2d(channels))
            for _ in strides[len(in_channels):])

    def forward(self, features: list[torch.Tensor]) -> list[torch.Tensor]:
        """Map [C3, C4, C5] to one (B, channels, H / stride, W / stride) map per level."""
        laterals = [conv(x) for conv, x in zip(self.laterals, features)]
        for i in range(len(laterals) - 1, 0, -1):
            # The input is a multiple of 32, so a level is exactly twice the next.
            laterals[i - 1] = laterals[i - 1] + F.interpolate(laterals[i], scale_factor=2.0)
        levels = [conv(x) for conv, x in zip(self.smooth, laterals)]
        for conv in self.coarser:
            levels.append(conv(F.relu(levels[-1])))
        return levels
