"""The use-case behind ``ssd_perception train``: data in, measured weights out."""

from __future__ import annotations

import dataclasses
import itertools
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from ssd_perception import __version__
from ssd_perception.core.atomic_write import atomic_write
from ssd_perception.core.errors import DataError, SettingError
from ssd_perception.core.format import format_number
from ssd_perception.core.text import counted, listed
from ssd_perception.data.division import FEWEST
from ssd_perception.data.layout import read_split
from ssd_perception.data.sample import Sample, as_negatives, class_names
from ssd_perception.data.training_data import NO_SPLIT, TrainingData, read_training_data
from ssd_perception.evaluation.accuracy import Accuracy
from ssd_perception.evaluation.run import evaluate_detector
from ssd_perception.evaluation.weights_metrics import measure_for_metadata
from ssd_perception.inference.detector import Detector
from ssd_perception.inference.resolve import resolve_weights
from ssd_perception.inference.runtimes.torch import choose_device
from ssd_perception.model.initialise import INITS
from ssd_perception.model.weights import load_model, save_weights
from ssd_perception.training.plan import plan_recipe
from ssd_perception.training.recipe import Recipe, load_recipe
from ssd_perception.training.recipe_yaml import to_yaml
from ssd_perception.training.run_folder import CHECKPOINT
from ssd_perception.training.trainer import Trainer

Log = Callable[[str], object]
ENOUGH_OBJECTS = 50  # of validation; a threshold chosen on fewer moves with every image


@dataclass(frozen=True)
class TrainOptions:
    """What to train on what.

    Attributes:
        data: folders or archives in one of the layouts of docs/data.md; the validation split of
            the first chooses the best weights.
        out: folder of the run.
        recipe: YAML file; None plans one from the data, see ``training.plan``, and keeps it in
            ``out``.
        changes: ``key=value`` on top of the recipe.
        init: weights to begin with, as the recipe's ``init``, in place of it; '' for that.
        repeats: how often each folder of ``data`` counts; empty for once.
        negatives: folders, or ``FOLDER:SPLIT``, whose images hold none of the classes.
        split, val_split: trained on, and measured on.
        one_based: whether VOC's boxes are whole pixels from 1; None decides by the annotations.
        resume: continue from the checkpoint in ``out``, if there is one.
        device: ``cpu`` or ``cuda``; None takes cuda where there is one.
        minutes: that a planned training may take.
        latency_ms: that a planned network may take for one image on this machine; None for any.
    """

    data: Sequence[Path]
    out: Path
    recipe: Path | None = None
    changes: tuple[str, ...] = ()
    init: str = ''
    repeats: Sequence[int] = ()
    negatives: Sequence[str] = ()
    split: str = 'train'
    val_split: str = 'val'
    one_based: bool | None = None
    resume: bool = False
    device: str | None = None
    minutes: float = 25.0
    latency_ms: float | None = None

    def __post_init__(self) -> None:
        if self.repeats and (len(self.repeats) != len(self.data) or min(self.repeats) < 1):
            raise SettingError(
                f'--repeat takes a number from 1 on for each of the {len(self.data)} folders of '
                f'--data, got {" ".join(map(str, self.repeats))}.')
        if not 0.1 <= self.minutes <= 10 ** 5:
            raise SettingError(f'--minutes must be from 0.1 to 100000, got {self.minutes:g}.')


@dataclass(frozen=True)
class TrainResult:
    """The result of a training; of several processes only the main one returns weights.

    Attributes:
        weights: the best ones, with their figures inside; the last ones, without figures, where
            there are no validation images.
        recipe: of this training; the run's recipe.yaml holds it.
        accuracy: of ``weights`` on the first validation split.
        threshold: default score threshold that was chosen there and written into ``weights``.
        unreadable: images that could not be read; training used other images instead.
    """

    weights: Path | None
    recipe: Recipe
    accuracy: Accuracy | None = None
    threshold: float | None = None
    unreadable: int = 0


def run(options: TrainOptions, log: Log = lambda line: None,
        warn: Log = lambda line: None) -> TrainResult:
    """Read the data, plan where no recipe is given, train, measure the best weights.

    Args:
        log: called with sentences about the run.
        warn: called with sentences about data that were left out.

    Raises:
        UserError: for data, a recipe or options that cannot be used, or a training that cannot go
            on.
        KeyboardInterrupt: after SIGINT or SIGTERM, the checkpoint being written.
    """
    bad: list[DataError] = []
    _check_folder(options)
    data = read_training_data(options.data, options.split, options.val_split, options.one_based,
                              bad.append, options.repeats)
    main = int(os.environ.get('RANK', 0)) == 0  # of the processes that torchrun starts
    for line in data.taken if main else ():
        log(line)
    samples, validation = list(data.train), data.validation
    names = _class_names(data, warn if main else lambda line: None)
    for item in options.negatives:
        folder, _, split = item.partition(':')
        samples += as_negatives(read_split(folder, split or options.split, None, bad.append))
    device = choose_device(options.device or 'auto').partition(':')[0]
    recipe, text = _recipe(options, data, names, device, log)
    trainer = Trainer(recipe, samples, validation, options.out, device)
    trainer.metadata = dataclasses.replace(trainer.metadata, package_version=__version__,
                                           date=date.today().isoformat())
    resumed = _begin(trainer, options, text)
    if trainer.world.main:
        _warn_of_shared(data, warn)
        _warn_of(bad, warn)
        if not validation and options.val_split != NO_SPLIT:
            warn('There are no validation images, and some of the training images are set aside '
                 f'only from {FEWEST} on: nobody will know how good the weights are.')
        start = f'from iteration {trainer.iteration} on' if resumed else 'from the beginning'
        processes = f' in {trainer.world.size} processes' if trainer.world.size > 1 else ''
        log(f'Training on {len(samples)} images ({listed(recipe.class_names, 10)}), {start}, for '
            f'{recipe.iterations} iterations on {device}{processes}; results go to '
            f'{options.out}.')
    try:
        trainer.run()
        trainer.world.wait()
    finally:
        trainer.world.leave()
    result = TrainResult(None, recipe, unreadable=len(trainer.skipped))
    if trainer.world.main and trainer.folder.best.is_file():
        result = dataclasses.replace(result, weights=trainer.folder.best)
        if validation:
            return _measure(result, trainer, validation, options, device, log)
        log(f'{result.weights}: the weights of the last step. There are no validation images, so '
            'nobody knows how good they are; label some more and train again.')
    return result


def _class_names(data: TrainingData, warn: Log) -> tuple[str, ...]:
    """Return the names of all classes, those that only validation holds too."""
    trained = class_names(data.train)
    names = class_names([*data.train, *itertools.chain(*data.validation.values())])
    untrained = [name for name in names if name not in trained]
    if untrained:
        warn(f'No training image holds {listed(untrained, 5)}: the weights cannot find what they '
             'never saw.')
    return names


def _warn_of_shared(data: TrainingData, warn: Log) -> None:
    """Name validation images that are trained on, such as those of a data.yaml's one folder."""
    trained = {sample.path for sample in data.train}
    for name, samples in data.validation.items():
        shared = sum(sample.path in trained for sample in samples)
        if shared:
            warn(f'{shared} of the {len(samples)} validation images of {name} are trained on too, '
                 'so the figures mean little: give other validation images, or remove that split; '
                 'then a part of the training images is set aside.')


def _recipe(options: TrainOptions, data: TrainingData, names: tuple[str, ...], device: str,
            log: Log) -> tuple[Recipe, str]:
    """Return the recipe of the run and its YAML."""
    kept = options.out / 'recipe.yaml'
    if options.recipe is None and options.resume and kept.is_file():
        recipe, text = load_recipe(kept, options.changes), ''
    elif options.recipe is None:
        if int(os.environ.get('WORLD_SIZE', 1)) > 1:
            raise SettingError('Several processes need a recipe, because each one would make '
                               'a different plan: train with one process and --minutes 0.1, '
                               'then give its recipe.yaml.')
        log('Planning: some steps are computed, to see how long one takes.')
        plan = plan_recipe(data.train, names, options.minutes, options.latency_ms, device,
                           options.changes, options.init,
                           [*itertools.chain(*data.validation.values())])
        for line in plan.lines:
            log(line)
        recipe, text = plan.recipe, plan.yaml
    else:
        recipe, text = load_recipe(options.recipe, options.changes), ''
    if options.init:
        own = any(item.startswith('init_backbone=') for item in options.changes)
        recipe = dataclasses.replace(
            recipe, init_backbone=recipe.init_backbone if own else 'none',
            init=options.init if options.init in INITS else str(resolve_weights(options.init)))
    if not recipe.class_names:
        recipe = dataclasses.replace(recipe, class_names=names)
    return recipe, text or to_yaml(recipe, f'The recipe of the run {options.out.name}, as it was '
                                   'trained.')


def _check_folder(options: TrainOptions) -> None:
    """Refuse a run that is there already and is not to be resumed."""
    checkpoint = options.out / CHECKPOINT
    if checkpoint.is_file() and not options.resume:
        raise DataError(f'{checkpoint} exists; add --resume to continue it, or choose another '
                        '--out.')


def _begin(trainer: Trainer, options: TrainOptions, recipe_yaml: str) -> bool:
    """Resume where that is wanted, keep the recipe; return whether a checkpoint was there."""
    if trainer.world.main:
        trainer.folder.lock()
    try:
        resumed = options.resume and trainer.resume()
        if trainer.world.main and not resumed:
            atomic_write(options.out / 'recipe.yaml', recipe_yaml.encode())
    except BaseException:
        trainer.folder.close()
        raise
    return resumed


def _measure(result: TrainResult, trainer: Trainer, validation: Mapping[str, Sequence[Sample]],
             options: TrainOptions, device: str, log: Log) -> TrainResult:
    """Write the default threshold and the figures into the best weights, and their report."""
    best = trainer.folder.best
    metrics = measure_for_metadata(Detector.from_weights(best, 'torch', device),
                                   trainer.validation, skip_unreadable=True)
    model, metadata = load_model(best)
    save_weights(best, model, dataclasses.replace(
        metadata, metrics=metrics.to_json(), score_threshold=metrics.threshold))
    name, samples = next(iter(trainer.validation.items()))
    found = evaluate_detector(
        Detector.from_weights(best, 'torch', device), samples, options.data[0],
        options.val_split, trainer.folder.path / 'report').analysis.accuracy
    left_out = len(validation[name]) - found.images
    without = f', without {counted(left_out, "image")} that cannot be decoded' if left_out else ''
    log(f'{best}: AP50 {format_number(found.voc10_ap50, digits=4)} (VOC10), COCO AP '
        f'{format_number(found.coco_ap, digits=4)} on {name}{without}; default score '
        f'threshold {metrics.threshold:g}; see {trainer.folder.path / "report/report.html"}.')
    if found.objects < ENOUGH_OBJECTS:
        objects = 'one object' if found.objects == 1 else f'{found.objects} objects'
        log(f'These figures and the threshold rest on {objects}: label more validation images '
            'before you rely on them.')
    return dataclasses.replace(result, weights=best, accuracy=found, threshold=metrics.threshold)


def _warn_of(bad: Sequence[DataError], warn: Log) -> None:
    """Name every file that was left out, once."""
    for error in dict.fromkeys(map(str, bad)):
        warn(error)
    files = len({error.file for error in bad})
    if files:
        warn(f'{files} file{" was" if files == 1 else "s were"} skipped or read in part; '
             '`ssd_perception check_data` names everything that is wrong.')
