"""Train a detector from a recipe on folders in Pascal VOC, COCO or YOLO layout."""

from __future__ import annotations

import argparse
import dataclasses
import sys
from datetime import date
from pathlib import Path

from ssd_perception import __version__
from ssd_perception.core.errors import SettingError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    parser.add_argument('recipe', type=Path, help='YAML recipe, for example '
                        'config/train/rover.yaml')
    parser.add_argument('--data', type=Path, nargs='+', required=True, metavar='DIR',
                        help='folders, or zip archives of them, in VOC, COCO or YOLO layout; the '
                        'validation split of the first one chooses the best weights; where none '
                        'has one, a fifth of the images is set aside')
    parser.add_argument('--repeat', type=int, nargs='+', default=[], metavar='N',
                        help='how often each folder counts, in the order of --data: a few new '
                        'pictures beside many old ones (default: once)')
    parser.add_argument('--negatives', nargs='*', default=(), metavar='DIR[:SPLIT]',
                        help='folders whose pictures hold none of the classes, whatever their '
                        'annotations name, and teach what not to find (split: that of --split); '
                        'one named twice counts twice')
    parser.add_argument('--split', default='train', help='split trained on (default: train)')
    parser.add_argument('--val-split', default='val', help='split measured on (default: val)')
    parser.add_argument('--one-based', action=argparse.BooleanOptionalAction, default=None,
                        help="VOC's boxes are whole pixels from 1 (default: only where the "
                        'annotations are those of the original VOC sets)')
    parser.add_argument('--out', type=Path, required=True, metavar='DIR',
                        help='folder of the run: checkpoint, log and weights')
    parser.add_argument('--resume', action='store_true',
                        help="continue from OUT's checkpoint; begin where there is none yet")
    parser.add_argument('--init', default='', metavar='WEIGHTS', help='go on from these weights, '
                        "a path or a name such as rover, in place of the recipe's init; classes "
                        'are matched by name')
    parser.add_argument('--set', nargs='*', default=(), metavar='KEY=VALUE',
                        help='change keys of the recipe, for example --set iterations=100')
    parser.add_argument('--device', choices=('cpu', 'cuda'), default=None,
                        help='default: cuda where there is one')


def run(args: argparse.Namespace) -> int:
    """Train; the averaged weights lie in OUT/best.safetensors and OUT/last.safetensors."""
    from ssd_perception.core.errors import DataError
    from ssd_perception.data.layout import read_split
    from ssd_perception.data.sample import as_negatives, class_names
    from ssd_perception.data.training_data import read_training_data
    from ssd_perception.inference.resolve import resolve_weights
    from ssd_perception.inference.runtimes.torch import choose_device
    from ssd_perception.training.recipe import load_recipe
    from ssd_perception.training.trainer import Trainer

    recipe = load_recipe(args.recipe, tuple(args.set))
    if args.init:
        recipe = dataclasses.replace(recipe, init=str(resolve_weights(args.init)))
    bad: list[DataError] = []
    data = read_training_data(args.data, args.split, args.val_split, args.one_based, bad.append,
                              _repeats(args))
    samples, validation = data.train, data.validation
    if not recipe.class_names:
        recipe = dataclasses.replace(recipe, class_names=class_names(samples))
    for item in args.negatives:
        folder, _, split = item.partition(':')
        samples += as_negatives(read_split(folder, split or args.split, None, bad.append))
    device = choose_device(args.device or 'auto').partition(':')[0]
    trainer = Trainer(recipe, samples, validation, args.out, device)
    trainer.metadata = dataclasses.replace(trainer.metadata, package_version=__version__,
                                           date=date.today().isoformat())
    checkpoint = trainer.folder.checkpoint
    if checkpoint.is_file() and not args.resume:
        raise DataError(f'{checkpoint} exists; add --resume to continue it, or choose another '
                        '--out.')
    resumed = args.resume and trainer.resume()
    if trainer.world.main:
        _log_skipped(bad)
        print('\n'.join(data.taken))
        start = f'from iteration {trainer.iteration} on' if resumed else 'from the beginning'
        processes = f' in {trainer.world.size} processes' if trainer.world.size > 1 else ''
        print(f'Training on {len(samples)} pictures ({", ".join(recipe.class_names)}), {start}, '
              f'for {recipe.iterations} iterations on {device}{processes}; results go to '
              f'{args.out}.', flush=True)
    try:
        trainer.run()
        trainer.world.wait()
    finally:
        trainer.world.leave()
    if trainer.skipped:
        print(f'{len(trainer.skipped)} pictures could not be read; the log above names them, '
              '`ssd_perception check_data` finds all such.', file=sys.stderr)
    if trainer.world.main and validation:
        _report(trainer.folder.path, device, args.data[0], args.val_split, validation)
    return 0


def _repeats(args: argparse.Namespace) -> list[int]:
    """Return how often each folder of --data counts."""
    times = args.repeat or [1] * len(args.data)
    if len(times) != len(args.data) or min(times) < 1:
        raise SettingError(f'--repeat takes a number from 1 on for each of the {len(args.data)} '
                           f'folders of --data, got {" ".join(map(str, times))}.')
    return times


def _log_skipped(bad: list) -> None:
    """Name every file that was left out, once."""
    for error in dict.fromkeys(map(str, bad)):
        print(error, file=sys.stderr)
    files = len({error.file for error in bad})
    if files:
        print(f'{files} file{" was" if files == 1 else "s were"} skipped or read in part; '
              '`ssd_perception check_data` tells more.', file=sys.stderr)


def _report(out: Path, device: str, data: Path, split: str, validation: dict) -> None:
    """Show how good the best weights are and where they fail, on what chose them."""
    from ssd_perception.core.format import format_number
    from ssd_perception.evaluation.run import evaluate_detector
    from ssd_perception.inference.detector import Detector

    if data.name not in validation:  # the first folder has no validation split
        return
    detector = Detector.from_weights(out / 'best.safetensors', 'torch', device)
    found = evaluate_detector(detector, validation[data.name], data, split,
                              out / 'report').analysis.accuracy
    print(f'{out / "best.safetensors"}: AP50 {format_number(found.voc10_ap50, digits=4)} (VOC10), '
          f'COCO AP {format_number(found.coco_ap, digits=4)}; see {out / "report/report.html"}.')
