"""Run a rosbag2 recording through the detector: a recording of results, a video and a page."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from ssd_perception.cli.detector_arguments import add_detector_arguments, detector_options
from ssd_perception.cli.recording_arguments import add_recording_arguments
from ssd_perception.core.text import counted, printable
from ssd_perception.scene.tracks import TrackSettings

if TYPE_CHECKING:
    from ssd_perception.replay.run import ReplayOptions, ReplaySummary


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    add_recording_arguments(parser)
    parser.add_argument('--out', type=Path, default=Path('replay_output'), metavar='DIR',
                        help='folder for the results; of many recordings each has a folder in it '
                        '(default: replay_output)')
    add_detector_arguments(parser)
    parser.add_argument('--topics', nargs='+', default=[], metavar='TOPIC',
                        help='topics of images (default: all cameras)')
    parser.add_argument('--ground-truth', default='', metavar='TRUTH',
                        help='measure AP by this: a folder of labelled images, also as DIR:SPLIT '
                        '(default: val), or a topic of Detection2DArray in the recording')
    parser.add_argument('--workers', type=int, default=0, metavar='N',
                        help='networks side by side (default: on a CPU one per core)')
    parser.add_argument('--batch', type=int, default=1, metavar='N',
                        help='frames that the network takes at once (default: 1)')
    parser.add_argument('--storage', choices=('mcap', 'sqlite3'), default='mcap',
                        help='format of the recording of results (default: mcap)')
    parser.add_argument('--originals', action='store_true',
                        help='also copy all messages of the recording into that of results')
    parser.add_argument('--namespace', default='', metavar='NS',
                        help='prefix of the topics of the results')
    parser.add_argument('--no-pictures', action='store_true',
                        help='detections only: no annotated images, no video')
    parser.add_argument('--tracking', action='store_true',
                        help='give the same object the same id in all frames, as the node does')
    tracks = TrackSettings()
    parser.add_argument('--track-confirmations', type=int, default=tracks.confirm, metavar='N',
                        help='frames in which an object must be found before it is published '
                        f'(default: {tracks.confirm})')
    parser.add_argument('--track-misses', type=int, default=tracks.misses, metavar='N',
                        help='a track survives this many frames in a row without its object '
                        f'(default: {tracks.misses})')
    parser.add_argument('--track-low-score', type=float, default=tracks.low_score, metavar='S',
                        help='boxes with at least this score can continue a track '
                        f'(default: {tracks.low_score})')
    parser.add_argument('--fresh', action='store_true',
                        help='discard an interrupted run instead of continuing it')


def options(args: argparse.Namespace) -> ReplayOptions:
    """Return what the arguments ask for."""
    from ssd_perception.replay.run import ReplayOptions

    return ReplayOptions(
        Path(args.bag[0]), args.out, detector_options(args), tuple(args.topics), args.ground_truth,
        args.workers, args.batch, args.storage, args.originals, args.namespace,
        not args.no_pictures, args.fresh,
        tracking=TrackSettings(args.track_confirmations, args.track_misses, args.track_low_score)
        if args.tracking else None)


def run(args: argparse.Namespace) -> int:
    """Replay; the last lines say what was found, and what was lost."""
    from ssd_perception.fleet.recordings import is_one_recording
    from ssd_perception.replay.run import run as replay

    out = args.out.expanduser().absolute()
    if not args.ray and is_one_recording(args.bag):
        _print_summary(replay(options(args)), out)
        return 0
    from ssd_perception.fleet.replay import FleetReplayOptions
    from ssd_perception.fleet.replay import run as replay_all

    summary = replay_all(FleetReplayOptions(args.bag, options(args), args.ray))
    print(f'{counted(len(summary.recordings), "recording")} of {summary.hours:.2f} h, '
          f'{len(summary.failures)} failed; results are in {out}, look at {out / "report.html"}.')
    return 1 if summary.failures else 0


def _print_summary(summary: ReplaySummary, out: Path) -> None:
    for sentence in (*summary.losses, *summary.notes):
        print(sentence)
    if summary.losses:
        print(f'Read {summary.frames} frames over {summary.seconds:.1f} s.')
    if summary.unreadable:
        print(f'{summary.unreadable} images could not be decoded or answered.')
    for topic in summary.not_copied:
        print(f'{printable(topic)} was not copied: its type is not known.')
    speed = summary.frames_per_s
    print(f'{summary.detections} detections in {summary.frames_with_detections} of '
          f'{summary.frames} frames' + (f', {speed:.1f} frames/s.' if speed else '.'))
    if summary.ground_truth is not None:
        figures = summary.ground_truth.accuracy
        print(f'AP50 {figures.voc10_ap50:.4f} (VOC 2010), {figures.voc07_ap50:.4f} (2007) '
              f'on {figures.images} frames; ground truth: {summary.ground_truth.source}.')
    print(f'Results are in {out}; look at {out / "report.html"}.')
