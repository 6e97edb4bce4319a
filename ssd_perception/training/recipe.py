"""A training recipe: one YAML file, one frozen dataclass, unknown keys refused."""

from __future__ import annotations

import dataclasses
import difflib
import os
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from ssd_perception.core.errors import UserError
from ssd_perception.core.metadata import Architecture, MetadataError, Preprocessing, build


class RecipeError(UserError, ValueError):
    """A recipe cannot be used; the message names the file, the key and what was expected."""


@dataclass(frozen=True)
class PasteRecipe:
    """Settings of ``data.paste.Paster``.

    Attributes:
        probability: of cut-outs being pasted into a picture; 0 switches it off.
        cutouts: folder with a sub-folder of cut-outs for every class, and ``none``.
        backgrounds: folder of pictures without objects to paste into; empty: the training
            pictures.
        recolour: probability of any other colour for a cut-out.
    """

    probability: float = 0.0
    cutouts: str = ''
    backgrounds: str = ''
    recolour: float = 0.3


@dataclass(frozen=True)
class AugmentationRecipe:
    """Settings of ``data.augment.Augmentation`` and of what is composed before it.

    Attributes:
        mosaic: probability of a mosaic of four.
        mosaic_off: share of the run, at its end, without mosaic.
        aspect, flip, zoom_out, crop, photometric, camera: see ``data.augment.Augmentation``.
        synthetic: share of pictures that are drawn and hold nothing.
        recolour_empty: probability of other colours for pictures without objects, which stay
            so in any colour.
        recolour_objects: the same for pictures with objects, whose class is their shape.
        paste: cut-outs of objects.
    """

    mosaic: float = 0.4
    mosaic_off: float = 0.25
    aspect: float = 1.35
    flip: float = 0.5
    zoom_out: float = 0.3
    crop: float = 0.6
    photometric: float = 0.8
    camera: float = 0.3
    synthetic: float = 0.0
    recolour_empty: float = 0.0
    recolour_objects: float = 0.0
    paste: PasteRecipe = field(default_factory=PasteRecipe)


@dataclass(frozen=True)
class LossRecipe:
    """Settings of ``training.losses.DetectionLoss``.

    Attributes:
        box: ``giou``, or ``smooth_l1`` on coded deltas as in SSD and RetinaNet.
        alpha, gamma: of the focal loss.
        box_weight: of the box loss beside it. GIoU at weight 1 is drowned by classification; see
            DIoU-SSD's ablation.
        foreground_iou, background_iou: see ``training.losses.match``.
    """

    box: str = 'giou'
    alpha: float = 0.25
    gamma: float = 2.0
    box_weight: float = 2.0
    foreground_iou: float = 0.5
    background_iou: float = 0.4


@dataclass(frozen=True)
class Recipe:
    """Everything that decides what comes out of a training, except the data.

    The YAML files under config/train explain each key where it is set.

    Raises:
        RecipeError: for a value out of its range; the message names the key.
    """

    iterations: int
    class_names: tuple[str, ...] = ()
    architecture: Architecture = field(default_factory=Architecture)
    preprocessing: Preprocessing = field(default_factory=Preprocessing)
    init: str = 'lite'
    drop_path: float = 0.0
    frozen_stages: int = 0
    freeze_backbone_norms: bool = True
    batch_size: int = 8  # pictures per optimiser step, over all processes
    accumulate: int = 1  # parts a process computes its share of a batch in
    multi_scale: tuple[float, ...] = ()  # lowest and highest factor on input_hw; empty: off
    learning_rate: float = 0.01
    backbone_rate: float = 1.0
    momentum: float = 0.9
    nesterov: bool = False
    weight_decay: float = 0.0001
    gradient_clip: float = 10.0
    warmup: int = 100
    plateau: float = 0.3
    floor: float = 0.01
    ema_decay: float = 0.998
    ema_ramp: float = 200.0
    precision: str = 'auto'
    loss: LossRecipe = field(default_factory=LossRecipe)
    augmentation: AugmentationRecipe = field(default_factory=AugmentationRecipe)
    seed: int = 0
    workers: int = 1
    cache_mib: int = 600
    checkpoint_every: int = 100
    evaluate_every: int = 200
    patience: int = 0  # measurements without a better one before stopping; 0: never

    def __post_init__(self):
        for name, low, high in (
                ('iterations', 1, 10 ** 7), ('batch_size', 1, 4096), ('accumulate', 1, 4096),
                ('patience', 0, 10 ** 6), ('learning_rate', 1e-7, 10),
                ('backbone_rate', 0, 10), ('momentum', 0, 0.999), ('weight_decay', 0, 1),
                ('gradient_clip', 0, 1e6), ('frozen_stages', 0, 8), ('ema_decay', 0, 0.99999),
                ('ema_ramp', 1, 10 ** 6), ('workers', 0, 64), ('checkpoint_every', 1, 10 ** 6),
                ('evaluate_every', 1, 10 ** 7), ('drop_path', 0, 0.9)):
            value = getattr(self, name)
            if not low <= value <= high:
                raise RecipeError(f'"{name}" must be from {low} to {high}, got {value}.')
        for name, value, choices in (('precision', self.precision,
                                      ('auto', 'fp32', 'bf16', 'fp16')),
                                     ('loss.box', self.loss.box, ('giou', 'smooth_l1'))):
            if value not in choices:
                raise RecipeError(f'"{name}" must be one of {", ".join(choices)}, '
                                  f'got "{value}".')
        scales = self.multi_scale
        if scales and (len(scales) != 2 or not 0.25 <= scales[0] <= scales[1] <= 4):
            raise RecipeError('"multi_scale" must be empty, or the lowest and the highest factor '
                              f'from 0.25 to 4, got {list(scales)}.')

    def as_dict(self) -> dict:
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
        data = yaml.safe_load(path.read_text())
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise RecipeError(f'{path} cannot be read as a YAML recipe: {error}.') from error
    if not isinstance(data, dict):
        raise RecipeError(f'{path} must hold "key: value" lines.')
    for override in overrides:
        _set(data, override)
    return recipe_from_dict(data, str(path))


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
        place[last] = yaml.safe_load(value)
    except yaml.YAMLError as error:
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
