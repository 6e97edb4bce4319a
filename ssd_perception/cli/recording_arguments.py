"""Which recordings a verb reads, and what runs it: arguments of the verbs that take many."""

from __future__ import annotations

import argparse


def add_recording_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the recordings, ``bag``, and --ray."""
    parser.add_argument('bag', nargs='+', help='rosbag2 folder, or an .mcap or .db3 file; a '
                        'broken one is read as far as it goes. Also many: folders of '
                        'recordings, globs in quotes, .txt files with one of these a line')
    parser.add_argument('--ray', nargs='?', const='local', default='', metavar='ADDRESS',
                        help='work on the recordings side by side with Ray: on this machine, or '
                        'on the cluster at ADDRESS; stands after the recordings')
