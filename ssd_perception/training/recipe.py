"""A training recipe: one YAML file, one frozen dataclass, unknown keys refused."""

from __future__ import annotations

import dataclasses
import difflib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ssd_perception.core import settings
from ssd_perception.core.errors import DataError, SettingError
from ssd_perception.core.metadata import Architecture, MetadataError, Preprocessing, build
from ssd_perception.core.safe_path import regular_file
from ssd_perception.core.safe_yaml import YamlError, load_yaml, read_yaml
from ssd_perception.core.settings import setting

PROBABILITY = (0.0, 1.0)
MAX_RECIPE_BYTES = 1_000_000  # one with every key and its comment has 10 kB


class RecipeError(SettingError):
    """A recipe cannot be used; the message names the file, the key and what was expected."""


@dataclass(frozen=True)
class PasteRecipe:
    """Settings of ``data.paste.Paster``: cut-outs of objects, pasted into images."""

    probability: float = setting(
        0.0, 'Probability for an image; 0 switches pasting off.', limits=PROBABILITY)
    cutouts: str = setting(
        '', 'Folder with a sub-folder of PNG or WebP images with transparent surroundings for '
        'every class, and "none" for look-alikes, which get no box.')
    recolour: float = setting(
        0.3, 'Probability that a cut-out gets a random colour.', limits=PROBABILITY)


@dataclass(frozen=True)
class AugmentationRecipe:
    """Settings of ``data.augment.Augmentation`` and of what is composed before it."""

    mosaic: float = setting(0.4, 'Probability of a mosaic of four images.', limits=PROBABILITY)
    mosaic_off: float = setting(
        0.25, 'Share of the run, at its end, without mosaic.', limits=PROBABILITY)
    aspect: float = setting(
        1.35, 'Widest sideways stretch, and its inverse. Cameras from 5:4 to 16:9 fill the same '
        'input.', limits=(1.0, 4.0))
    flip: float = setting(0.5, 'Probability of mirroring left and right.', limits=PROBABILITY)
    zoom_out: float = setting(
        0.3, 'Probability of placing the image on a larger grey canvas.', limits=PROBABILITY)
    crop: float = setting(
        0.6, 'Probability of cutting out a part around objects.', limits=PROBABILITY)
    photometric: float = setting(
        0.8, 'Probability of other brightness, contrast, saturation and hue.', limits=PROBABILITY)
    camera: float = setting(
        0.3, "Probability of a camera's fault: blur, JPEG artefacts, noise, grey.",
        limits=PROBABILITY)
    synthetic: float = setting(
        0.0, 'Share of images that are drawn and hold no object: a covered lens, a wall, '
        'coloured blobs.', limits=PROBABILITY)
    recolour_empty: float = setting(
        0.0, 'Probability that an image without objects gets random colours. So a detector of '
        'orange cones sees more orange things that are not cones.', limits=PROBABILITY)
    recolour_objects: float = setting(
        0.0, 'The same for images with objects: the network then learns shapes instead of '
        'colours.', limits=PROBABILITY)
    paste: PasteRecipe = setting(
        meaning='Cut-outs of objects, pasted into images.', default_factory=PasteRecipe)


@dataclass(frozen=True)
class LossRecipe:
    """Settings of ``training.losses.DetectionLoss``."""

    alpha: float = setting(0.25, 'Focal loss: weight of objects, the background has 1 - alpha.',
                           limits=PROBABILITY)
    gamma: float = setting(2.0, 'Focal loss: how strongly the loss of easy anchors is reduced.',
                           limits=(0.0, 10.0))
    negative_weights: tuple[float, ...] = setting(
        (), 'Factor on the loss of anchors that are not of a class, for each class; more than 1 '
        'makes its false scores lower. [] means 1 for all.', limits=(0.01, 100))
    box_weight: float = setting(
        2.0, 'Weight of the box loss. At weight 1 classification drowns GIoU (see the ablation '
        'of DIoU-SSD).', limits=(0.0, 100.0))
    assignment: str = setting(
        'iou', 'Which anchors belong to an object: iou by overlap of the anchors, or aligned '
        '(TOOD) by overlap and score of what they predict; then the score also learns how good '
        'the box is, and alpha and the two thresholds below do not count.',
        choices=('iou', 'aligned'))
    foreground_iou: float = setting(
        0.5, 'An anchor with at least this IoU belongs to an object.', limits=PROBABILITY)
    background_iou: float = setting(
        0.4, 'An anchor below this IoU is background; between the two it is ignored.',
        limits=PROBABILITY)


@dataclass(frozen=True)
class Recipe:
    """Everything that decides what comes out of a training, except the data.

    Raises:
        RecipeError: for a value out of its range; the message names the key.
    """

    iterations: int = setting(meaning='Optimiser steps of the whole run.', limits=(1, 10 ** 7))
    class_names: tuple[str, ...] = setting(
        (), 'Names in label order; [] means all names in the data, sorted.')
    init: str = setting(
        'lite', 'Weights to begin with: lite (ImageNet, for EfficientNet-Lite; B1 takes the '
        "kernels of Lite1), imagenet (B1, MobileNetV3: torchvision's, downloaded once), the path "
        'or name of weights of this package, such as rover, or coco (MobileNetV3: the backbone of '
        'imported weights), or random.')
    init_backbone: str = setting(
        'none', 'ImageNet weights that the backbone begins with in place of those of init, whose '
        'pyramid and heads stay: lite or imagenet, as for init, or none.',
        choices=('none', 'lite', 'imagenet'))
    start_share: float = setting(
        0.0, 'Share of the weights that the training begins with in those that are measured and '
        'kept. 0.5, the mean of both, keeps most of what the start knew and of what was learned; '
        'for training on from weights with the same classes.', limits=(0, 0.9))
    drop_path: float = setting(
        0.0, 'Stochastic depth: largest rate at which a residual block is skipped, reached at '
        'the last block.', limits=(0, 0.9))
    frozen_stages: int = setting(
        0, 'Number of first stages of the backbone that are not trained; the stem is one.',
        limits=(0, 8))
    freeze_backbone_norms: bool = setting(
        True, "Keep ImageNet's batch-norm statistics in the backbone; those of small batches are "
        'noisier.')
    architecture: Architecture = setting(meaning='The network.', default_factory=Architecture)
    preprocessing: Preprocessing = setting(
        meaning='How an image becomes the input.', default_factory=Preprocessing)
    batch_size: int = setting(
        8, 'Images per step, over all processes; a multiple of processes x accumulate.',
        limits=(1, 4096))
    accumulate: int = setting(
        1, 'Parts in which a process computes its share of a batch: less memory, the same '
        'gradient (with "loss.assignment" aligned nearly the same).', limits=(1, 4096))
    multi_scale: tuple[float, ...] = setting(
        (), 'Lowest and highest factor on input_hw, drawn anew for each step; [] switches it '
        'off.', limits=(0.25, 4))
    learning_rate: float = setting(
        0.01, 'Highest rate of SGD, for the pyramid and the heads.', limits=(1e-7, 10))
    backbone_rate: float = setting(
        1.0, 'Factor on learning_rate for the backbone, which is pretrained.', limits=(0, 10))
    momentum: float = setting(0.9, 'Momentum of SGD.', limits=(0, 0.999))
    weight_decay: float = setting(
        0.0001, 'Weight decay; not applied to norms and biases.', limits=(0, 1))
    gradient_clip: float = setting(
        10.0, 'Largest norm of the gradient; 0 switches clipping off.', limits=(0, 1e6))
    warmup: int = setting(
        100, 'First phase of the rate: steps of its linear rise, at most a fifth of the run.',
        limits=(0, 10 ** 6))
    plateau: float = setting(
        0.3, 'Second phase: share of the run after which the rate begins to fall, as a cosine.',
        limits=PROBABILITY)
    floor: float = setting(
        0.01, 'Third phase: factor on the rate that the cosine ends at.', limits=PROBABILITY)
    ema_decay: float = setting(
        0.998, 'Decay of the moving average of the weights; 0.998 averages about 500 steps, 0 '
        'switches it off.', limits=(0, 0.99999))
    ema_ramp: float = setting(
        200.0, 'Steps over which ema_decay rises to its value.', limits=(1, 10 ** 6))
    precision: str = setting(
        'auto', 'auto (bf16 or fp16 on a GPU, fp32 on a CPU), fp32, fp16, or bf16 (GPU only).',
        choices=('auto', 'fp32', 'bf16', 'fp16'))
    loss: LossRecipe = setting(meaning='The loss.', default_factory=LossRecipe)
    augmentation: AugmentationRecipe = setting(
        meaning='Random changes of the training images.', default_factory=AugmentationRecipe)
    seed: int = setting(0, 'Seed of all random choices.', limits=(0, 2 ** 31))
    workers: int = setting(
        1, 'Loader processes of each training process; images do not depend on their number.',
        limits=(0, 64))
    cache_mib: int = setting(
        600, 'Decoded images kept in memory by a training process, MiB, shared out over its '
        'workers.', limits=(0, 10 ** 6))
    checkpoint_every: int = setting(100, 'Steps between checkpoints.', limits=(1, 10 ** 6))
    evaluate_every: int = setting(
        200, 'Steps between measurements on the validation images.', limits=(1, 10 ** 7))

    def __post_init__(self) -> None:
        parts = ((self, ''), (self.loss, 'loss.'), (self.augmentation, 'augmentation.'),
                 (self.augmentation.paste, 'augmentation.paste.'))
        try:
            for part, where in parts:
                settings.check(part, where)
        except SettingError as error:
            raise RecipeError(str(error)) from error
        if self.loss.negative_weights and len(self.loss.negative_weights) != len(self.class_names):
            raise RecipeError('"loss.negative_weights" must be [] or have a factor for each name '
                              f'in "class_names", got {len(self.loss.negative_weights)} factors '
                              f'and {len(self.class_names)} names.')
        if self.multi_scale and not (len(self.multi_scale) == 2
                                     and self.multi_scale[0] <= self.multi_scale[1]):
            raise RecipeError('"multi_scale" must be empty, or the lowest and the highest factor '
                              f'from 0.25 to 4, got {list(self.multi_scale)}.')

    def as_dict(self) -> dict[str, Any]:
        """Return the recipe as JSON types, for metadata and checkpoints."""
        return dataclasses.asdict(self)


def load_recipe(path: str | os.PathLike, overrides: tuple[str, ...] = ()) -> Recipe:
    """Read a recipe.

    Args:
        path: YAML file.
        overrides: ``key=value`` or ``part.key=value``, the value in YAML; applied on top.

    Raises:
        RecipeError: naming the file, the key, what was expected and the nearest known key.
    """
    path = Path(path)
    try:
        data = read_yaml(regular_file(path), max_bytes=MAX_RECIPE_BYTES)
    except DataError as error:
        raise RecipeError(str(error)) from error
    except OSError as error:
        raise RecipeError(f'{path} cannot be read as a YAML recipe: '
                          f'{error.strerror or error}.') from error
    except YamlError as error:
        raise RecipeError(f'{path} cannot be read as a YAML recipe: it {error}.') from error
    if not isinstance(data, dict):
        raise RecipeError(f'{path} must hold "key: value" lines.')
    for override in overrides:
        _set(data, override)
    return recipe_from_dict(data, str(path))


def change(recipe: Recipe, changes: tuple[str, ...]) -> Recipe:
    """Return the recipe with ``key=value`` changes; see ``load_recipe``."""
    data = recipe.as_dict()
    for item in changes:
        _set(data, item)
    return recipe_from_dict(data, '--set') if changes else recipe


def _set(data: dict, override: str) -> None:
    """Change one key of a recipe in plain types."""
    key, separator, value = override.partition('=')
    if not separator:
        raise RecipeError(f'--set takes key=value, got "{override}".')
    *parents, last = key.split('.')
    place = data
    for parent in parents:
        place = place.setdefault(parent, {})
        if not isinstance(place, dict):
            raise RecipeError(f'--set {override}: "{parent}" has no keys below it, it is {place}.')
    try:
        place[last] = load_yaml(value)
    except YamlError as error:
        raise RecipeError(f'--set {override}: the value must be YAML, such as 0.5 or '
                          '[320, 320].') from error


def recipe_from_dict(data: dict, where: str) -> Recipe:
    """Check a recipe in plain types; ``where`` begins the error message.

    Raises:
        RecipeError: naming the key, what was expected and the nearest known key.
    """
    try:
        return build(Recipe, data, '')
    except (MetadataError, RecipeError) as error:
        known = [f.name for f in dataclasses.fields(Recipe)]
        near = next((difflib.get_close_matches(str(key), known, 1) for key in data
                     if key not in known), [])
        hint = f' Did you mean "{near[0]}"?' if near else ''
        raise RecipeError(f'{where}: {error}{hint}') from error
