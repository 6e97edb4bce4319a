"""Plan a training from the data, the time and the machine: every choice a rule with its reason.

docs/training.md has the measurement behind each rule.
"""

from __future__ import annotations

import math
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from ssd_perception.core.metadata import Architecture, Metadata, Preprocessing, WeightsError
from ssd_perception.data.anchor_fit import ENOUGH, coverage, placed_boxes, suggest
from ssd_perception.data.input_fit import AREA, GRID, Look, input_size, seen_as
from ssd_perception.data.sample import Sample
from ssd_perception.data.sample import class_names as names_in
from ssd_perception.inference.exported import cache_in
from ssd_perception.inference.resolve import WeightsNotFound, resolve_weights
from ssd_perception.inference.runtimes import open_runtime
from ssd_perception.inference.weights_file import read_metadata
from ssd_perception.model.initialise import (
    INITS,
    NETWORK,
    InitialWeightsUnavailable,
    differences,
    initialise,
)
from ssd_perception.model.ssd import SSD
from ssd_perception.model.weights import save_weights
from ssd_perception.training.features import mistakes
from ssd_perception.training.recipe import AugmentationRecipe, LossRecipe, Recipe, change
from ssd_perception.training.recipe_yaml import to_yaml
from ssd_perception.training.step_time import measure_times

# Shipped weights that a training goes on from, and their network: other objects were learned
# faster from it than from rover's smaller one (docs/training.md).
START, ARCHITECTURE = 'rover_far', Architecture('efficientnet_lite0')
FROZEN = 3  # stages of the backbone that then are not trained on a CPU
# With at most so many images ImageNet's backbone may replace the shipped one's, all of its stages
# frozen: where it makes at most this share of the mistakes, and so many fewer.
FEW_IMAGES, MOST_OF_MISTAKES, FEWER_MISTAKES = 100, 0.5, 3
EPOCHS = 300  # by then the training images are known by heart
MIN_STEPS = 60
FIXED = 6.0  # seconds of the start before the plan, and of the report's figures
MEASUREMENT = 1.0  # seconds of a measurement that do not depend on the number of images
MEASURING = 0.2  # largest share of the time for measurements on the validation images
MEASUREMENTS, LAST = 6, 2  # on them: in a run that has the time, and of the finished weights
CALLS = 15  # of a network whose latency is measured


@dataclass
class Plan:
    """A recipe that was planned.

    Attributes:
        recipe: what to train by.
        reasons: key of the recipe -> why it has its value.
    """

    recipe: Recipe
    reasons: dict[str, str] = field(default_factory=dict)

    @property
    def lines(self) -> list[str]:
        """What to tell people before the training begins."""
        a = self.recipe.architecture
        height, width = a.input_hw
        return [f'Planned: {a.backbone} at {width}x{height}, {a.anchors.per_cell} anchors per '
                f'cell, {self.recipe.iterations} steps of {self.recipe.batch_size} images.',
                *(f'  {key}: {reason}' for key, reason in self.reasons.items())]

    @property
    def yaml(self) -> str:
        """The recipe as a file that reproduces the run."""
        return to_yaml(self.recipe, 'Planned by `ssd_perception train` from the data.',
                       self.reasons)


def plan_recipe(samples: Sequence[Sample], class_names: tuple[str, ...], minutes: float,
                latency_ms: float | None, device: str, changes: tuple[str, ...] = (),
                init: str = '', validation: Sequence[Sample] = ()) -> Plan:
    """Plan a training.

    Args:
        samples: to be trained on.
        minutes: that it may take.
        latency_ms: that the network may take for one image here; None for any.
        device: ``cpu`` or ``cuda``.
        changes: ``key=value`` on top of the plan; what follows from a changed key follows.
        init: weights to begin with, whose network is taken; '' chooses.
        validation: images to be measured on.

    Raises:
        DataError: when there is nothing to plan from.
        RecipeError: for a change that is none of a recipe.
        WeightsNotFound, WeightsError: for an ``init`` that cannot be read.
    """
    begun = time.perf_counter()
    look = Look.at(samples)
    gpu = device == 'cuda'
    recipe = Recipe(
        MIN_STEPS, class_names, architecture=ARCHITECTURE,
        init=init or 'lite', batch_size=32 if gpu else 8, learning_rate=0.08 if gpu else 0.04,
        plateau=0.4, workers=8 if gpu else 1,
        loss=LossRecipe(box_weight=5.0, assignment='aligned'),
        augmentation=AugmentationRecipe(synthetic=0.05))
    plan = Plan(change(recipe, changes))
    if not init:
        _choose_start(plan, device, changes)
    if not init and len(samples) <= FEW_IMAGES:
        _choose_backbone(plan, samples, changes)
    _take_network(plan, changes)
    _choose_mirror(plan, changes)
    _choose_input(plan, look, changes)
    if latency_ms is not None:
        _bound_latency(plan, look, latency_ms, device, changes)
    _choose_parts(plan, changes)
    _choose_anchors(plan, look, changes)
    _choose_length(plan, samples, validation, minutes, begun, device, changes)
    return plan


def _update(plan: Plan, changes: tuple[str, ...], key: str, reason: str, **values: object) -> None:
    """Put values into the recipe, and then the user's own changes."""
    plan.recipe = change(replace(plan.recipe, **values), changes)  # type: ignore[arg-type]
    if not any(item.startswith(f'{key}=') for item in changes):
        plan.reasons[key] = reason


def _choose_start(plan: Plan, device: str, changes: tuple[str, ...]) -> None:
    """Go on from the shipped detector where there is one and it fits the network."""
    try:
        metadata = read_metadata(resolve_weights(START))
    except (WeightsNotFound, WeightsError):  # an installation without the shipped weights
        return
    if differences(plan.recipe.architecture, metadata.architecture):
        return
    _update(plan, changes, 'init', 'the shipped detector learns other objects faster than a '
            'network that has only learned to classify images.', init=START)
    if device == 'cpu' and plan.recipe.init == START:
        _update(plan, changes, 'frozen_stages', 'the stem and the first two stages keep what they '
                'have learned, and a step takes three quarters of the time.',
                frozen_stages=FROZEN)


def _choose_backbone(plan: Plan, samples: Sequence[Sample], changes: tuple[str, ...]) -> None:
    """Keep ImageNet's features where they, and not the detector's, distinguish the classes.

    A few images do not teach the backbone what its own start did not know, and trained on them it
    forgets what it knew (Wang et al. 2020, "Frustratingly Simple Few-Shot Object Detection").
    So a command that freezes other stages keeps the detector's.
    """
    recipe, names = plan.recipe, plan.recipe.class_names
    if recipe.init != START or len(names_in(samples)) < 2 or any(
            item.startswith(('init_backbone=', 'frozen_stages=')) for item in changes):
        return
    counts = []
    try:
        for init in (str(resolve_weights(START)), 'lite'):
            network = SSD(recipe.architecture, len(names))
            initialise(network, init, names)
            counts.append(mistakes(network.backbone, samples, names, recipe.preprocessing))
    except InitialWeightsUnavailable:  # an installation without the packages of ImageNet weights
        return
    own, lite = counts
    if lite > MOST_OF_MISTAKES * own or own - lite < FEWER_MISTAKES:
        return
    _update(plan, changes, 'init_backbone', f'the features of ImageNet take {lite} of the objects '
            f'looked at for another class, those of the shipped detector {own}.',
            init_backbone='lite')
    _update(plan, changes, 'frozen_stages', 'trained on so few images the backbone would lose '
            'what it knows of the classes.', frozen_stages=len(network.backbone.stages))


def _take_network(plan: Plan, changes: tuple[str, ...]) -> None:
    """Take the network of the weights that the training begins with: it may be another one."""
    if plan.recipe.init in INITS:
        return
    own, other = plan.recipe.architecture, read_metadata(
        resolve_weights(plan.recipe.init)).architecture
    if isinstance(other, Architecture) and differences(own, other):
        _update(plan, changes, 'architecture.backbone', 'the network is that of the weights that '
                'the training begins with.',
                architecture=replace(own, **{key: getattr(other, key) for key in NETWORK}))


def mirrored_is_another(class_names: tuple[str, ...]) -> bool:
    """Return whether the mirror image of an object may be of another class, by their names.

    That is so where a name with "left" has a partner with "right", and where most names are
    characters: beside digits there may be a class for the whole number plate.
    """
    names = {name.lower() for name in class_names}
    characters = sum(len(name) == 1 for name in names)
    return any('left' in name and name.replace('left', 'right') in names for name in names) \
        or (characters > 1 and 2 * characters > len(names))


def _choose_mirror(plan: Plan, changes: tuple[str, ...]) -> None:
    if mirrored_is_another(plan.recipe.class_names):
        _update(plan, changes, 'augmentation.flip', 'by the names of the classes, the mirror '
                'image of an object may be of another class.',
                augmentation=replace(plan.recipe.augmentation, flip=0.0))


def _choose_input(plan: Plan, look: Look, changes: tuple[str, ...]) -> None:
    hw, reason = input_size(look, len(plan.recipe.class_names))
    _update(plan, changes, 'architecture.input_hw', reason,
            architecture=replace(plan.recipe.architecture, input_hw=hw))


def _choose_parts(plan: Plan, changes: tuple[str, ...]) -> None:
    """Compute a batch of large inputs in parts, which take no more memory than usual ones."""
    parts, batch = 1, plan.recipe.batch_size
    while math.prod(plan.recipe.architecture.input_hw) > parts * AREA and batch % (2 * parts) == 0:
        parts *= 2
    if parts > 1:
        _update(plan, changes, 'accumulate', 'so a large input takes no more memory than a usual '
                'one.', accumulate=parts)


def _choose_anchors(plan: Plan, look: Look, changes: tuple[str, ...]) -> None:
    a = plan.recipe.architecture
    boxes = placed_boxes(zip(look.boxes, look.sizes), a, plan.recipe.preprocessing)
    covered = coverage(boxes, a).covered or 0.0
    better = suggest(boxes, a) if covered < ENOUGH else None
    if better is None:
        plan.reasons['architecture.anchors'] = (
            f'{100 * covered:.1f} % of the objects overlap an anchor by half or more.')
        return
    _update(plan, changes, 'architecture.anchors',
            f'fitted to the objects by k-means: {100 * better.covered:.1f} % of them overlap an '
            f'anchor by half or more, {100 * covered:.1f} % would with the usual ones.',
            architecture=replace(a, anchors=better.spec))


def latency(architecture: Architecture, preprocessing: Preprocessing, device: str) -> float:
    """Return the median milliseconds of the network for one image in the fastest runtime."""
    metadata = Metadata(('a',), architecture, preprocessing)
    with tempfile.TemporaryDirectory() as folder, cache_in(folder):
        weights = save_weights(Path(folder, 'untrained.safetensors'), SSD(architecture, 1),
                               metadata)
        runtime = open_runtime(weights, 'auto', device, 'auto', None)
        image = np.zeros((1, *architecture.input_hw, 3), np.uint8)
        times = []
        for _ in range(CALLS):
            begin = time.perf_counter()
            runtime(image)
            times.append(1000 * (time.perf_counter() - begin))
    return float(np.median(times[3:]))


def _bound_latency(plan: Plan, look: Look, limit: float, device: str,
                   changes: tuple[str, ...]) -> None:
    """Shrink the input until the network is fast enough; time follows its area."""
    while True:
        a = plan.recipe.architecture
        taken = latency(a, plan.recipe.preprocessing, device)
        height, width = a.input_hw
        long, short = max(a.input_hw), min(a.input_hw)
        fixed = any(item.startswith('architecture.') for item in changes)
        if taken <= limit or fixed or long <= 4 * GRID:
            break
        factor = min(1 - GRID / long, math.sqrt(limit / taken))
        side = max(4 * GRID, GRID * math.floor(long * factor / GRID))
        other = max(2 * GRID, GRID * round(short * side / long / GRID))
        smaller = (other, side) if width >= height else (side, other)
        plan.recipe = replace(plan.recipe, architecture=replace(a, input_hw=smaller))
        plan.reasons['architecture.input_hw'] = seen_as(look, smaller)
    verdict = 'within' if taken <= limit else 'more than'
    plan.reasons['architecture.backbone'] = (
        f'the network takes {taken:.1f} ms for an image at {width}x{height} on this machine, '
        f'{verdict} the {limit:g} ms that were asked for.')


def _choose_length(plan: Plan, samples: Sequence[Sample], validation: Sequence[Sample],
                   minutes: float, begun: float, device: str, changes: tuple[str, ...]) -> None:
    batch, count, times = plan.recipe.batch_size, max(1, len(samples)), MEASUREMENTS
    if any(item.startswith('iterations=') for item in changes):
        steps, reason = plan.recipe.iterations, ''
    else:
        step, image = measure_times(plan.recipe, samples, validation, device, 60 * minutes)
        once = MEASUREMENT + image * len(validation) if validation else 0.0
        seconds = 60 * minutes - FIXED - (time.perf_counter() - begun)
        times = int(max(1, min(times, (MEASURING * seconds / max(once, 1e-9)) - LAST)))
        by_time = int((seconds - once * (times + LAST)) / step)
        by_data = EPOCHS * count // batch
        steps = max(MIN_STEPS, min(by_time, by_data))
        length = f'{steps * step / 60:.1f} minutes'
        limit = f'{minutes:g} minutes'
        if steps > min(by_time, by_data):
            limit = f'at least {MIN_STEPS} steps, {length}'
        elif by_data < by_time:
            limit = (f'{EPOCHS} epochs at most, {length}; {minutes:g} minutes are enough for '
                     f'{by_time * batch // EPOCHS} images')
        reason = (f'{limit}; a step takes {step:.2f} s here, and the run has '
                  f'{round(steps * batch / count, 1):g} epochs.')
    _update(plan, changes, 'iterations', reason, iterations=steps,
            warmup=max(1, min(100, steps // 10)),
            ema_decay=round(1 - 1 / max(20, min(500, steps // 8)), 5),
            ema_ramp=float(max(10, min(200, steps // 8))),
            evaluate_every=max(25, math.ceil(steps / times)),
            checkpoint_every=max(10, min(200, steps // 10)))
