"""Turn a run's weights into a shipped file: measure, choose the threshold, write the card."""

from __future__ import annotations

import argparse
import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING

from ssd_perception.core.errors import SettingError

if TYPE_CHECKING:
    from ssd_perception.data.sample import Sample
    from ssd_perception.inference.detector import Detector


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    parser.add_argument('--weights', type=Path, required=True, help='file to publish')
    parser.add_argument('--data', nargs='+', required=True, metavar='NAME=DIR[:SPLIT]',
                        help='labelled pictures to measure on; the first also chooses the '
                        'default score threshold')
    parser.add_argument('--negatives', nargs='*', default=(), metavar='NAME=DIR[:SPLIT]',
                        help='pictures that hold none of the classes, to count false boxes on')
    parser.add_argument('--pictures', type=Path, metavar='DIR', help='write the pictures of the '
                        "card here: training curves (where the weights lie in their run's "
                        'folder), precision and recall, thresholds, calibration')
    parser.add_argument('--failures', metavar='NAME', default='', help='with --pictures: show '
                        'failures on these --data, too; choose some that may be published')
    parser.add_argument('--recording', type=Path, metavar='BAG',
                        help='rosbag2 with ground truth to measure on, as "recording"')
    parser.add_argument('--attribution', default='', help='whose data it was trained on')
    parser.add_argument('--out', type=Path, required=True, metavar='FILE')


def run(args: argparse.Namespace) -> int:
    """Measure, and write OUT with its figures inside and its card beside it."""
    from ssd_perception.data.sample import as_negatives
    from ssd_perception.evaluation.evaluate import detect_samples
    from ssd_perception.evaluation.model_card import write_card
    from ssd_perception.evaluation.negatives import describe_false_boxes, false_boxes
    from ssd_perception.inference.detector import Detector
    from ssd_perception.model.weights import load_model, save_weights

    sets = [_named_samples(item) for item in args.data]
    if args.failures and args.failures not in dict(sets):
        raise SettingError(f'--failures must be one of {", ".join(dict(sets))}, got '
                           f'"{args.failures}".')
    detector = Detector.from_weights(args.weights)
    metrics, threshold = _measure_sets(detector, sets, args)
    for item in args.negatives:
        name, samples = _named_samples(item)
        found = detect_samples(detector, as_negatives(samples), progress=True)
        metrics[name] = {'negatives': false_boxes(found, threshold)}
    if args.recording:
        metrics['recording'] = _measure_recording(detector, args.recording)
    model, metadata = load_model(args.weights)
    metadata = dataclasses.replace(metadata, metrics=metrics, score_threshold=threshold,
                                   attribution=args.attribution)
    save_weights(args.out, model, metadata)
    write_card(args.out.with_suffix('.md'), metadata)
    for name, figures in metrics.items():
        print(f'{name}: ' + (describe_false_boxes(figures['negatives'])
                             if 'negatives' in figures else
                             f'VOC10 AP50 {figures["voc10_ap50"]}, COCO AP {figures["coco_ap"]}'))
    print(f'default score threshold {threshold}; wrote {args.out} and its card beside it')
    return 0


def _measure_sets(detector: Detector, sets: list[tuple[str, list[Sample]]],
                  args: argparse.Namespace) -> tuple[dict[str, dict], float]:
    """Return each set's figures, and the threshold that serves the first one best."""
    from ssd_perception.evaluation.analysis import analyse
    from ssd_perception.evaluation.evaluate import measure, report
    from ssd_perception.evaluation.thresholds import best_f1

    names = detector.class_names
    metrics: dict[str, dict] = {}
    threshold = 0.0
    for name, samples in sets:
        first, failures_shown = not metrics, args.pictures and name == args.failures
        measured = measure(detector, samples, progress=True)
        found, truths = measured.detections, measured.truths
        metrics[name] = report(found, truths, names)
        if first:
            threshold, at_threshold = best_f1(found, truths, len(names))
        if not (first or failures_shown):
            continue
        analysis = analyse(found, truths, names, threshold)
        if first:
            metrics[name]['at_default_threshold'] = at_threshold
            _add_details(metrics[name], detector, samples, analysis.figures)
            if args.pictures:
                _write_plots(args, analysis.figures)
        if failures_shown:
            from ssd_perception.evaluation.card_images import write_failures
            write_failures(args.pictures / 'failures.jpg', measured, analysis, names)
    return metrics, threshold


def _add_details(metrics: dict, detector: Detector, samples: list[Sample], figures: dict) -> None:
    """Add to a set's figures what its card shows of the first set alone."""
    from ssd_perception.evaluation.corruptions import under_corruptions

    for label, row in metrics['per_class'].items():
        row['best_f1'] = figures['per_class'][label]['best_f1']
    metrics['calibration'] = figures['calibration']
    metrics['corruptions'] = under_corruptions(detector, samples, progress=True)


def _write_plots(args: argparse.Namespace, figures: dict) -> None:
    from ssd_perception.evaluation.card_images import copy_curves, write_plots

    args.pictures.mkdir(parents=True, exist_ok=True)
    write_plots(args.pictures, figures)
    if not copy_curves(args.pictures, args.weights):
        print(f'No training curves: {args.weights.parent / "curves.png"} is not there.')


def _named_samples(item: str) -> tuple[str, list[Sample]]:
    """Split NAME=DIR[:SPLIT] and read the pictures it names."""
    from ssd_perception.core.errors import DataError
    from ssd_perception.data.layout import read_split

    name, separator, place = item.partition('=')
    folder, _, split = place.partition(':')
    if not separator:
        raise DataError(f'Pictures are named as NAME=DIR or NAME=DIR:SPLIT, got "{item}".')
    return name, read_split(folder, split or 'val', one_based=None)  # None: as evaluate does


def _measure_recording(detector: Detector, path: Path) -> dict:
    """Detect in every frame of a bag and compare with its ground-truth topic."""
    from tqdm import tqdm

    from ssd_perception.bags.frames import labelled_frames
    from ssd_perception.core.detections import GroundTruth
    from ssd_perception.evaluation.evaluate import low_threshold, report

    low = low_threshold(detector.settings)
    pairs = [(detector.detect([image], low).detections[0], GroundTruth(xyxy, labels))
             for image, xyxy, labels in
             tqdm(labelled_frames(path, detector.class_names), 'recording', unit='frame')]
    return report([found for found, _ in pairs], [truth for _, truth in pairs],
                  detector.class_names)
