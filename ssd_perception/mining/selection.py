"""The chosen frames of a recording in figures: for a file, and tiles for its page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import cv2

from ssd_perception.core.messages import json_rows
from ssd_perception.imaging.compressed import encode_jpeg
from ssd_perception.imaging.files import read_image
from ssd_perception.replay.thresholds import ScoreThresholds
from ssd_perception.replay.work_folder import FrameResult
from ssd_perception.viz.drawing import draw_detections

_TILE_WIDTH, _MOST_TILES = 480, 60


@dataclass(frozen=True)
class ChosenFrame:
    """One chosen frame.

    Attributes:
        file: name of its image.
        index: its place among the images of the recording.
        camera: name.
        stamp_ns: its header's.
        seconds: since the recording's first frame.
        boxes: those to correct, as ``core.messages.json_rows``.
    """

    file: str
    index: int
    camera: str
    stamp_ns: int
    seconds: float
    boxes: list[dict]


@dataclass(frozen=True)
class SelectionSummary:
    """A selection in figures: the content of ``selection.json``.

    Attributes:
        frames, unreadable: images recorded, and those of them that could not be decoded.
        chosen: in recorded order.
        bag: the recording, as it was given.
        weights: file name.
        notes: one sentence for each thing that the user should know.
        split: name of the split written.
        failed: of many recordings, the number of those that could not be read.
    """

    frames: int
    unreadable: int
    chosen: tuple[ChosenFrame, ...]
    bag: str
    weights: str
    notes: tuple[str, ...]
    split: str
    failed: int = 0

    def to_json(self) -> dict:
        """Return plain values."""
        return asdict(self)


@dataclass(frozen=True)
class Selection:
    """The chosen frames of one or more recordings.

    Attributes:
        results: the frames.
        cameras: of each, the name of its camera.
        thresholds: of what is published.
        seconds: of each, the time since its recording's first frame.
    """

    results: Sequence[FrameResult]
    cameras: Sequence[str]
    thresholds: ScoreThresholds
    seconds: Sequence[float]

    def chosen(self, files: Sequence[str]) -> tuple[ChosenFrame, ...]:
        """Return every frame; ``files`` are the names of their images."""
        return tuple(
            ChosenFrame(file, result.index, camera, result.stamp_ns, round(seconds, 3),
                        json_rows(self.thresholds.passed(result.detections),
                                  self.thresholds.class_names))
            for file, result, camera, seconds in zip(files, self.results, self.cameras,
                                                     self.seconds))

    def tiles(self, folder: Path, chosen: Sequence[ChosenFrame]) -> list[tuple[bytes, str]]:
        """Return JPEGs with captions: boxes to correct, and detections below the threshold."""
        made = []
        for result, frame in list(zip(self.results, chosen))[:_MOST_TILES]:
            image = read_image(folder / frame.file)
            scale = _TILE_WIDTH / image.shape[1]
            size = _TILE_WIDTH, max(1, round(image.shape[0] * scale))
            small = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
            found = result.detections
            drawn = draw_detections(small, self.thresholds.passed(found).scaled(scale),
                                    self.thresholds.class_names,
                                    weak=self.thresholds.narrowly_missed(found).scaled(scale))
            camera = f'{frame.camera}, ' if len(set(self.cameras)) > 1 else ''
            made.append((encode_jpeg(drawn, 85).tobytes(), f'{camera}{frame.seconds:.1f} s'))
        return made
