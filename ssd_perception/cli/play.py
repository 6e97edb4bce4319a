"""Publish a rosbag2 recording over DDS at its own pace; no rosbag2 installation needed."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from ssd_perception.core.atomic_write import atomic_write
from ssd_perception.core.format import to_json


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    parser.add_argument('bag', type=Path, help='rosbag2 folder, or an .mcap or .db3 file')
    parser.add_argument('--rate', type=float, default=1.0, help='speed; 2 plays twice as fast '
                        '(default: 1)')
    parser.add_argument('--loop', action='store_true', help='begin again at the end')
    parser.add_argument('--clock', action='store_true', help="publish the bag's time on /clock")
    parser.add_argument('--topics', nargs='+', default=[], metavar='TOPIC',
                        help='publish only these (default: all)')
    parser.add_argument('--raw', action='store_true', help='decode compressed images and publish '
                        'them raw, on the topic without /compressed')
    parser.add_argument('--stamp', choices=('bag', 'now'), default='bag', help='header stamps: '
                        'as recorded, or the time of publishing (default: bag)')
    parser.add_argument('--wait-for-subscribers', type=int, default=1, metavar='N',
                        help='start when every image topic has N subscribers (default: 1; '
                        '0 starts at once)')
    parser.add_argument('--wait-timeout', type=float, default=30.0, metavar='S',
                        help='give up waiting after S seconds (default: 30)')
    parser.add_argument('--report', type=Path, metavar='FILE', help='write what was sent as JSON')
    parser.add_argument('--quiet', action='store_true', help='no progress bar')


def run(args: argparse.Namespace) -> int:
    """Play; one line at the end says what was sent."""
    from ssd_perception.live.play import PlayOptions, play
    from ssd_perception.live.player import PlayerOptions

    report = play(PlayOptions(
        args.bag, PlayerOptions(args.rate, args.raw, args.stamp == 'now', args.clock,
                                args.wait_for_subscribers, args.wait_timeout),
        args.topics, args.loop, not args.quiet, args.ros_args))
    if args.report:
        atomic_write(args.report, (json.dumps(to_json(report), indent=2) + '\n').encode())
    print(f'Sent {report.frames} frames and {sum(report.messages.values())} messages in '
          f'{report.seconds:.1f} s, the latest {report.latest_ms:.0f} ms behind its time.'
          + (f' {report.left_out} could not be read.' if report.left_out else ''))
    return 0
