"""torchvision's SSDs as networks of this package: the same tensors, raw predictions come out."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import cast

import torch
from torch import nn
from torchvision.models import WeightsEnum, detection
from torchvision.models.detection.ssdlite import SSDLite320_MobileNet_V3_Large_Weights

from ssd_perception.core.anchors import LevelAnchors
from ssd_perception.core.metadata import (
    Metadata,
    Preprocessing,
    PublishedArchitecture,
    WeightsError,
)
from ssd_perception.core.postprocess import Scoring

COCO_COLUMNS = 91  # of torchvision's networks: the background, 80 classes and 10 that are unused
UNUSED = ('__background__', 'N/A')  # names of the columns that stand for no class


@dataclass(frozen=True)
class Published:
    """One of torchvision's SSDs, as its source defines it.

    Attributes:
        network: its name in torchvision.
        weights: those trained on COCO.
        side: of its square input, px.
        levels: rows and columns of the levels.
        scales: sides of the square anchors, in sides of the input, one more than levels.
        ratios: of each level, width / height of further anchors, beside their inverses.
        steps: px between centres; None: the input's side / the level's.
        mean, std: of pixels from 0 to 255.
        candidates_per_class: that reach NMS.
    """

    network: str
    weights: WeightsEnum
    side: int
    levels: tuple[int, ...]
    scales: tuple[float, ...]
    ratios: tuple[tuple[int, ...], ...]
    steps: tuple[int, ...] | None
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    candidates_per_class: int

    def architecture(self) -> PublishedArchitecture:
        """Return the network with its default boxes; Liu et al. 2016, section 2.2."""
        levels = []
        for k, cells in enumerate(self.levels):
            scale, between = self.scales[k], math.sqrt(self.scales[k] * self.scales[k + 1])
            sizes = [(scale, scale), (between, between)]
            for ratio in self.ratios[k]:
                wide, narrow = scale * math.sqrt(ratio), scale / math.sqrt(ratio)
                sizes += [(wide, narrow), (narrow, wide)]
            levels.append(LevelAnchors(
                (cells, cells), self.steps[k] if self.steps else self.side / cells,
                tuple((min(w, 1.0) * self.side, min(h, 1.0) * self.side) for w, h in sizes)))
        return PublishedArchitecture(self.network, (self.side, self.side), tuple(levels))

    def metadata(self) -> Metadata:
        """Return metadata for the weights as torchvision trained them, without their source."""
        names = [name for name in self.weights.meta['categories'] if name not in UNUSED]
        return Metadata(
            tuple(names), self.architecture(),
            Preprocessing('stretch', 'linear', mean=self.mean, std=self.std,
                          pixel_type='float32'),
            Scoring('softmax', COCO_COLUMNS - len(names), self.candidates_per_class))


# torchvision/models/detection/ssdlite.py and ssd.py; test/model/test_published.py compares.
PUBLISHED = {each.network: each for each in (
    Published('ssdlite320_mobilenet_v3_large', SSDLite320_MobileNet_V3_Large_Weights.COCO_V1, 320,
              (20, 10, 5, 3, 2, 1), (0.2, 0.35, 0.5, 0.65, 0.8, 0.95, 1.0), ((2, 3),) * 6, None,
              (127.5,) * 3, (127.5,) * 3, 300),
    Published('ssd300_vgg16', detection.SSD300_VGG16_Weights.COCO_V1, 300,
              (38, 19, 10, 5, 3, 1), (0.07, 0.15, 0.33, 0.51, 0.69, 0.87, 1.05),
              ((2,), (2, 3), (2, 3), (2, 3), (2,), (2,)), (8, 16, 32, 64, 100, 300),
              (0.48235 * 255, 0.45882 * 255, 0.40784 * 255), (1.0,) * 3, 400))}


class PublishedSSD(nn.Module):
    """One of torchvision's SSDs, without its post-processing; its tensors keep their names.

    Its parameters are on the device ``meta`` until weights are loaded with ``assign=True``:
    filling VGG16 with random numbers takes seconds.

    Args:
        architecture: what it is built from.
        columns: of the logits, what stands for no class included.

    Raises:
        WeightsError: when the architecture's levels are not those of the network.
    """

    def __init__(self, architecture: PublishedArchitecture, columns: int):
        super().__init__()
        self.architecture = architecture
        own = PUBLISHED[architecture.network].architecture()
        if architecture.input_hw != own.input_hw or _cells(architecture) != _cells(own):
            raise WeightsError(f'The metadata describe another {architecture.network} than '
                               'torchvision has: its input or its levels differ.')
        self.columns = columns
        with torch.device('meta'):
            ssd = getattr(detection, architecture.network)(
                weights=None, weights_backbone=None, num_classes=columns)
        self.backbone = _Extractor(ssd.backbone)
        self.head = ssd.head

    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Map normalised images (B, 3, H, W) to logits (B, A, columns) and deltas (B, A, 4)."""
        features = self.backbone(images)
        return (_predictions(self.head.classification_head, features, self.columns),
                _predictions(self.head.regression_head, features, 4))


class _Extractor(nn.Module):
    """torchvision's feature extractor of an SSD, with the names of its tensors."""

    def __init__(self, source: nn.Module):
        super().__init__()
        self.scale_weight = getattr(source, 'scale_weight', None)  # of VGG16 only
        self.features = cast(nn.Sequential, source.features)
        self.extra = cast(nn.ModuleList, source.extra)

    def forward(self, images: torch.Tensor) -> list[torch.Tensor]:
        """Map (B, 3, H, W) to the maps of all levels, the finest first."""
        if self.scale_weight is None:
            # The first part ends inside a block, with its expansion: MobileNetV3, section 6.3.
            levels = [self.features[0](images)]
            x = self.features[1](levels[0])
            levels.append(x)
        else:
            x = self.features(images)
            # Its values are far larger than those of the other levels: ParseNet, section 3.3.
            norm = torch.linalg.vector_norm(x, dim=1, keepdim=True)
            levels = [x / (norm + 1e-12) * self.scale_weight.view(1, -1, 1, 1)]
        for block in self.extra:
            x = block(x)
            levels.append(x)
        return levels


def _predictions(head: nn.Module, levels: Sequence[torch.Tensor], values: int) -> torch.Tensor:
    outputs = []
    for predict, x in zip(cast(nn.ModuleList, head.module_list), levels):
        x = predict(x)  # (B, per_cell * values, H, W)
        # Plain numbers, or an exported graph would compute the shape in every run.
        anchors = int(x.shape[1]) * int(x.shape[2]) * int(x.shape[3]) // values
        outputs.append(x.permute(0, 2, 3, 1).reshape(-1, anchors, values))
    return torch.cat(outputs, 1)


def _cells(architecture: PublishedArchitecture) -> list[tuple[tuple[int, int], int]]:
    return [(level.shape, len(level.sizes)) for level in architecture.levels]


def convert(network: str, tensors: Mapping[str, torch.Tensor],
            where: str) -> tuple[PublishedSSD, Metadata]:
    """Make a network and its metadata of torchvision's COCO weights.

    The columns of the logits change places: the classes first, then the background and the
    unused ones, which softmax needs.

    Args:
        network: a key of ``PUBLISHED``.
        tensors: torchvision's state dict.
        where: the file, for messages.

    Raises:
        WeightsError: naming the first tensor that does not fit.
    """
    published = PUBLISHED[network]
    metadata = published.metadata()
    assert isinstance(metadata.architecture, PublishedArchitecture)
    model = PublishedSSD(metadata.architecture, metadata.columns)
    expected = {key: tuple(value.shape) for key, value in model.state_dict().items()}
    found = {key: tuple(value.shape) for key, value in tensors.items()}
    for key in (*expected, *found):
        if expected.get(key) != found.get(key):
            raise WeightsError(
                f'{where} does not hold {network} trained on COCO: "{key}" should be '
                f'{expected.get(key, "absent")}, found {found.get(key, "absent")}.')
    names = published.weights.meta['categories']
    order = torch.tensor(sorted(range(COCO_COLUMNS), key=lambda i: names[i] in UNUSED))
    model.load_state_dict({
        key: _reordered(value, order) if key in _last_layers(model) else value
        for key, value in tensors.items()}, assign=True)
    return model.eval(), metadata


def _last_layers(model: PublishedSSD) -> set[str]:
    """Return the names of the tensors with a row for each column of each anchor."""
    found = set()
    head = cast(nn.ModuleList, model.head.classification_head.module_list)
    for level, layer in enumerate(head):
        last = '.1' if isinstance(layer, nn.Sequential) else ''
        found |= {f'head.classification_head.module_list.{level}{last}.{name}'
                  for name in ('weight', 'bias')}
    return found


def _reordered(tensor: torch.Tensor, order: torch.Tensor) -> torch.Tensor:
    """Return (per_cell * columns, ...) with the columns of each anchor in another order."""
    split = tensor.view(-1, COCO_COLUMNS, *tensor.shape[1:])
    return split[:, order].reshape(tensor.shape).contiguous()
