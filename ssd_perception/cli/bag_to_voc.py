"""Choose frames of a recording to label, all different; write them with boxes to correct."""

from __future__ import annotations

import argparse
from pathlib import Path

from ssd_perception.cli.detector_arguments import add_detector_arguments, detector_options
from ssd_perception.cli.recording_arguments import add_recording_arguments


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    add_recording_arguments(parser)
    parser.add_argument('--out', type=Path, required=True, metavar='DIR',
                        help='folder to create; an existing folder is never changed')
    parser.add_argument('--count', type=int, default=50, metavar='N',
                        help='frames wanted, of all recordings together (default: 50)')
    parser.add_argument('--split', default='train', help='name of the split (default: train)')
    add_detector_arguments(parser)
    parser.add_argument('--topics', nargs='+', default=[], metavar='TOPIC',
                        help='topics of images (default: all cameras)')


def run(args: argparse.Namespace) -> int:
    """Choose and write; the exit code is 1 where a recording could not be read."""
    from ssd_perception.fleet.recordings import is_one_recording
    from ssd_perception.mining.run import MineOptions
    from ssd_perception.mining.run import run as mine

    options = MineOptions(
        Path(args.bag[0]), args.out, args.count, args.split, detector_options(args),
        tuple(args.topics))
    if not args.ray and is_one_recording(args.bag):
        summary = mine(options)
    else:
        from ssd_perception.fleet.mine import FleetMineOptions
        from ssd_perception.fleet.mine import run as mine_all

        summary = mine_all(FleetMineOptions(args.bag, options, args.ray))
    for note in summary.notes:
        print(note)
    out = args.out.expanduser().absolute()
    boxes = sum(len(frame.boxes) for frame in summary.chosen)
    print(f'{len(summary.chosen)} of {summary.frames} frames, with {boxes} boxes, are in '
          f'{out}; look at {out / "selection.html"}.')
    print('Correct every image before training: the boxes are guesses.')
    return 1 if summary.failed else 0
