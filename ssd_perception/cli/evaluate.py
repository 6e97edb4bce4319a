"""Measure weights on labelled pictures: VOC07, VOC10 and COCO average precision."""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    parser.add_argument('--weights', default='', help='path or name (default: rover)')
    parser.add_argument('--data', type=Path, required=True, metavar='DIR',
                        help='folder in VOC layout')
    parser.add_argument('--split', default='val', help='split measured on (default: val)')
    parser.add_argument('--one-based', action='store_true',
                        help='boxes are whole pixels from 1, as in the original VOC sets')
    parser.add_argument('--device', default='auto', help='auto, cpu or cuda')
    parser.add_argument('--json', type=Path, metavar='FILE', help='write the figures here too')


def run(args: argparse.Namespace) -> int:
    """Print the figures, and write them where --json says."""
    from ssd_perception.data.voc import read_voc
    from ssd_perception.evaluation.evaluate import evaluate
    from ssd_perception.inference.detector import Detector

    samples = read_voc(args.data, args.split, args.one_based)
    detector = Detector.from_weights(args.weights, device=args.device)
    print(detector.describe())
    figures = evaluate(detector, samples, progress=True)
    for key, value in figures.items():
        if key == 'per_class':
            for name, row in value.items():
                print(f'  {name}: ' + ', '.join(f'{k} {_shown(v)}' for k, v in row.items()))
        else:
            print(f'{key}: {_shown(value)}')
    if args.json:
        partial = args.json.with_name(args.json.name + '.partial')
        partial.write_text(json.dumps(figures, indent=2) + '\n')
        os.replace(partial, args.json)
    return 0


def _shown(value: float | int | None) -> str:
    if value is None:
        return 'n/a'
    return f'{value:.4f}' if isinstance(value, float) else str(value)
