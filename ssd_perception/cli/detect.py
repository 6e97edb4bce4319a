"""Detect in images, folders and videos: annotated copies and one JSON line per image."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from ssd_perception.cli.detector_arguments import add_detector_arguments, detector_options


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
    from tqdm import tqdm

    from ssd_perception.core.errors import DataError
    from ssd_perception.core.result_folder import check_replaceable, result_folder
    from ssd_perception.core.text import printable
    from ssd_perception.imaging.files import read_image
    from ssd_perception.replay.detection_folder import DetectionFolder

    check_replaceable(args.out.expanduser().absolute())
    pictures, videos, others = _find(args.sources)
    if videos:
        from ssd_perception.data.video import Video  # images alone need no video library
    detector = detector_options(args).load()
    print(detector.describe())
    unreadable: list[str] = []

    def log_unreadable(reason: object) -> None:
        unreadable.append(str(reason))
        tqdm.write(printable(reason, 1000), file=sys.stderr)

    for path in others:
        log_unreadable(f'{path} is left out: {path.suffix[1:].upper()} is not read; convert it to '
                       'JPEG or PNG.')

    total = len(pictures) + sum(_expected_frames(path) for path in videos)
    with result_folder(args.out) as folder:
        with DetectionFolder(folder, detector, detector.class_names) as results, \
                tqdm(total=total, desc='detect', unit='img') as bar:
            for path in pictures:
                try:
                    results.add_image(path, read_image(path))
                except DataError as error:
                    log_unreadable(error)
                bar.update()
            for path in videos:
                try:
                    with Video(path) as video:
                        results.add_video(video, bar.update)
                except DataError as error:
                    log_unreadable(error)
                else:
                    if video.damage:
                        log_unreadable(video.damage)
        if not results.pictures and not results.videos:
            raise DataError(f'Nothing was written: none of the {len(pictures) + len(videos)} '
                            'files could be read.')
        results.finish(unreadable, detector.describe())
    counts = [f'{results.pictures} pictures'] * bool(pictures) + [
        f'{results.frames} frames of {results.videos} videos'] * bool(videos)
    print(f'{", ".join(counts)}; results are in {args.out}.')
    return 1 if unreadable else 0


def _find(sources: list[Path]) -> tuple[list[Path], list[Path], list[Path]]:
    """Return images, videos and images of formats that are not read, of files and folders."""
    from ssd_perception.core.errors import DataError
    from ssd_perception.data.sample import IMAGE_SUFFIXES, OTHER_SUFFIXES, VIDEO_SUFFIXES

    paths, others = [], []
    for source in sources:
        below = sorted(source.iterdir()) if source.is_dir() else []
        paths += [path for path in below if path.suffix.lower() in (
            *IMAGE_SUFFIXES, *VIDEO_SUFFIXES)] if source.is_dir() else [source]
        others += [path for path in below if path.suffix.lower() in OTHER_SUFFIXES]
    if not paths:
        raise DataError(f'No images ({", ".join(IMAGE_SUFFIXES)}) or videos '
                        f'({", ".join(VIDEO_SUFFIXES)}) in {", ".join(map(str, sources))}.')
    paths = list(dict.fromkeys(paths))
    videos = [path for path in paths if path.suffix.lower() in VIDEO_SUFFIXES]
    return [path for path in paths if path not in set(videos)], videos, others


def _expected_frames(path: Path) -> int:
    """Return what the progress bar expects of a video; 0 when it does not say or open."""
    from ssd_perception.core.errors import DataError
    from ssd_perception.data.video import Video

    try:
        with Video(path) as video:
            return video.expected or 0
    except DataError:
        return 0
