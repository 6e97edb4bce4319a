"""Measure weights on labelled pictures: VOC07, VOC10 and COCO AP, and a report to look at."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from ssd_perception.cli.detector_arguments import add_detector_arguments, detector_options
from ssd_perception.core.atomic_write import atomic_write
from ssd_perception.core.errors import SettingError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    add_detector_arguments(parser)
    parser.add_argument('--data', type=Path, required=True, metavar='DIR',
                        help='folder in VOC or COCO layout')
    parser.add_argument('--split', default='val', help='split measured on (default: val)')
    parser.add_argument('--one-based', action=argparse.BooleanOptionalAction, default=None,
                        help="VOC's boxes are whole pixels from 1 (default: only where the "
                        'annotations are those of the original VOC sets)')
    parser.add_argument('--negatives', action='store_true',
                        help='the pictures hold none of the classes, whatever their annotations '
                        'name: count false boxes')
    parser.add_argument('--corruptions', action='store_true',
                        help='measure on blurred, dark, bright, compressed and noisy pictures, '
                        'too; takes fifteen times as long')
    parser.add_argument('--json', type=Path, metavar='FILE', help='write the figures here too')
    parser.add_argument('--report', type=Path, metavar='DIR',
                        help='write report.html (curves, confusions, failures) and report.json '
                        'into this folder')


def run(args: argparse.Namespace) -> int:
    """Print the figures, and write them where --json and --report say.

    A picture that cannot be decoded is named and left out; the exit code stays 0.
    """
    from ssd_perception.data.layout import read_split
    from ssd_perception.data.sample import as_negatives

    if args.negatives and args.corruptions:
        raise SettingError('--corruptions measures how well objects are found, and with '
                           '--negatives there are none; give one of the two.')
    _check_outputs(args)  # now rather than after the measurement
    samples = read_split(args.data, args.split, args.one_based)
    detector = detector_options(args).load()
    if args.negatives:
        samples = as_negatives(samples)
    _check_classes(args.data, samples, detector)
    print(detector.describe())
    figures = analyse_weights(detector, samples, args.data, args.split, args.report,
                              args.corruptions)
    _print(figures)
    if args.json:
        atomic_write(args.json, (json.dumps(figures, indent=2) + '\n').encode())
    if args.report:
        print(f'The report is {args.report / "report.html"}.')
    return 0


def analyse_weights(detector, samples, data: Path, split: str, report: Path | None,
                    corruptions: bool = False) -> dict:
    """Measure a Detector on samples; write ``report`` when it is a folder; return all figures."""
    from ssd_perception.evaluation.analysis import analyse
    from ssd_perception.evaluation.corruptions import under_corruptions
    from ssd_perception.evaluation.evaluate import measure
    from ssd_perception.evaluation.latency import conditions, latency
    from ssd_perception.evaluation.negatives import false_boxes

    detector.warm_up()  # or the first picture would be the slow one
    measured = measure(detector, samples, progress=True, skip_unreadable=True)
    analysis = analyse(measured.detections, measured.truths, detector.class_names,
                          detector.settings.score_threshold)
    figures = analysis.figures
    figures['latency'] = {'stages': latency(measured.timings_ms),
                          'conditions': conditions(detector)}
    figures['skipped'] = measured.skipped
    if not figures['objects'] and not figures['difficult']:
        figures['negatives'] = false_boxes(measured.detections,
                                           detector.settings.score_threshold)
    if corruptions:
        figures['corruptions'] = under_corruptions(detector, measured.samples, progress=True)
    figures['measured'] = _described(data, split, detector)
    if report:
        from ssd_perception.core.result_folder import result_folder
        from ssd_perception.evaluation.report import MARK, write_evaluation

        title = f'{detector.path.stem} on {data.resolve().name} {split}'
        with result_folder(report, MARK) as folder:
            write_evaluation(folder, measured, analysis, detector.class_names, title)
    return figures


def _check_outputs(args: argparse.Namespace) -> None:
    """Refuse at once what could not be written later; make the folder of --json."""
    if args.json:
        if args.json.is_dir():
            raise IsADirectoryError(f'--json takes a file, but {args.json} is a folder.')
        args.json.parent.mkdir(parents=True, exist_ok=True)
    if args.report:
        from ssd_perception.core.result_folder import check_replaceable
        from ssd_perception.evaluation.report import MARK
        check_replaceable(args.report.expanduser().absolute(), MARK)


def _check_classes(data: Path, samples, detector) -> None:
    """Name at once every class that the data have and the weights have not."""
    from ssd_perception.core.errors import DataError
    from ssd_perception.data.sample import class_names

    unknown = [name for name in class_names(samples) if name not in detector.class_names]
    if unknown:
        listed = ', '.join(unknown[:5]) + (f' and {len(unknown) - 5} more' if unknown[5:] else '')
        raise DataError(
            f'{detector.path.name} cannot be measured on {data}: it detects '
            f'{", ".join(detector.class_names)}, but the pictures have {listed}; give weights '
            'trained on these classes, or say --negatives if the pictures hold none of them.')


def _described(data: Path, split: str, detector) -> dict[str, str]:
    """Return what was measured on what; names only, no places of this machine."""
    from ssd_perception import __version__

    return {'weights': detector.path.name, 'weights SHA-256': detector.weights_hash,
            'recipe hash': detector.metadata.recipe_hash or 'none',
            'data': data.resolve().name, 'split': split,
            'measured by': f'ssd_perception {__version__}'}


def _print(figures: dict) -> None:
    from ssd_perception.evaluation.negatives import describe_false_boxes

    for key in ('voc07_ap50', 'voc10_ap50', 'coco_ap', 'coco_ap50', 'coco_ap75', 'coco_ap_small',
                'coco_ap_medium', 'coco_ap_large', 'images', 'objects', 'difficult'):
        print(f'{key}: {shown(figures[key])}')
    for name, row in figures['per_class'].items():
        print(f'  {name}: ' + ', '.join(f'{key} {shown(row[key])}' for key in (
            'voc07_ap50', 'voc10_ap50', 'coco_ap', 'objects')))
    point = figures['operating_point']
    print(f'at score {point["score_threshold"]:g}: '
          + (describe_false_boxes(figures['negatives']) if 'negatives' in figures else
             f'precision {shown(point["precision"])}, recall {shown(point["recall"])}, '
             f'F1 {shown(point["f1"])}'))
    for row in figures.get('corruptions', ()):
        print(f'  {row["corruption"]}, {row["unit"]} {row["strength"]:g}: voc10_ap50 '
              f'{shown(row["voc10_ap50"])}, coco_ap {shown(row["coco_ap"])}')
    total = figures['latency']['stages']['total']
    print(f'latency: median {total["median_ms"]:.1f} ms, 95 % {total["p95_ms"]:.1f} ms '
          f'({figures["latency"]["conditions"]["device"]})')
    if figures['skipped']:
        print(f'{len(figures["skipped"])} of {len(figures["skipped"]) + figures["images"]} '
              'pictures could not be decoded; they are named above and left out of all figures.')


def shown(value: float | int | None) -> str:
    """Return a figure for people, None as n/a."""
    if value is None:
        return 'n/a'
    return f'{value:.4f}' if isinstance(value, float) else str(value)
