"""The SSD network: backbone, pyramid, heads; raw logits and deltas come out."""

from __future__ import annotations

import torch
from torch import nn

from ssd_perception.core.metadata import Architecture
from ssd_perception.model.backbones import make_backbone
from ssd_perception.model.heads import Head, Tower
from ssd_perception.model.pyramid import Pyramid


class SSD(nn.Module):
    """Single-shot detector (Liu et al. 2016) on a feature pyramid (RetinaNet, Lin et al. 2017).

    Args:
        architecture: what it is built from.
        class_count: C, without background.
        drop_path: of the backbone; see ``make_backbone``.

    Attributes:
        architecture: as given.
    """

    def __init__(self, architecture: Architecture, class_count: int, drop_path: float = 0.0):
        super().__init__()
        a = self.architecture = architecture
        self.backbone = make_backbone(a.backbone, drop_path)
        joint = a.heads == 'joint'
        self.pyramid = Pyramid(self.backbone.channels, a.pyramid_channels, a.strides, joint)
        # What classes and boxes share, and what each head has for itself.
        self.tower: nn.Module = Tower(a.pyramid_channels, len(a.strides),
                                      a.head_depth if joint else 0, joint)
        depth = 0 if joint else a.head_depth
        class_head, box_head = (
            Head(a.pyramid_channels, a.anchors.per_cell, values, len(a.strides), depth, joint)
            for values in (class_count, 4))
        class_head.set_prior()
        self.class_head: nn.Module = class_head
        self.box_head: nn.Module = box_head

    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Map normalised images to raw predictions.

        Args:
            images: float (B, 3, H, W), H and W multiples of 32.

        Returns:
            logits (B, A, C) before the sigmoid and deltas (B, A, 4), for the anchors of
            ``core.anchors.make_anchors`` in their order.
        """
        levels = self.tower(self.pyramid(self.backbone(images)))
        return self.class_head(levels), self.box_head(levels)
