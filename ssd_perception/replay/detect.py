"""The use-case behind ``ssd_perception detect``: detect in image files, videos and folders."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from tqdm import tqdm

from ssd_perception.core.errors import DataError
from ssd_perception.core.result_folder import check_replaceable, result_folder
from ssd_perception.core.safe_path import did_you_mean
from ssd_perception.core.text import printable
from ssd_perception.data.sample import IMAGE_SUFFIXES, OTHER_SUFFIXES, VIDEO_SUFFIXES
from ssd_perception.imaging.files import read_image
from ssd_perception.inference.options import DetectorOptions
from ssd_perception.replay.detection_folder import DetectionFolder


@dataclass(frozen=True)
class DetectOptions:
    """In what to detect, and how.

    Attributes:
        sources: image files, videos, and folders of them; a folder's own folders are left out.
        out: folder for the results; an earlier result is replaced when all is done.
        detector: weights, runtime and thresholds.
    """

    sources: Sequence[Path]
    out: Path = Path('detections')
    detector: DetectorOptions = DetectorOptions()


@dataclass(frozen=True)
class DetectSummary:
    """What was written.

    Attributes:
        images, videos: that were read, videos at least in part.
        frames: of the videos.
        unreadable: one sentence for each file that could not be read, or not all of it.
    """

    images: int
    videos: int
    frames: int
    unreadable: tuple[str, ...]


def run(options: DetectOptions, log: Callable[[str], object] = print) -> DetectSummary:
    """Detect, and write annotated copies, detections.jsonl and summary.json.

    A file that cannot be read is named on stderr at once, and left out.

    Args:
        log: called with a line that describes the detector.

    Raises:
        DataError: when there is no image or video, or none could be read.
        UserError: for weights or options that cannot be used.
    """
    check_replaceable(options.out.expanduser().absolute(), sources=options.sources)
    images, videos, others = _find(options.sources)
    detector = options.detector.load()
    log(detector.describe())
    unreadable: list[str] = []

    def log_unreadable(reason: object) -> None:
        unreadable.append(str(reason))
        tqdm.write(printable(reason, 1000), file=sys.stderr)

    for path in others:
        log_unreadable(f'{path} is left out: {path.suffix[1:].upper()} is not read; convert it to '
                       'JPEG or PNG.')
    total = len(images) + sum(_expected_frames(path) for path in videos)
    with result_folder(options.out) as folder:
        with DetectionFolder(folder, detector, detector.class_names) as results, \
                tqdm(total=total, desc='detect', unit='img') as bar:
            for path in images:
                try:
                    results.add_image(path, read_image(path))
                except DataError as error:
                    log_unreadable(error)
                bar.update()
            for path in videos:
                if damage := _add_video(results, path, bar.update):
                    log_unreadable(damage)
        if not results.images and not results.videos:
            raise DataError('Nothing was written: none of the files could be read.')
        results.finish(unreadable, detector.describe())
    return DetectSummary(results.images, results.videos, results.frames, tuple(unreadable))


def _add_video(results: DetectionFolder, path: Path,
               each: Callable[[], object]) -> str | None:
    """Detect in a video; return what is wrong with it, in one sentence, or None."""
    from ssd_perception.data.video import Video  # images alone need no video library

    try:
        with Video(path) as video:
            results.add_video(video, each)
    except DataError as error:
        return str(error)
    return video.damage


def _find(sources: Sequence[Path]) -> tuple[list[Path], list[Path], list[Path]]:
    """Return images, videos and images of formats that are not read, of files and folders."""
    paths, others = [], []
    if camera := next((source for source in sources if _is_camera(source)), None):
        raise DataError(f'{camera} is a camera, and detect reads files: publish its images with a '
                        'ROS driver such as v4l2_camera, and start the node.')
    if not any(source.exists() for source in sources):
        raise DataError(f'There is no file or folder {sources[0]}.{did_you_mean(sources[0])}')
    for source in sources:
        below = sorted(source.iterdir()) if source.is_dir() else []
        paths += [path for path in below if path.suffix.lower() in (
            *IMAGE_SUFFIXES, *VIDEO_SUFFIXES)] if source.is_dir() else [source]
        others += [path for path in below if path.suffix.lower() in OTHER_SUFFIXES]
    if not paths:
        where = ', '.join(map(str, sources))
        if others:
            raise DataError(f'The images in {where} are of formats that are not read, such as '
                            f'{printable(others[0].name)}: convert them to JPEG or PNG.')
        raise DataError(f'No images ({", ".join(IMAGE_SUFFIXES)}) or videos '
                        f'({", ".join(VIDEO_SUFFIXES)}) in {where}; folders inside are left out.')
    paths = list(dict.fromkeys(paths))
    videos = [path for path in paths if path.suffix.lower() in VIDEO_SUFFIXES]
    return [path for path in paths if path not in set(videos)], videos, others


def _is_camera(source: Path) -> bool:
    """Return whether a source is meant as a camera, as OpenCV and other detectors name them."""
    return source.is_char_device() or not source.exists() and (
        str(source).isdecimal() or str(source).startswith('/dev/video'))


def _expected_frames(path: Path) -> int:
    """Return what the progress bar expects of a video; 0 when it is unknown."""
    from ssd_perception.data.video import Video

    try:
        with Video(path) as video:
            return video.expected or 0
    except DataError:
        return 0
