"""Publish a rosbag2 recording over DDS at its own pace; no rosbag2 installation needed."""

from __future__ import annotations

import argparse
import itertools
import json
import signal
import sys
from dataclasses import asdict
from pathlib import Path

from ssd_perception.core.atomic_write import atomic_write
from ssd_perception.core.errors import SettingError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    parser.add_argument('bag', type=Path, help='rosbag2 folder, or an .mcap or .db3 file')
    parser.add_argument('--rate', type=float, default=1.0, help='2 plays twice as fast')
    parser.add_argument('--loop', action='store_true', help='begin again at the end')
    parser.add_argument('--clock', action='store_true', help="publish the bag's time on /clock")
    parser.add_argument('--topics', nargs='+', default=[], metavar='TOPIC',
                        help='publish only these (default: all)')
    form = parser.add_mutually_exclusive_group()
    form.add_argument('--raw', action='store_true', help='decode compressed images and publish '
                      'them raw, on the topic without /compressed')
    form.add_argument('--as-is', dest='raw', action='store_false', help='the default')
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
    from ssd_perception.bags.reader import Bag

    signal.signal(signal.SIGTERM, signal.default_int_handler)  # ends as Ctrl-C does
    with Bag(args.bag) as bag:
        bag.require(args.topics)
        topics = {name: kind for name, kind in bag.topics.items()
                  if not args.topics or name in args.topics}
        if not any(bag.counts[name] for name in topics):
            raise SettingError(f'{args.bag} has no messages to play.')
        return _play(args, bag, topics)


def _play(args: argparse.Namespace, bag, topics: dict[str, str]) -> int:
    from tqdm import tqdm

    from ssd_perception.core.interface import IMAGE_TYPES
    from ssd_perception.live.player import PlayerOptions, run_player

    options = PlayerOptions(args.rate, args.raw, args.stamp == 'now', args.clock,
                            args.wait_for_subscribers, args.wait_timeout)
    passes = itertools.count() if args.loop else range(1)
    total = sum(bag.counts[name] for name, kind in topics.items() if kind in IMAGE_TYPES)
    shown = not args.quiet and sys.stderr.isatty()
    with tqdm(total=None if args.loop else total, desc='waiting for subscribers', unit='frame',
              disable=not shown) as bar:
        report = run_player((bag.records(list(topics)) for _ in passes), topics, options,
                            args.ros_args, progress=bar.update,
                            started=lambda images: bar.set_description(', '.join(images)))
    if args.report:
        _write_report(args.report, report)
    print(f'Sent {report.frames} frames and {sum(report.messages.values())} messages in '
          f'{report.seconds:.1f} s, the latest {report.latest_ms:.0f} ms behind its time.')
    return 0


def _write_report(path: Path, report) -> None:
    atomic_write(path, (json.dumps(asdict(report), indent=2) + '\n').encode())
