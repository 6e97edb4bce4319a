"""Watch a running detector: a live table, and annotated frames, video and summary at the end."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    parser.add_argument('--out', type=Path, metavar='DIR',
                        help='folder for frames, video and summary (default: only the table)')
    parser.add_argument('--image', default='image', metavar='TOPIC',
                        help='images that the detector gets (default: image)')
    parser.add_argument('--threshold', type=float, default=0.0, metavar='SCORE',
                        help='draw and count detections with at least this score (default: all)')
    parser.add_argument('--idle', type=float, default=0.0, metavar='S', help='end when nothing '
                        'has arrived for S seconds (default: at Ctrl-C)')
    parser.add_argument('--wait', type=float, default=0.0, metavar='S', help='give up when '
                        'nothing arrives in the first S seconds (default: never)')
    parser.add_argument('--title', default='Detections', help='heading of the summary '
                        '(default: Detections)')
    parser.add_argument('--reference-ap50', type=float, metavar='AP',
                        help='figure to show beside the measured AP50')


def run(args: argparse.Namespace) -> int:
    """Watch until Ctrl-C or --idle, then write; 1 when no frame was seen."""
    from ssd_perception.live.view import ViewOptions, view

    result = view(ViewOptions(
        args.out, args.image, args.threshold, args.idle, args.wait, args.title,
        args.reference_ap50, args.ros_args))
    if result is None:
        print('ssd_perception view: no frame was seen.', file=sys.stderr)
        return 1
    if args.out:
        print(f'Wrote {args.out / "summary.html"}')
    return 0
