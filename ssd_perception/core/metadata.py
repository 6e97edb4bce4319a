"""What a weights file says about itself: read as untrusted JSON, checked field by field."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
import math
import types
import typing
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np

from ssd_perception.core.anchors import (
    AnchorSpec,
    BoxCoder,
    LevelAnchors,
    level_shape,
    make_anchors,
    place_anchors,
)
from ssd_perception.core.errors import UserError
from ssd_perception.core.placement import RESIZE_MODES
from ssd_perception.core.postprocess import Scoring
from ssd_perception.core.settings import setting
from ssd_perception.core.text import printable, quoted

KEY = 'ssd_perception'  # the one metadata key, in safetensors and in ONNX
FORMAT_VERSION = 2
READABLE_VERSIONS = (1, 2)  # 2 brought PublishedArchitecture, scoring, pixel_type and source
MAX_JSON_BYTES = 1_000_000
_MAX_DEPTH = 20  # of objects and lists within each other; those of this package have six
# Ten times the largest network that this package trains.
MAX_FILE_BYTES = 256 << 20
# Numbers that a network returns for one image: 2048x2048 px with nine anchors for 20 classes has
# 19 million. At 4 bytes each it is 100 MB.
MAX_OUTPUTS = 25_000_000
# Candidates of all classes together; SSD300 has 32 000. NMS of 100 000 takes three seconds.
MAX_ALL_CANDIDATES = 100_000
BACKBONES = ('efficientnet_b1', 'efficientnet_lite0', 'efficientnet_lite0_short',
             'efficientnet_lite1', 'efficientnet_lite2', 'mobilenet_v3_large')
HEADS = ('separable', 'joint')
# torchvision's name of a network -> its backbone
PUBLISHED = {'ssdlite320_mobilenet_v3_large': 'mobilenet_v3_large', 'ssd300_vgg16': 'vgg16'}
INTERPOLATIONS = ('area', 'linear')
PIXEL_TYPES = ('uint8', 'float32')
ACTIVATIONS = ('sigmoid', 'softmax')

Built = TypeVar('Built')


class WeightsError(UserError, ValueError):
    """A weights file cannot be used; the message names it, what was expected and found."""


class MetadataError(WeightsError):
    """The metadata is missing, malformed, or out of bounds; the message says which field."""


@dataclass(frozen=True)
class Architecture:
    """Everything that fixes the network's tensors."""

    backbone: str = setting('efficientnet_lite1', f'One of {", ".join(BACKBONES)}.')
    input_hw: tuple[int, int] = setting(
        (320, 320), "Height and width of the network's input, px, multiples of 32.")
    strides: tuple[int, ...] = setting(
        (8, 16, 32, 64, 128), "Strides of the pyramid's levels, px; P3 to P7 are 8 to 128.")
    pyramid_channels: int = setting(96, 'Channels of every pyramid level.')
    head_depth: int = setting(2, 'Convolutions in a head before the predicting one.')
    heads: str = setting(
        'separable', 'separable: the pyramid and two heads of separable convolutions. joint: full '
        '3x3 convolutions in the pyramid and in one tower for classes and boxes, with 1x1 '
        'predictions behind it; more accurate, and with 64 channels and head_depth 1 not slower.')
    anchors: AnchorSpec = setting(
        meaning='Side of the smallest square anchor of a level, in strides; factors on it; and '
        'height / width of the anchors.', default_factory=AnchorSpec)
    box_coder: BoxCoder = setting(
        meaning="Factors on coded centres and sizes, SSD's.", default_factory=BoxCoder)

    @property
    def anchor_count(self) -> int:
        """Anchors of one image over all levels."""
        return self.anchors.per_cell * sum(math.prod(level_shape(self.input_hw, stride))
                                           for stride in self.strides)

    @property
    def least_map(self) -> int:
        """Rows of the coarsest feature map, or its columns where these are fewer."""
        return min(min(level_shape(self.input_hw, stride)) for stride in self.strides)

    def make_anchors(self) -> np.ndarray:
        """Return float32 (A, 4) anchors of one image, in the order of the outputs."""
        return make_anchors(self.anchors, self.input_hw, self.strides)

    def __post_init__(self) -> None:
        _require(self.backbone in BACKBONES, 'backbone', f'one of {", ".join(BACKBONES)}',
                 self.backbone)
        _require(len(self.input_hw) == 2
                 and all(64 <= side <= 2048 and side % 32 == 0 for side in self.input_hw),
                 'input_hw', 'two multiples of 32 from 64 to 2048', self.input_hw)
        _require(3 <= len(self.strides) <= 6
                 and self.strides == tuple(8 * 2 ** i for i in range(len(self.strides))),
                 'strides', '3 to 6 powers of two from 8 on', self.strides)
        _require(8 <= self.pyramid_channels <= 512, 'pyramid_channels', 'from 8 to 512',
                 self.pyramid_channels)
        _require(0 <= self.head_depth <= 8, 'head_depth', 'from 0 to 8', self.head_depth)
        _require(self.heads in HEADS, 'heads', f'one of {", ".join(HEADS)}', self.heads)
        a = self.anchors
        _require(1 <= len(a.octave_scales) <= 8 and 1 <= len(a.aspect_ratios) <= 8
                 and all(0.05 <= v <= 50 for v in (a.base_scale, *a.octave_scales,
                                                   *a.aspect_ratios)),
                 'anchors', '1 to 8 octave_scales and aspect_ratios, each from 0.05 to 50', a)
        _check_box_coder(self.box_coder)


@dataclass(frozen=True)
class PublishedArchitecture:
    """A network that is run as somebody else published it; the name fixes its tensors.

    Attributes:
        network: one of ``PUBLISHED``.
        input_hw: height and width of the network's input, px.
        levels: its anchors.
        box_coder: factors on coded centres and sizes.
    """

    network: str
    input_hw: tuple[int, int]
    levels: tuple[LevelAnchors, ...]
    box_coder: BoxCoder = field(default_factory=BoxCoder)

    @property
    def backbone(self) -> str:
        """Name of the network's backbone."""
        return PUBLISHED[self.network]

    @property
    def anchor_count(self) -> int:
        """Anchors of one image over all levels."""
        return sum(level.count for level in self.levels)

    @property
    def least_map(self) -> int:
        """Rows of the coarsest feature map, or its columns where these are fewer."""
        return min(min(level.shape) for level in self.levels)

    def make_anchors(self) -> np.ndarray:
        """Return float32 (A, 4) anchors of one image, in the order of the outputs."""
        return place_anchors(self.levels)

    def __post_init__(self) -> None:
        _require(self.network in PUBLISHED, 'network', f'one of {", ".join(PUBLISHED)}',
                 self.network)
        _require(len(self.input_hw) == 2 and all(64 <= side <= 2048 for side in self.input_hw),
                 'input_hw', 'two whole numbers from 64 to 2048', self.input_hw)
        _require(1 <= len(self.levels) <= 10 and all(
            len(level.shape) == 2 and all(1 <= side <= 512 for side in level.shape)
            and 1 <= level.step <= 2048 and 1 <= len(level.sizes) <= 16
            and all(len(size) == 2 and all(0.1 <= side <= 4096 for side in size)
                    for size in level.sizes) for level in self.levels),
            'levels', '1 to 10 levels with a shape from 1 to 512, a step from 1 to 2048 and 1 to '
            '16 sizes from 0.1 to 4096', self.levels)
        _check_box_coder(self.box_coder)


def _check_box_coder(coder: BoxCoder) -> None:
    _require(all(0.01 <= v <= 10 for v in (coder.centre_variance, coder.size_variance)),
             'box_coder', 'variances from 0.01 to 10', coder)


@dataclass(frozen=True)
class Preprocessing:
    """How a uint8 RGB image becomes the network's input."""

    resize: str = setting(
        'letterbox', 'letterbox keeps the proportions and pads right and below; stretch fills '
        'the input with any image.')
    interpolation: str = setting(
        'area', 'area averages when shrinking, by halves and linear sampling for the rest (and '
        'is linear when enlarging); linear samples in one step.')
    padding_value: int = setting(127, 'Grey of the padding, 0 to 255.')
    channel_order: str = setting('rgb', 'Always rgb.')
    mean: tuple[float, ...] = setting(
        (127.0, 127.0, 127.0), 'Input = (pixel - mean) / std for R, G, B in 0 to 255: what the '
        'backbone was trained with.')
    std: tuple[float, ...] = setting((128.0, 128.0, 128.0), 'Standard deviation of R, G, B.')
    pixel_type: str = setting(
        'uint8', 'uint8 rounds the pixels after resizing; float32 does not (0 to 255 as well), as '
        'imported weights need it. Training uses uint8.')

    def __post_init__(self) -> None:
        _require(self.resize in RESIZE_MODES, 'resize', f'one of {", ".join(RESIZE_MODES)}',
                 self.resize)
        _require(self.interpolation in INTERPOLATIONS, 'interpolation',
                 f'one of {", ".join(INTERPOLATIONS)}', self.interpolation)
        _require(0 <= self.padding_value <= 255, 'padding_value', 'from 0 to 255',
                 self.padding_value)
        _require(self.pixel_type in PIXEL_TYPES, 'pixel_type', f'one of {", ".join(PIXEL_TYPES)}',
                 self.pixel_type)
        _require(self.channel_order == 'rgb', 'channel_order', 'rgb', self.channel_order)
        _require(len(self.mean) == 3 and all(0 <= v <= 255 for v in self.mean), 'mean',
                 'three values from 0 to 255', self.mean)
        _require(len(self.std) == 3 and all(1 <= v <= 255 for v in self.std), 'std',
                 'three values from 1 to 255', self.std)


@dataclass(frozen=True)
class Metadata:
    """One weights file's description.

    Attributes:
        class_names: names in label order.
        architecture, preprocessing: see above.
        scoring: how scores follow from the network's output.
        score_threshold: the default threshold, chosen by measurement.
        metrics: name of the data -> measured figures and how they were measured.
        recipe: the training recipe, whole; ``recipe_hash`` is its SHA-256.
        package_version, date, attribution: who made it, when (ISO), from whose data.
        source: of imported weights: name, address, SHA-256, licence and published figures.
    """

    class_names: tuple[str, ...]
    architecture: Architecture | PublishedArchitecture = field(default_factory=Architecture)
    preprocessing: Preprocessing = field(default_factory=Preprocessing)
    scoring: Scoring = field(default_factory=Scoring)
    score_threshold: float = 0.5
    metrics: dict = field(default_factory=dict)
    recipe: dict = field(default_factory=dict)
    recipe_hash: str = ''
    package_version: str = ''
    date: str = ''
    attribution: str = ''
    source: dict = field(default_factory=dict)

    @property
    def columns(self) -> int:
        """Columns of the network's logits: the classes, and what stands for no class."""
        return len(self.class_names) + self.scoring.other_columns

    def __post_init__(self) -> None:
        names = self.class_names
        _require(1 <= len(names) <= 1000 and len(set(names)) == len(names)
                 and all(name and len(name) <= 100 and name.isprintable() for name in names),
                 'class_names', '1 to 1000 different printable names', names)
        _require(0 <= self.score_threshold <= 1, 'score_threshold', 'from 0 to 1',
                 self.score_threshold)
        s = self.scoring
        _require(s.activation in ACTIVATIONS, 'activation', f'one of {", ".join(ACTIVATIONS)}',
                 s.activation)
        _require(0 <= s.other_columns <= 1000, 'other_columns', 'from 0 to 1000', s.other_columns)
        _require(0 <= s.candidates_per_class <= 1000
                 and s.candidates_per_class * len(names) <= MAX_ALL_CANDIDATES,
                 'candidates_per_class', 'from 0 to 1000, and at most '
                 f'{MAX_ALL_CANDIDATES} for all classes together', s.candidates_per_class)
        # Each within its bounds, they can still ask for gigabytes for one image.
        outputs = self.architecture.anchor_count * (self.columns + 4)
        _require(outputs <= MAX_OUTPUTS, 'architecture', 'such that anchors times classes are at '
                 f'most {MAX_OUTPUTS}', outputs)

    def to_json(self) -> str:
        """Return the JSON that ``from_json`` reads; metrics keep their order."""
        return json.dumps({'format_version': FORMAT_VERSION, **dataclasses.asdict(self)})

    @classmethod
    def from_json(cls, text: str) -> Metadata:
        """Read and check.

        Raises:
            MetadataError: naming the field, what was expected and what was found.
        """
        if len(text) > MAX_JSON_BYTES:
            raise MetadataError(f'Metadata has {len(text)} characters, more than the '
                                f'{MAX_JSON_BYTES} allowed.')
        try:
            data = json.loads(text)
        except (ValueError, RecursionError) as error:  # also an integer of 5000 digits
            raise MetadataError(f'Metadata is not JSON: {error}.') from error
        if not isinstance(data, dict) or data.pop('format_version', None) not in READABLE_VERSIONS:
            raise MetadataError('Metadata needs "format_version" '
                                f'{" or ".join(map(str, READABLE_VERSIONS))}; the file was '
                                'made by another program or a newer version of this one.')
        if not _is_shallow(data):
            raise MetadataError(f'Metadata is nested more than the {_MAX_DEPTH} levels allowed.')
        return build(cls, data, '')


def _is_shallow(data: object) -> bool:
    level: list[Any] = [data]
    for _ in range(_MAX_DEPTH):
        level = [child for parent in level for child in (
            parent.values() if isinstance(parent, dict) else parent)
            if isinstance(child, (dict, list))]
        if not level:
            return True
    return False


def recipe_hash(recipe: dict) -> str:
    """Return the SHA-256 of a recipe, independent of its keys' order."""
    return hashlib.sha256(json.dumps(recipe, sort_keys=True).encode()).hexdigest()


def build(kind: type[Built], data: object, where: str) -> Built:
    """Make a dataclass from a JSON object; unknown, missing or wrongly typed keys are refused.

    Args:
        kind: the dataclass, whose type hints are what is checked.
        data: as ``json`` or ``yaml`` reads it.
        where: what its keys begin with in messages, such as ``architecture.``; empty for the
            whole.

    Raises:
        MetadataError: naming the key, what was expected and what was found.
    """
    if not isinstance(data, dict):
        raise MetadataError(f'{where or "Metadata"} must be an object, got {_short(data)}.')
    hints = typing.get_type_hints(kind)
    for key in data:
        if key not in hints:
            raise MetadataError(f'Unknown key "{where}{printable(key, 60)}"; known are '
                                f'{", ".join(hints)}.')
    values = {key: _convert(hints[key], value, f'{where}{key}') for key, value in data.items()}
    try:
        return kind(**values)
    except TypeError as error:  # a field without default is absent
        raise MetadataError(f'{where or "Metadata"}: {error}.') from error


def _convert(hint: Any, value: Any, where: str) -> Any:
    """Return ``value`` as ``hint`` says; JSON has lists for tuples and 1 for 1.0."""
    if isinstance(hint, types.UnionType):  # of dataclasses: the one that has all the keys
        kinds = typing.get_args(hint)
        hint = next((kind for kind in kinds if isinstance(value, dict)
                     and value.keys() <= typing.get_type_hints(kind).keys()), kinds[0])
    if isinstance(hint, type) and dataclasses.is_dataclass(hint):
        return build(hint, value, where + '.')
    if typing.get_origin(hint) is tuple:
        item, *rest = typing.get_args(hint)
        if isinstance(value, (list, tuple)) and len(value) <= 1000:
            return tuple(_convert(item, v, f'{where}[{i}]') for i, v in enumerate(value))
    elif hint is float:
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            with contextlib.suppress(OverflowError):
                return float(value)
    elif type(value) is hint:
        return value
    expected = {bool: 'true or false', int: 'a whole number', float: 'a number', str: 'a string',
                tuple: 'a list'}.get(typing.get_origin(hint) or hint, str(hint))
    raise MetadataError(f'"{where}" must be {expected}, got {_short(value)}.')


def _require(condition: bool, name: str, expected: str, found: object) -> None:
    if not condition:
        raise MetadataError(f'"{name}" must be {expected}, got {_short(found)}.')


def _short(value: object) -> str:
    return quoted(value, 80)
