"""Train a detector on labelled images: plan by itself, or follow a recipe."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    parser.add_argument('recipe', type=Path, nargs='?', help='YAML recipe, for example '
                        'config/train/rover.yaml (default: planned from the data and kept in '
                        'OUT/recipe.yaml)')
    parser.add_argument('--minutes', type=float, default=25.0, metavar='M',
                        help='without a recipe: minutes that the training may take (default: 25)')
    parser.add_argument('--latency-ms', type=float, metavar='MS',
                        help='without a recipe: milliseconds that the network may take for one '
                        'image on this machine (default: any)')
    parser.add_argument('--data', type=Path, nargs='+', required=True, metavar='DIR',
                        help='folders, or zip archives of them, in VOC, COCO or YOLO layout; the '
                        'validation split of the first one chooses the best weights; where none '
                        'has one, a fifth of the images is set aside')
    parser.add_argument('--repeat', type=int, nargs='+', default=[], metavar='N',
                        help='how often each folder counts, in the order of --data: a few new '
                        'images among many old ones (default: once)')
    parser.add_argument('--negatives', nargs='*', default=(), metavar='DIR[:SPLIT]',
                        help='folders of images without any object of the classes, to train '
                        'against false boxes; annotations are ignored (split: that of --split); '
                        'a folder named twice counts twice')
    parser.add_argument('--split', default='train', help='split to train on (default: train)')
    parser.add_argument('--val-split', default='val',
                        help='split to measure on, or none: then nothing is set aside and nothing '
                        'is measured (default: val)')
    parser.add_argument('--one-based', action=argparse.BooleanOptionalAction, default=None,
                        help="VOC's boxes are whole pixels from 1 (default: only where the "
                        'annotations are those of the original VOC sets)')
    parser.add_argument('--out', type=Path, required=True, metavar='DIR',
                        help='folder of the run: checkpoint, log, recipe and weights')
    parser.add_argument('--resume', action='store_true',
                        help="continue from OUT's checkpoint; begin where there is none yet")
    parser.add_argument('--init', default='', metavar='WEIGHTS', help='go on from these weights, '
                        'a path or a name such as rover, or begin with lite, imagenet or random, '
                        "in place of the recipe's init; classes are matched by name")
    parser.add_argument('--set', nargs='*', default=(), metavar='KEY=VALUE',
                        help='change keys of the recipe, for example --set iterations=100')
    parser.add_argument('--device', choices=('cpu', 'cuda'), default=None,
                        help='where to train (default: cuda where there is one)')


def run(args: argparse.Namespace) -> int:
    """Train; the best weights lie in OUT/NAME.safetensors, NAME being that of the folder OUT."""
    from ssd_perception.data.layout import find_split

    for folder in args.data:  # now, because loading torch takes seconds
        find_split(folder, args.split)
    # By default a torch thread that waits for another one spins for milliseconds. With another
    # busy process on the machine this takes the core that the other thread needs. With threads
    # that sleep at once a step takes 20 % longer on an idle machine, so they spin for some
    # microseconds first (GNU's OpenMP, which torch has on Linux); see docs/training.md. The
    # variables are read when torch is loaded.
    if 'OMP_WAIT_POLICY' not in os.environ:
        os.environ['OMP_WAIT_POLICY'] = 'PASSIVE'
        os.environ.setdefault('GOMP_SPINCOUNT', '1000')
    from ssd_perception.training import run as use_case

    try:
        result = use_case.run(
            use_case.TrainOptions(
                args.data, args.out, args.recipe, tuple(args.set), args.init, args.repeat,
                args.negatives, args.split, args.val_split, args.one_based, args.resume,
                args.device, args.minutes, args.latency_ms),
            log=lambda line: print(line, flush=True),
            warn=lambda line: print(line, file=sys.stderr))
    except KeyboardInterrupt:
        if (checkpoint := args.out / 'checkpoint.pt').is_file():
            print(f'Interrupted. {checkpoint} keeps what was learned: the same command with '
                  '--resume goes on from there.', file=sys.stderr)
        raise
    if result.unreadable:
        print(f'{result.unreadable} images could not be read; the log above names them, '
              '`ssd_perception check_data` finds all such.', file=sys.stderr)
    return 0
