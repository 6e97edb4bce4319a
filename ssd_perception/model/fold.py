"""The network as it is run: norms folded into convolutions, uint8 pixels in; same function."""

from __future__ import annotations

import copy
from typing import TypeVar, cast

import torch
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from ssd_perception.core.metadata import Preprocessing
from ssd_perception.model.backbones import LiteBlock
from ssd_perception.model.heads import Head, Tower
from ssd_perception.model.published import PublishedSSD
from ssd_perception.model.ssd import SSD

Network = TypeVar('Network', bound='SSD | PublishedSSD')


class PixelNetwork(nn.Module):
    """A trained SSD for running only: pixels in, raw predictions out.

    Every norm is part of the convolution before it, and the division by the pixels' standard
    deviation part of the first one. Subtracting the mean stays apart: the first convolution
    pads with zeros, which are the mean only after it is subtracted.
    """

    mean: torch.Tensor

    def __init__(self, model: SSD | PublishedSSD, preprocessing: Preprocessing):
        """Copy ``model``; that it goes on being trained changes nothing here."""
        super().__init__()
        self.network = fold_norms(copy.deepcopy(model).eval())
        if isinstance(self.network, SSD):
            merge_last_projection(self.network)
        first = next(m for m in self.network.backbone.modules() if isinstance(m, nn.Conv2d))
        with torch.no_grad():
            first.weight.div_(_per_channel(preprocessing.std).to(first.weight))
        self.register_buffer('mean', _per_channel(preprocessing.mean))

    def forward(self, pixels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Map (B, H, W, 3) RGB to logits (B, A, columns) and deltas (B, A, 4); see ``SSD``.

        Args:
            pixels: uint8 or float32, 0 to 255.
        """
        # Cast first, because TensorRT supports no other operator on uint8. Permuting an NHWC
        # buffer makes it channels-last without a copy.
        return self.network(pixels.to(self.mean.dtype).permute(0, 3, 1, 2) - self.mean)


class _FoldedTower(nn.Module):
    """A tower whose levels have a chain of convolutions each, because each has its own norms."""

    def __init__(self, tower: Tower, *last: nn.Module):
        super().__init__()
        self.levels = nn.ModuleList()
        chains = [cast(nn.ModuleList, norms) for norms in tower.norms]
        for level in range(len(chains[0]) if chains else 1):
            layers: list[nn.Module] = []
            for convolution, norms in zip(tower.convs, chains):
                norm = cast(nn.BatchNorm2d, norms[level])
                layers += [_fused(convolution, norm), nn.ReLU(inplace=True)]
            self.levels.append(nn.Sequential(*layers, *last))

    def forward(self, levels: list[torch.Tensor]) -> list[torch.Tensor]:
        """See ``Tower.forward``."""
        return [self.levels[index % len(self.levels)](x) for index, x in enumerate(levels)]


class _FoldedHead(_FoldedTower):
    """The same with the predicting convolution at the end of each chain."""

    def __init__(self, head: Head):
        super().__init__(head, head.predict)
        self.values = head.values

    def forward(self, levels: list[torch.Tensor]) -> torch.Tensor:  # type: ignore[override]
        """See ``Head.forward``."""
        outputs = []
        for x in super().forward(levels):  # (B, per_cell * values, H, W)
            # Plain numbers, or an exported graph would compute the shape in every run.
            anchors = int(x.shape[1]) * int(x.shape[2]) * int(x.shape[3]) // self.values
            outputs.append(x.permute(0, 2, 3, 1).reshape(-1, anchors, self.values))
        return torch.cat(outputs, 1)


def fold_norms(model: Network) -> Network:
    """Fold each batch norm into the convolution before it, in place; the function is the same.

    Returns:
        ``model``, in eval mode, for running only: its tensors have other names now.
    """
    model.eval()
    if isinstance(model, SSD):
        model.tower = _FoldedTower(cast(Tower, model.tower))
        model.class_head = _FoldedHead(cast(Head, model.class_head))
        model.box_head = _FoldedHead(cast(Head, model.box_head))
    for block in model.modules():
        if isinstance(block, nn.Sequential):
            for i in range(len(block) - 1):
                norm = block[i + 1]
                if isinstance(norm, nn.BatchNorm2d) and _last_convolution(block[i]):
                    block[i] = _fused(block[i], norm)
                    block[i + 1] = nn.Identity()
    return model


def merge_last_projection(model: SSD) -> None:
    """Make one convolution of two in a folded network, in place; the function is the same.

    The last block of EfficientNet-Lite ends in a pointwise convolution without an activation,
    and only the pyramid's pointwise one comes behind it: the product of the two kernels is a
    quarter of their arithmetic, and 3 % of the network's is saved. Other backbones end in a sum
    or an activation and stay as they are.
    """
    last = list(model.backbone.stages[-1].children())[-1]
    if not isinstance(last, LiteBlock) or last.residual:
        return
    projection = cast(nn.Conv2d, cast(nn.Sequential, last.layers[-1])[0])
    lateral = cast(nn.Conv2d, model.pyramid.laterals[-1])
    merged = nn.Conv2d(projection.in_channels, lateral.out_channels, 1).to(lateral.weight)
    (first, shift), (second, bias) = (
        (layer.weight.double().flatten(1), layer.get_parameter('bias').double())
        for layer in (projection, lateral))
    with torch.no_grad():
        merged.weight.copy_((second @ first)[..., None, None])
        merged.get_parameter('bias').copy_(second @ shift + bias)
    last.layers[-1] = nn.Identity()
    model.pyramid.laterals[-1] = merged


def _fused(block: nn.Module, norm: nn.BatchNorm2d) -> nn.Module:
    """Return a copy of ``block``, a convolution or a chain that ends in one, with the norm in."""
    if isinstance(block, nn.Conv2d):
        return fuse_conv_bn_eval(block, norm)
    *before, last = cast(nn.Sequential, block)
    return nn.Sequential(*copy.deepcopy(before), fuse_conv_bn_eval(cast(nn.Conv2d, last), norm))


def _last_convolution(block: nn.Module) -> bool:
    return isinstance(block, nn.Conv2d) or (
        isinstance(block, nn.Sequential) and len(block) > 0 and isinstance(block[-1], nn.Conv2d))


def _per_channel(values: tuple[float, ...]) -> torch.Tensor:
    return torch.tensor(values).view(1, -1, 1, 1)
