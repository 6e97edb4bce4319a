"""Export weights to ONNX, in fp32 and with --int8 also quantised, for machines without torch."""

from __future__ import annotations

import argparse
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    parser.add_argument('--weights', default='',
                        help='path of weights, or the name of shipped ones (default: rover)')
    parser.add_argument('--out', type=Path, metavar='DIR',
                        help='folder for NAME.onnx and NAME.int8.onnx (default: beside the '
                        'weights, where every runtime finds them)')
    parser.add_argument('--int8', action='store_true',
                        help='quantise as well, calibrated on the images of --data')
    parser.add_argument('--data', type=Path, metavar='DIR',
                        help='for --int8: folder in any layout, with images like the '
                        "camera's")
    parser.add_argument('--split', default='train',
                        help='split to calibrate on (default: train)')
    parser.add_argument('--val-split', default='val',
                        help='split to measure both files on (default: val)')
    parser.add_argument('--pictures', type=int, default=128, metavar='N',
                        help='images to calibrate on, spread over the split (default: 128)')


def run(args: argparse.Namespace) -> int:
    """Export; with --int8 the exit code is 1 when that cost more accuracy than is allowed."""
    from ssd_perception.evaluation import export

    result = export.run(export.ExportOptions(
        args.weights, args.out, args.int8, args.data, args.split, args.val_split, args.pictures))
    return 0 if result.accurate else 1
