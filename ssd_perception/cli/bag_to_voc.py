"""Choose the frames of a recording that are worth labelling; write them with boxes to correct."""

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
    parser.add_argument('--apart', type=float, default=0.5, metavar='S',
                        help='seconds that frames of one camera are at least apart '
                        '(default: 0.5)')
    parser.add_argument('--choose', choices=('mined', 'random', 'even'), default='mined',
                        help='mined: frames where the detector is unsure and that differ from '
                        'each other; random or even: for comparison (default: mined)')
    parser.add_argument('--seed', type=int, default=0, metavar='N', help='of --choose random')
    parser.add_argument('--split', default='train', help='name of the split (default: train)')
    add_detector_arguments(parser)
    parser.add_argument('--topics', nargs='+', default=[], metavar='TOPIC',
                        help='topics of images (default: all cameras)')
    parser.add_argument('--fresh', action='store_true',
                        help='discard an interrupted run instead of continuing it')


def run(args: argparse.Namespace) -> int:
    """Choose and write; the exit code is 1 where a recording could not be read."""
    from ssd_perception.fleet.recordings import is_one_recording
    from ssd_perception.mining.run import MineOptions
    from ssd_perception.mining.run import run as mine

    options = MineOptions(
        Path(args.bag[0]), args.out, args.count, args.apart, args.choose, args.seed, args.split,
        detector_options(args), tuple(args.topics), args.fresh)
    if not args.ray and is_one_recording(args.bag):
        summary = mine(options)
        # What is said of novelty was printed at once.
        notes = [note for note in summary.notes if not note.startswith('Novelty')]
    else:
        from ssd_perception.fleet.mine import FleetMineOptions
        from ssd_perception.fleet.mine import run as mine_all

        summary = mine_all(FleetMineOptions(args.bag, options, args.ray))
        notes = list(summary.notes)
    for note in notes:
        print(note)
    out = args.out.expanduser().absolute()
    boxes = sum(len(frame.boxes) for frame in summary.chosen)
    print(f'{len(summary.chosen)} of {summary.frames} frames, with {boxes} boxes, are in '
          f'{out}; look at {out / "selection.html"}.')
    print('Correct every image before training: the boxes are guesses, and the frames were '
          'chosen because the detector was unsure of them.')
    return 1 if summary.failed else 0
