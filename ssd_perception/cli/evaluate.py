"""Measure weights on labelled images: VOC07, VOC10 and COCO AP, and a report to look at."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ssd_perception.cli.detector_arguments import add_detector_arguments, detector_options
from ssd_perception.core.atomic_write import atomic_write
from ssd_perception.core.format import format_number

if TYPE_CHECKING:
    from ssd_perception.evaluation.analysis import Evaluation


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    add_detector_arguments(parser)
    parser.add_argument('--data', type=Path, required=True, metavar='DIR',
                        help='folder, or a zip archive of one, in VOC, COCO or YOLO layout')
    parser.add_argument('--split', default='val', help='split to measure on (default: val)')
    parser.add_argument('--one-based', action=argparse.BooleanOptionalAction, default=None,
                        help="VOC's boxes are whole pixels from 1 (default: only where the "
                        'annotations are those of the original VOC sets)')
    parser.add_argument('--names', nargs='+', metavar='DATA=WEIGHTS', default=None,
                        help="the data's and the weights' name of the same class, such as "
                        'tvmonitor=tv; voc stands for the six that Pascal VOC and COCO name '
                        'differently. Classes of the weights that the images do not have are left '
                        'out')
    parser.add_argument('--negatives', action='store_true',
                        help='assume that no image holds an object, ignore the annotations, and '
                        'count false boxes')
    parser.add_argument('--corruptions', action='store_true',
                        help='measure on blurred, dark, bright, compressed and noisy images, '
                        'too; takes fifteen times as long')
    parser.add_argument('--json', type=Path, metavar='FILE', help='write the figures here too')
    parser.add_argument('--report', type=Path, metavar='DIR',
                        help='write report.html (curves, confusions, failures) and report.json '
                        'into this folder')


def run(args: argparse.Namespace) -> int:
    """Print the figures, and write them where --json and --report say.

    An image that cannot be decoded is named and left out; the exit code stays 0.
    """
    from ssd_perception.evaluation import run as use_case

    if args.json:  # now rather than after the measurement
        if args.json.is_dir():
            raise IsADirectoryError(f'--json takes a file, but {args.json} is a folder.')
        args.json.parent.mkdir(parents=True, exist_ok=True)
    evaluation = use_case.run(use_case.EvaluateOptions(
        args.data, args.split, detector_options(args), args.one_based, args.negatives,
        args.corruptions, args.report, _names(args.names)), print)
    for line in lines(evaluation):
        print(line)
    if args.json:
        atomic_write(args.json, (json.dumps(evaluation.to_json(), indent=2) + '\n').encode())
    if args.report:
        print(f'The report is {args.report / "report.html"}.')
    return 0


def _names(words: Sequence[str] | None) -> dict[str, str] | None:
    """Read --names."""
    from ssd_perception.core.errors import SettingError
    from ssd_perception.evaluation.run import VOC_IN_COCO

    if words is None:
        return None
    names: dict[str, str] = {}
    for word in words:
        old, separator, new = word.partition('=')
        if word != 'voc' and not (old and separator and new):
            raise SettingError(f'--names takes DATA=WEIGHTS or voc, got "{word}".')
        names |= VOC_IN_COCO if word == 'voc' else {old: new}
    return names


def lines(evaluation: Evaluation) -> Iterator[str]:
    """Yield the figures for a terminal."""
    figures, point = evaluation.analysis.accuracy, evaluation.analysis.operating_point
    for key in ('voc07_ap50', 'voc10_ap50', 'coco_ap', 'coco_ap50', 'coco_ap75', 'coco_ap_small',
                'coco_ap_medium', 'coco_ap_large'):
        yield f'{key}: {_shown(getattr(figures, key))}'
    for key in ('images', 'objects', 'difficult'):
        yield f'{key}: {getattr(figures, key)}'
    for name, row in figures.per_class.items():
        yield f'  {name}: ' + ', '.join(f'{key} {_shown(getattr(row, key))}' for key in (
            'voc07_ap50', 'voc10_ap50', 'coco_ap')) + f', objects {row.objects}'
    yield f'at score {point.threshold:g}: ' + (
        evaluation.negatives.describe() if evaluation.negatives else
        f'precision {_shown(point.precision)}, recall {_shown(point.recall)}, '
        f'F1 {_shown(point.f1)}')
    for corrupted in evaluation.corruptions or ():
        yield (f'  {corrupted.corruption}, {corrupted.unit} {corrupted.strength:g}: voc10_ap50 '
               f'{_shown(corrupted.voc10_ap50)}, coco_ap {_shown(corrupted.coco_ap)}')
    latency, skipped = evaluation.latency, len(evaluation.skipped)
    if total := latency.stages.get('total'):
        yield (f'latency: median {total.median_ms:.1f} ms, 95 % {total.p95_ms:.1f} ms '
               f'({latency.conditions.device})')
    if skipped:
        yield (f'{skipped} of {skipped + figures.images} images could not be decoded; they are '
               'named above and left out of all figures.')


def _shown(value: float) -> str:
    return format_number(value, digits=4, missing='n/a')
