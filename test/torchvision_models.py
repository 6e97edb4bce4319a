"""torchvision's SSDs with random weights that find separate objects, and images to show them."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import torch
from torch import nn
from torchvision.models import detection

from ssd_perception.imaging.files import read_image

ROOT = Path(__file__).resolve().parents[1]
SIZES = [(480, 640), (640, 480), (320, 320), (300, 300), (240, 427), (200, 130), (90, 333),
         (720, 1280), (500, 375), (101, 99)]
UNUSED = [i for i, name in enumerate(
    detection.SSD300_VGG16_Weights.COCO_V1.meta['categories']) if name == 'N/A']


def images(count: int = 20) -> list[np.ndarray]:
    """Return rendered images, cut and stretched to many sizes and proportions."""
    paths = sorted((ROOT / 'demo' / 'rendered_val' / 'JPEGImages').glob('*.jpg'))[:count]
    found = []
    for i, path in enumerate(paths):
        height, width = SIZES[i % len(SIZES)]
        found.append(cv2.resize(read_image(path), (width, height), interpolation=cv2.INTER_AREA))
    return found


def as_torchvision_wants(image: np.ndarray) -> torch.Tensor:
    """Return float (3, H, W) from 0 to 1."""
    return torch.from_numpy(image).permute(2, 0, 1).float() / 255


@torch.no_grad()
def random_model(network: str, seed: int = 0) -> nn.Module:
    """Return torchvision's network, in eval mode, with seeded weights that are spread widely.

    As after a training: batch norms have the statistics of images, most anchors are background,
    a few classes have high scores, and the unused ones have none.
    """
    torch.manual_seed(seed)
    with torch.device('meta'):
        model = detection.__dict__[network](weights=None, weights_backbone=None)
    model = model.to_empty(device='cpu')
    model.anchor_generator._wh_pairs = model.anchor_generator._generate_wh_pairs(6)
    for layer in model.modules():
        if isinstance(layer, nn.Conv2d):
            nn.init.kaiming_normal_(layer.weight)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
        elif isinstance(layer, nn.BatchNorm2d):
            layer.reset_running_stats()
            nn.init.uniform_(layer.weight, 0.5, 1.5)
            nn.init.normal_(layer.bias, std=0.2)
            layer.momentum = None  # the mean of what passes
    if hasattr(model.backbone, 'scale_weight'):
        model.backbone.scale_weight.fill_(20.0)
    inputs, _ = model.transform([as_torchvision_wants(image) for image in images(8)])
    model.train()
    features = list(model.backbone(inputs.tensors).values())
    model.head(features)
    for layer in model.modules():
        if isinstance(layer, nn.BatchNorm2d):  # a channel that hardly varies would be all noise
            layer.running_var.clamp_(min=0.5)
    model.eval()
    features = list(model.backbone(inputs.tensors).values())
    head = model.head
    for level, x in enumerate(features):
        for part, columns, spread in ((head.classification_head, 91, 2.5),
                                      (head.regression_head, 4, 0.7)):
            predict = part.module_list[level]
            values = predict(x)
            last = predict[-1] if isinstance(predict, nn.Sequential) else predict
            # Columns that hardly differ between images would be all noise.
            scale = spread / values.std((0, 2, 3), unbiased=False).clamp(min=values.std() / 3)
            last.weight.mul_(scale[:, None, None, None])
            bias = (-values.mean((0, 2, 3)) * scale).view(-1, columns)
            if columns == 91:
                bias[:, UNUSED] -= 40.0
                last.bias.copy_(bias.flatten())
                best = predict(x).permute(0, 2, 3, 1).reshape(-1, 91)[:, 1:].max(1).values
                bias[:, 0] += best.quantile(0.998)  # one anchor in 500 shows something
            last.bias.copy_(bias.flatten())
    return model
