"""Turn a run's weights into a shipped file: measure, choose the threshold, write the card."""

from __future__ import annotations

import argparse
import dataclasses
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    parser.add_argument('--weights', type=Path, required=True, help='file to publish')
    parser.add_argument('--data', nargs='+', required=True, metavar='NAME=DIR[:SPLIT]',
                        help='labelled pictures to measure on; the first also chooses the '
                        'default score threshold')
    parser.add_argument('--negatives', nargs='*', default=(), metavar='NAME=DIR[:SPLIT]',
                        help='pictures that hold none of the classes, to count false boxes on')
    parser.add_argument('--recording', type=Path, metavar='BAG',
                        help='rosbag2 with ground truth to measure on, as "recording"')
    parser.add_argument('--attribution', default='', help='whose data it was trained on')
    parser.add_argument('--out', type=Path, required=True, metavar='FILE')


def run(args: argparse.Namespace) -> int:
    """Measure, and write OUT with its figures inside and its card beside it."""
    from ssd_perception.evaluation.card import write_card
    from ssd_perception.evaluation.evaluate import detect_samples, ground_truth, report
    from ssd_perception.evaluation.negatives import as_negatives, false_boxes, told
    from ssd_perception.evaluation.thresholds import best_f1
    from ssd_perception.inference.detector import Detector
    from ssd_perception.model.weights import load_model, save_weights

    detector = Detector.from_weights(args.weights)
    metrics, threshold = {}, None
    for item in args.data:
        name, samples = _named_samples(item)
        truths = [ground_truth(sample, detector.class_names) for sample in samples]
        found = detect_samples(detector, samples, progress=True)
        metrics[name] = report(found, truths, detector.class_names)
        if threshold is None:
            threshold, at_threshold = best_f1(found, truths, len(detector.class_names))
            metrics[name]['at_default_threshold'] = at_threshold
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
        print(f'{name}: ' + (told(figures['negatives']) if 'negatives' in figures else
                             f'VOC10 AP50 {figures["voc10_ap50"]}, COCO AP {figures["coco_ap"]}'))
    print(f'default score threshold {threshold}; wrote {args.out} and its card beside it')
    return 0


def _named_samples(item: str) -> tuple[str, list]:
    """Split NAME=DIR[:SPLIT] and read the pictures it names."""
    from ssd_perception.data.layout import read_split
    from ssd_perception.data.sample import DataError

    name, separator, place = item.partition('=')
    folder, _, split = place.partition(':')
    if not separator:
        raise DataError(f'Pictures are named as NAME=DIR or NAME=DIR:SPLIT, got "{item}".')
    return name, read_split(folder, split or 'val', one_based=None)  # None: as evaluate does


def _measure_recording(detector, path: Path) -> dict:
    """Detect in every frame of a bag and compare with its ground-truth topic."""
    from tqdm import tqdm

    from ssd_perception.bags.frames import labelled_frames
    from ssd_perception.evaluation.evaluate import at_low_threshold, report
    from ssd_perception.evaluation.voc import GroundTruth

    with at_low_threshold(detector):
        pairs = [(detector([image])[0], GroundTruth(xyxy, labels)) for image, xyxy, labels in
                 tqdm(labelled_frames(path, detector.class_names), 'recording', unit='frame')]
    return report([found for found, _ in pairs], [truth for _, truth in pairs],
                  detector.class_names)
