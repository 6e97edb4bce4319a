"""From batches of images to what the network and the loss take, at one or several sizes."""

from __future__ import annotations

import math

import torch
from torch.nn import functional as F

from ssd_perception.core.anchors import level_shape, make_anchors
from ssd_perception.training.dataset import Batch, random_stream
from ssd_perception.training.losses import DetectionLoss, Target
from ssd_perception.training.recipe import Recipe


class NetworkInputs:
    """Normalises, resizes and scales boxes along, so that all stay in one unit, input px.

    Args:
        device: where the tensors go.
    """

    def __init__(self, recipe: Recipe, device: torch.device):
        self._recipe, self._device = recipe, device
        p = recipe.preprocessing
        self._mean = torch.tensor(p.mean, device=device).view(1, 3, 1, 1)
        self._std = torch.tensor(p.std, device=device).view(1, 3, 1, 1)
        self._losses: dict[tuple[int, int], DetectionLoss] = {}

    def size(self, iteration: int) -> tuple[int, int]:
        """Return height and width of an iteration's input, px: the same in all processes."""
        height, width = self._recipe.architecture.input_hw
        if not self._recipe.multi_scale:
            return height, width
        low, high = self._recipe.multi_scale
        factor = random_stream(self._recipe.seed, 3, iteration).uniform(low, high)
        height, width = (max(64, round(side * factor / 32) * 32) for side in (height, width))
        return height, width

    def loss(self, size: tuple[int, int]) -> DetectionLoss:
        """Return the loss with the anchors of an input of ``size``."""
        if size not in self._losses:
            a = self._recipe.architecture
            anchors = torch.from_numpy(make_anchors(a.anchors, size, a.strides))
            cells = torch.cat([torch.full((math.prod(level_shape(size, stride)),), float(stride))
                               for stride in a.strides])
            self._losses[size] = DetectionLoss(anchors.to(self._device), a.box_coder,
                                               self._recipe.loss, cells.to(self._device))
        return self._losses[size]

    def place(self, batch: Batch, size: tuple[int, int]) -> tuple[torch.Tensor, list[Target]]:
        """Return normalised float (B, 3, H, W) of ``size`` and its targets, on the device."""
        images = batch.images.to(self._device, memory_format=torch.channels_last,
                                 non_blocking=True)
        inputs = (images.float() - self._mean) / self._std
        scale = torch.ones(4, device=self._device)
        if inputs.shape[2:] != size:
            y, x = (new / old for new, old in zip(size, inputs.shape[2:]))
            scale = torch.tensor([x, y, x, y], device=self._device)
            inputs = F.interpolate(inputs, size, mode='bilinear', antialias=True)
        # All targets in one copy each: a copy per image would make the GPU wait for it.
        counts = [len(target.labels) for target in batch.targets]
        boxes, labels = (torch.cat(parts).to(self._device) for parts in zip(*batch.targets))
        return inputs, [Target(*pair) for pair in
                        zip((boxes * scale).split(counts), labels.split(counts))]
