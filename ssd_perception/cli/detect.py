"""Detect in images, folders and videos: annotated copies and one JSON line per image."""

from __future__ import annotations

import argparse
from pathlib import Path

from ssd_perception.cli.detector_arguments import add_detector_arguments, detector_options
from ssd_perception.core.text import counted


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    parser.add_argument('sources', type=Path, nargs='+', metavar='PATH',
                        help='images (JPEG, PNG, WebP, BMP, TIFF, AVIF), videos (.mp4, .mov, '
                        '.avi, .mkv, .webm and others), or folders of them')
    add_detector_arguments(parser)
    parser.add_argument('--out', type=Path, default=Path('detections'), metavar='DIR',
                        help='folder for annotated images and videos, detections.jsonl and '
                        'summary.json; an earlier result is replaced when all is done '
                        '(default: detections)')


def run(args: argparse.Namespace) -> int:
    """Detect; what cannot be read, or not all of it, is named, and the exit code is 1."""
    from ssd_perception.replay import detect

    summary = detect.run(detect.DetectOptions(args.sources, args.out, detector_options(args)))
    counts = [counted(summary.images, 'image')] * bool(summary.images or not summary.videos) + [
        f'{counted(summary.frames, "frame")} of {counted(summary.videos, "video")}'] * bool(
            summary.videos)
    print(f'{", ".join(counts)}; results are in {args.out}.')
    return 1 if summary.unreadable else 0
