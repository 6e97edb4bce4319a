"""Run the real detector node on a recording over DDS, and measure what comes out."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    parser.add_argument('--recording', type=Path, default=Path('demo/recording'), metavar='BAG',
                        help='rosbag2 with images and ground truth (default: demo/recording)')
    parser.add_argument('--out', type=Path, default=Path('demo_output'), metavar='DIR',
                        help='folder for the results (default: demo_output)')
    parser.add_argument('--weights', default='', help='path or name (default: rover)')
    parser.add_argument('--rate', type=float, default=1.0,
                        help="speed of the camera; 1 is the recording's own (default: 1)")


def run(args: argparse.Namespace) -> int:
    """Run node, viewer and player; 1 when the result falls short, with a sentence for each."""
    from ssd_perception.live.demo import DemoOptions, demo, table

    result = demo(DemoOptions(args.recording, args.out, args.weights, args.rate))
    rows = table(result)
    width = max(len(name) for name, _ in rows)
    for name, value in rows:
        print(f'{name:<{width}}  {value}')
    for failure in result.failures or ():
        print(f'ssd_perception demo: {failure}', file=sys.stderr)
    return 1 if result.failures else 0
