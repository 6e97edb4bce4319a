"""How well the features of a backbone distinguish the classes of a few training images."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch.nn import functional as F
from torchvision.ops import roi_align

from ssd_perception.core.errors import DataError
from ssd_perception.core.metadata import Preprocessing
from ssd_perception.data.sample import Sample, labels
from ssd_perception.imaging.placing import place
from ssd_perception.model.backbones import Backbone

SIDE = 320  # px, of the input that features are computed at
IMAGES = 60  # are looked at, at most
OBJECTS = 4  # of an image: those of one image resemble one another
CELLS = 7  # of a side of an object, over which C5 is averaged
RIDGE = 0.3  # added to the similarities of objects with themselves, which are 1


def mistakes(backbone: Backbone, samples: Sequence[Sample], class_names: tuple[str, ...],
             preprocessing: Preprocessing) -> int:
    """Count the objects that a linear classifier takes for another class.

    For the objects of each image it is fitted to those of the other images, on the mean of C5 in
    each box: ridge regression on standardised features of length 1. Images that cannot be read
    are left out.
    """
    features, classes, images = _features(backbone, samples, class_names, preprocessing)
    wrong = 0
    for image in images.unique():
        out = images == image
        if out.all():
            break
        known, asked = features[~out], features[out]
        centre, spread = known.mean(0), known.std(0, correction=0) + 1e-3
        known, asked = (F.normalize((x - centre) / spread, dim=1) for x in (known, asked))
        wanted = F.one_hot(classes[~out], len(class_names)).float()
        share = wanted.mean(0)
        weights = torch.linalg.solve(known @ known.T + RIDGE * torch.eye(len(known)),
                                     wanted - share)
        found = (asked @ known.T @ weights + share).argmax(1)
        wrong += int((found != classes[out]).sum())
    return wrong


@torch.no_grad()
def _features(backbone: Backbone, samples: Sequence[Sample], class_names: tuple[str, ...],
              preprocessing: Preprocessing) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return float (n, channels) means of C5 in boxes, and int64 (n,) classes and images."""
    backbone.eval()
    found = [torch.zeros(0, backbone.channels[-1])]
    classes, images = [torch.zeros(0, dtype=torch.int64)], [0]
    mean, std = (torch.tensor(x)[:, None, None] for x in (preprocessing.mean, preprocessing.std))
    step = max(1, -(-len(samples) // IMAGES))
    for index, sample in enumerate(samples[::step]):
        try:
            image = sample.image()
        except DataError:
            continue
        canvas = np.empty((SIDE, SIDE, 3), np.uint8)
        boxes = place(image, canvas, preprocessing).to_input(sample.xyxy)[:OBJECTS]
        pixels = torch.from_numpy(canvas).permute(2, 0, 1).float()
        level = backbone(((pixels - mean) / std)[None].to(memory_format=torch.channels_last))[-1]
        inside = roi_align(level, [torch.from_numpy(boxes).float().reshape(-1, 4)], CELLS,
                           1 / backbone.strides[-1], 2)
        found.append(inside.mean((2, 3)))
        classes.append(torch.from_numpy(labels(sample, class_names)[:OBJECTS]))
        images += [index] * len(boxes)
    return torch.cat(found), torch.cat(classes), torch.tensor(images[1:])
