"""A folder of detections: annotated images and videos, and one JSON line per image."""

from __future__ import annotations

import itertools
import json
import os
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ssd_perception.core.detections import Detections
from ssd_perception.core.errors import DataError
from ssd_perception.core.messages import json_rows
from ssd_perception.imaging.compressed import encode_jpeg
from ssd_perception.viz.drawing import draw_detections

if TYPE_CHECKING:  # images alone need no video library
    from ssd_perception.data.video import Video

LINES, SUMMARY = 'detections.jsonl', 'summary.json'
_QUALITY = 95  # of annotated JPEGs
_MAX_STEM_BYTES = 220  # file systems allow 255 for a name


class DetectionFolder:
    """Writes results into an existing folder; a context manager.

    Args:
        folder: where.
        detect: uint8 (H, W, 3) RGB -> Detections.
        class_names: names that labels index into.
    """

    def __init__(self, folder: Path, detect: Callable[[np.ndarray], Detections],
                 class_names: Sequence[str]):
        self._folder, self._detect, self._class_names = folder, detect, tuple(class_names)
        self._taken = {LINES, SUMMARY}
        self._counts: Counter[str] = Counter()
        self.images = self.videos = self.frames = 0

    def __enter__(self) -> DetectionFolder:
        self._lines = open(self._folder / LINES, 'w', encoding='utf-8')
        return self

    def __exit__(self, *_: object) -> None:
        self._lines.close()

    def add_image(self, path: Path, image: np.ndarray) -> None:
        """Detect in one image; write its line and its annotated copy."""
        found = self._detect(image)
        name = free_name(path, '.jpg', self._taken)
        self._write_line({'picture': str(path), 'annotated': name}, found)
        drawn = draw_detections(image, found, self._class_names)
        # Not by OpenCV: it accepts only names in UTF-8, and gives no reason when it fails.
        (self._folder / name).write_bytes(encode_jpeg(drawn, _QUALITY).tobytes())
        self.images += 1

    def add_video(self, video: Video, each: Callable[[], object]) -> None:
        """Detect in every frame; write a line for each and the annotated video.

        Args:
            each: called after every frame, for a progress bar.

        Raises:
            DataError: when no frame of it can be read.
        """
        from ssd_perception.viz.video import write_video

        frames = video.frames()
        first = next(frames, None)
        if first is None:
            raise DataError(video.damage or f'{video.path} has no frames.', video.path)
        name = free_name(video.path, '.webm', self._taken)

        def annotated() -> Iterator[np.ndarray]:
            for frame in itertools.chain([first], frames):
                found = self._detect(frame.image)
                self._write_line({'video': str(video.path), 'annotated': name,
                                  'frame': frame.index, 'seconds': round(frame.seconds, 4)},
                                 found)
                yield draw_detections(frame.image, found, self._class_names)
                each()

        self.frames += write_video(self._folder / name, annotated(), video.fps)
        self.videos += 1

    def finish(self, unreadable: Sequence[str], weights: str) -> None:
        """Write summary.json.

        Args:
            unreadable: one sentence for each file that could not be read, or not all of it.
            weights: what detected.
        """
        (self._folder / SUMMARY).write_text(json.dumps({
            'weights': weights, 'pictures': self.images, 'videos': self.videos,
            'frames': self.frames,
            'detections': {name: self._counts[name] for name in self._class_names},
            'unreadable': list(unreadable)}, indent=2) + '\n', encoding='utf-8')

    def _write_line(self, source: dict, found: Detections) -> None:
        rows = json_rows(found, self._class_names)
        self._counts.update(row['class'] for row in rows)
        self._lines.write(json.dumps({**source, 'detections': rows}) + '\n')


def free_name(path: Path, suffix: str, taken: set[str]) -> str:
    """Return a file name for the result of ``path`` that is not taken, and take it.

    Its stem; else with its folder's name before it; else with a number. Long ones are cut.
    """
    stem = _cut(path.stem)
    stems = itertools.chain([stem, _cut(f'{path.resolve().parent.name}_{path.stem}')],
                            (f'{stem}_{number}' for number in itertools.count(2)))
    # Two names that differ in case are one file on some disks.
    name = next(stem + suffix for stem in stems if (stem + suffix).lower() not in taken)
    taken.add(name.lower())
    return name


def _cut(stem: str) -> str:
    """Return the beginning of a name that no file system refuses with a number and an ending."""
    while len(os.fsencode(stem)) > _MAX_STEM_BYTES:
        stem = stem[:-1]
    return stem
