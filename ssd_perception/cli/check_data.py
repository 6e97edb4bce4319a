"""Check a data set before training on it: every file, box and class, and a page to look at."""

from __future__ import annotations

import argparse
from pathlib import Path

from ssd_perception.core.errors import SettingError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    parser.add_argument('data', type=Path, nargs='+', metavar='DIR',
                        help='folders, or zip archives of them, in VOC, COCO or YOLO layout')
    parser.add_argument('--splits', nargs='+', default=(), metavar='SPLIT',
                        help='default: all, but for those that only join others (trainval)')
    parser.add_argument('--recipe', type=Path, metavar='FILE',
                        help='recipe of the training: its classes, input size, anchors and '
                        'augmentation (default: an input of 320x320 and any classes)')
    parser.add_argument('--set', nargs='*', default=(), metavar='KEY=VALUE',
                        help="change keys of the recipe, for example "
                        "--set 'architecture.input_hw=[512, 512]'")
    parser.add_argument('--one-based', action=argparse.BooleanOptionalAction, default=None,
                        help="VOC's boxes are whole pixels from 1 (default: only where the "
                        'annotations are those of the original VOC sets)')
    parser.add_argument('--out', type=Path, default=Path('data_report'), metavar='DIR',
                        help='folder for report.html, problems.csv, problems.json and samples.jpg '
                        '(default: data_report)')


def run(args: argparse.Namespace) -> int:
    """Check; 0 when the data can be used, warnings or not, and 1 when there are errors."""
    from ssd_perception.core.result_folder import check_replaceable, result_folder
    from ssd_perception.datacheck.augmented_samples import augmented_samples
    from ssd_perception.datacheck.check import check_dataset
    from ssd_perception.datacheck.report import MARK, write_report
    from ssd_perception.datacheck.text import counted, lines
    from ssd_perception.training.recipe import Recipe, load_recipe

    check_replaceable(args.out.expanduser().absolute(), MARK)  # now rather than after the work
    if args.set and not args.recipe:
        raise SettingError('--set changes keys of a recipe: give one with --recipe.')
    recipe = load_recipe(args.recipe, tuple(args.set)) if args.recipe else Recipe(iterations=1)
    found = check_dataset(args.data, args.splits, recipe.architecture, recipe.preprocessing,
                    recipe.class_names, args.one_based, progress=True)
    usable = [sample for split in [s for s in found.splits if s.trains] or found.splits
              for sample in split.samples if found.facts[sample.path].hw]
    with result_folder(args.out, MARK) as folder:
        samples = augmented_samples(usable, found.class_names, recipe)
        title = 'Data: ' + ', '.join(split.label for split in found.splits)
        write_report(folder, found, samples, title)
    for line in lines(found):
        print(line)
    warnings = len(found.problems) - found.errors
    print(f'\n{counted(found.errors, "error")}, {counted(warnings, "warning")}; see '
          f'{args.out / "report.html"}.')
    return 1 if found.errors else 0
