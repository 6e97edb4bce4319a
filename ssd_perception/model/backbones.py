"""EfficientNet-B1, -Lite0/1/2 and MobileNetV3 as feature extractors with known output shapes."""

from __future__ import annotations

import math

import torch
from torch import nn
from torchvision.models import efficientnet_b1, mobilenet_v3_large
from torchvision.ops import Conv2dNormActivation, StochasticDepth

from ssd_perception.core.errors import SettingError
from ssd_perception.core.metadata import BACKBONES
from ssd_perception.model.convolution import conv2d

STRIDES = (8, 16, 32)  # of C3, C4 and C5, in every backbone here

# (expansion, kernel, stride, channels, repeats) of EfficientNet-B0, Tan & Le 2019, table 1.
_STAGES = ((1, 3, 1, 16, 1), (6, 3, 2, 24, 2), (6, 5, 2, 40, 2), (6, 3, 2, 80, 3),
           (6, 5, 1, 112, 3), (6, 5, 2, 192, 4), (6, 3, 1, 320, 1))
_LITE_SCALES = {'efficientnet_lite0': (1.0, 1.0), 'efficientnet_lite0_short': (1.0, 1.0),
                'efficientnet_lite1': (1.0, 1.1),
                'efficientnet_lite2': (1.1, 1.2)}  # width, depth
# Blocks of the last stages that a shortened network has; a last stage without any is left out.
_SHORT = {'efficientnet_lite0_short': (2, 2, 0)}


class Backbone(nn.Module):
    """A stem and the stages behind it, three of which give C3, C4 and C5.

    Args:
        outputs: numbers of these three, the stem being 0; those of an EfficientNet by default.

    Attributes:
        stages: ModuleList, the stem first; what ``frozen_stages`` in a recipe counts.
        channels: of C3, C4, C5.
        strides: of C3, C4, C5, px.
    """

    strides = STRIDES

    def __init__(self, stages: list[nn.Module], channels: tuple[int, int, int],
                 outputs: tuple[int, int, int] = (3, 5, 7)):
        super().__init__()
        self.stages = nn.ModuleList(stages)
        self.channels = channels
        self.outputs = outputs

    def forward(self, images: torch.Tensor) -> list[torch.Tensor]:
        """Map (B, 3, H, W) to [C3, C4, C5]."""
        features = []
        for index, stage in enumerate(self.stages):
            images = stage(images)
            if index in self.outputs:
                features.append(images)
        return features


class LiteBlock(nn.Module):
    """Inverted residual of EfficientNet-Lite: no squeeze-and-excite, ReLU6 (MobileNetV2's)."""

    def __init__(self, inputs: int, outputs: int, expansion: int, kernel: int, stride: int,
                 drop_path: float):
        super().__init__()
        hidden = inputs * expansion
        layers = [] if expansion == 1 else [_conv(inputs, hidden, 1)]
        layers += [_conv(hidden, hidden, kernel, stride, groups=hidden),
                   _conv(hidden, outputs, 1, activation=None)]
        self.layers = nn.Sequential(*layers)
        self.residual = stride == 1 and inputs == outputs
        self.drop_path = StochasticDepth(drop_path, 'row')

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.layers(x)
        return x + self.drop_path(y) if self.residual else y


class _ConvNorm(Conv2dNormActivation):
    """Convolution, norm, activation; a frozen norm costs nothing while training.

    With its statistics frozen a norm is linear, so its scale goes into the kernel and its
    shift into the bias. The gradients of all four are the same, and a step is a tenth faster.
    """

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        convolution, norm = self[0], self[1]
        if norm.training or not self.training:
            return super().forward(x)
        scale = norm.weight * torch.rsqrt(norm.running_var + norm.eps)
        y = conv2d(x, convolution.weight * scale[:, None, None, None],
                   norm.bias - norm.running_mean * scale, convolution.stride,
                   convolution.padding, convolution.dilation, convolution.groups)
        return self[2](y) if len(self) > 2 else y


def _conv(inputs: int, outputs: int, kernel: int, stride: int = 1, groups: int = 1,
          activation: type[nn.Module] | None = nn.ReLU6) -> _ConvNorm:
    # eps and momentum are those the published weights were trained with.
    return _ConvNorm(
        inputs, outputs, kernel, stride, groups=groups, activation_layer=activation,
        norm_layer=lambda channels: nn.BatchNorm2d(channels, eps=1e-3, momentum=0.01))


def _lite(name: str, drop_path: float) -> Backbone:
    width, depth = _LITE_SCALES[name]
    # Lite keeps the stem, and the repeats of the first and last stage, unscaled.
    repeats = [r if i in (0, len(_STAGES) - 1) else math.ceil(r * depth)
               for i, (*_, r) in enumerate(_STAGES)]
    repeats[4:] = _SHORT.get(name, repeats[4:])
    channels = 32
    stages: list[nn.Module] = [_conv(3, channels, 3, 2)]
    outputs, block, blocks = [], 0, sum(repeats)
    for (expansion, kernel, stride, base, _), count in zip(_STAGES, repeats):
        if not count:
            break
        wanted = _round_channels(base * width)
        layers = []
        for i in range(count):
            layers.append(LiteBlock(channels, wanted, expansion, kernel, stride if i == 0 else 1,
                                     drop_path * block / blocks))
            channels = wanted
            block += 1
        stages.append(nn.Sequential(*layers))
        outputs.append(channels)
    return Backbone(stages, (outputs[2], outputs[4], outputs[-1]), (3, 5, len(outputs)))


def _round_channels(channels: float, divisor: int = 8) -> int:
    """Round to a multiple of 8 but never below 90 %, as the published networks do."""
    rounded = max(divisor, int(channels + divisor / 2) // divisor * divisor)
    return rounded + divisor if rounded < 0.9 * channels else rounded


def make_backbone(name: str, drop_path: float = 0.0) -> Backbone:
    """Build a backbone with random weights.

    Args:
        name: one of ``core.metadata.BACKBONES``.
        drop_path: largest stochastic-depth rate, reached at the last block; MobileNetV3 has none.

    Raises:
        SettingError: for an unknown name; the message lists the known ones.
    """
    if name in _LITE_SCALES:
        return _lite(name, drop_path)
    if name == 'efficientnet_b1':
        features = efficientnet_b1(weights=None, stochastic_depth_prob=drop_path).features
        stages = list(features.children())[:8]  # the ninth is the classifier's 1x1 convolution
        return Backbone(stages, (40, 112, 320))
    if name == 'mobilenet_v3_large':
        if drop_path:
            raise SettingError('drop_path must be 0 with mobilenet_v3_large, got '
                               f'{drop_path:g}.')
        # With the halved last blocks of SSDlite (MobileNetV3, section 6.3), so that its weights
        # fit; the 17th layer is a 1x1 convolution for the classifier.
        layers = list(mobilenet_v3_large(weights=None, reduced_tail=True).features.children())
        ends = (0, 1, 2, 4, 7, 11, 13, 16)
        stages = [nn.Sequential(*layers[a:b]) for a, b in zip(ends, ends[1:])]
        return Backbone(stages, (40, 112, 80), (3, 5, 6))
    raise SettingError(f'Backbone must be one of {", ".join(BACKBONES)}, got "{name}".')
