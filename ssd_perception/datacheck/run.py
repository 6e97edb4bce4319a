"""Check a data set and write its report: the use-case behind the verb check_data."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from ssd_perception.core.errors import SettingError
from ssd_perception.core.result_folder import check_replaceable, result_folder
from ssd_perception.data.layout import has_split, separate_splits, taken
from ssd_perception.datacheck.augmented_samples import augmented_samples
from ssd_perception.datacheck.check import DatasetReport, check_dataset
from ssd_perception.datacheck.report import MARK, write_report
from ssd_perception.training.recipe import Recipe, load_recipe


@dataclass(frozen=True)
class CheckOptions:
    """What to check, and for which training.

    Attributes:
        data: folders, or zip archives of them, in one of ``data.layout.LAYOUTS``.
        out: folder of the report; an earlier report there is replaced.
        splits: empty for all, but for those that only join others (trainval).
        recipe: a recipe file: its classes, input size, anchors and augmentation; None for
            the input that ``train`` plans without one, and any classes.
        changes: ``key=value`` for keys of the recipe.
        one_based: whether VOC's boxes count from 1; None finds out.
        progress: show a bar on stderr.
    """

    data: tuple[Path, ...]
    out: Path
    splits: tuple[str, ...] = ()
    recipe: Path | None = None
    changes: tuple[str, ...] = ()
    one_based: bool | None = None
    progress: bool = False


def run(options: CheckOptions,
        log: Callable[[str], object] = lambda line: None) -> DatasetReport:
    """Check, write report.html, problems.json, problems.csv and samples.jpg, return the report.

    Args:
        log: called with a line for each split that says where it was found.

    Raises:
        UserError: when a folder has none of the splits, or an option cannot be used.
    """
    # Now rather than after the work.
    check_replaceable(options.out.expanduser().absolute(), MARK, options.data)
    if options.changes and not options.recipe:
        raise SettingError('--set changes keys of a recipe: give one with --recipe.')
    recipe = load_recipe(options.recipe, options.changes) if options.recipe \
        else Recipe(iterations=1)
    for folder in options.data:
        for split in options.splits or separate_splits(folder):
            if has_split(folder, split):
                log(f'Checking {taken(folder, split)}.')
    report = check_dataset(options.data, options.splits,
                           recipe.architecture if options.recipe else None,
                           recipe.preprocessing, recipe.class_names, options.one_based,
                           options.progress)
    recipe = replace(recipe, architecture=report.architecture)
    with result_folder(options.out, MARK) as folder:
        samples = augmented_samples(report.usable(), report.class_names, recipe)
        title = 'Data: ' + ', '.join(split.label for split in report.splits)
        write_report(folder, report, samples, title)
    return report
