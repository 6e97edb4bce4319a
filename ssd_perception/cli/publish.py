"""Turn a run's weights into a shipped file: measure, choose the threshold, write the card."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ssd_perception.evaluation.publish import NamedData


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    parser.add_argument('--weights', type=Path, required=True,
                        help='weights file of a run')
    parser.add_argument('--data', nargs='+', required=True, metavar='NAME=DIR[:SPLIT]',
                        help='labelled images to measure on, each with the name that the card '
                        'gives them (split: val)')
    parser.add_argument('--choose-on', nargs='+', default=(), metavar='NAME',
                        help='names of --data that choose the default score threshold: the one '
                        'with the best mean F1 over them (default: the first of --data)')
    parser.add_argument('--max-false-boxes', type=float, default=None, metavar='RATE',
                        help='the chosen threshold may leave at most this many false boxes per '
                        'image of each set of --negatives, such as 0.02')
    parser.add_argument('--negatives', nargs='*', default=(), metavar='NAME=DIR[:SPLIT]',
                        help='images without any object of the classes, to count false boxes on')
    parser.add_argument('--pictures', type=Path, metavar='DIR', help='write the images of the '
                        "card here: training curves (where the weights lie in their run's "
                        'folder), precision and recall, thresholds, calibration')
    parser.add_argument('--failures', metavar='NAME', default='', help='with --pictures: show '
                        'failures on these --data, too; choose images that may be published')
    parser.add_argument('--recording', type=Path, metavar='BAG',
                        help='rosbag2 with ground truth to measure on, as "recording"')
    parser.add_argument('--input-size', metavar='WxH', help='publish the same parameters for '
                        'another input, px, multiples of 32, such as 640x480: a larger one finds '
                        "smaller objects, in more time (default: the weights' own)")
    parser.add_argument('--attribution', default='',
                        help='whose data it was trained on, for the card')
    parser.add_argument('--out', type=Path, required=True, metavar='FILE',
                        help='weights file to write, NAME.safetensors, with the card NAME.md '
                        'beside it')


def run(args: argparse.Namespace) -> int:
    """Measure, and write OUT with its figures inside and its card beside it."""
    from ssd_perception.evaluation.publish import PublishOptions, describe, publish

    metadata = publish(PublishOptions(
        args.weights, args.out, [_named(item) for item in args.data],
        [_named(item) for item in args.negatives], args.choose_on, args.max_false_boxes,
        args.pictures, args.failures,
        args.recording, args.attribution,
        _input_hw(args.input_size) if args.input_size else None), print)
    print(*describe(metadata.metrics, metadata.score_threshold), sep='\n')
    print(f'default score threshold {metadata.score_threshold}; wrote {args.out} and its card '
          'beside it')
    return 0


def _named(item: str) -> NamedData:
    """Read NAME=DIR[:SPLIT]."""
    from ssd_perception.core.errors import SettingError
    from ssd_perception.evaluation.publish import NamedData

    name, separator, place = item.partition('=')
    folder, _, split = place.partition(':')
    if not separator:
        raise SettingError(f'Images are named as NAME=DIR or NAME=DIR:SPLIT, got "{item}".')
    return NamedData(name, Path(folder), split or 'val')


def _input_hw(text: str) -> tuple[int, int]:
    """Read WxH as (height, width)."""
    from ssd_perception.core.errors import SettingError

    width, _, height = text.lower().partition('x')
    if not (width.isdecimal() and height.isdecimal()):
        raise SettingError('--input-size must be WIDTHxHEIGHT in pixels, such as 640x480; got '
                           f'"{text}".')
    return int(height), int(width)
