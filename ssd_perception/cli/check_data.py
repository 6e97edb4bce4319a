"""Check a data set before training on it: every file, box and class, and a page to look at."""

from __future__ import annotations

import argparse
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    parser.add_argument('data', type=Path, nargs='+', metavar='DIR',
                        help='folders, or zip archives of them, in VOC, COCO or YOLO layout')
    parser.add_argument('--splits', nargs='+', default=(), metavar='SPLIT',
                        help='default: all, but for those that only join others (trainval)')
    parser.add_argument('--recipe', type=Path, metavar='FILE',
                        help='recipe of the training: its classes, input size, anchors and '
                        'augmentation (default: the input that train plans, and any classes)')
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
    from ssd_perception.core.text import counted
    from ssd_perception.data.layout import find_split, separate_splits

    for folder in args.data:  # now, because loading torch takes seconds
        if not separate_splits(folder):
            find_split(folder, 'train')  # raises
    from ssd_perception.datacheck import run as use_case
    from ssd_perception.datacheck.text import lines

    report = use_case.run(use_case.CheckOptions(
        tuple(args.data), args.out, tuple(args.splits), args.recipe, tuple(args.set),
        args.one_based, progress=True), print)
    for line in lines(report):
        print(line)
    print(f'\n{counted(report.errors, "error")}, {counted(report.warnings, "warning")}; see '
          f'{args.out / "report.html"}.')
    return 1 if report.errors else 0
