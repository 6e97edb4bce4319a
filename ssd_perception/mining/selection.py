"""The chosen frames of a recording in figures: for a file, and tiles and curves for its page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import cv2
import numpy as np

from ssd_perception.imaging.compressed import encode_jpeg
from ssd_perception.imaging.files import read_image
from ssd_perception.mining.choose import Choice, frame_uncertainty
from ssd_perception.replay.thresholds import ScoreThresholds
from ssd_perception.replay.work_folder import FrameResult
from ssd_perception.viz.drawing import draw_detections

_TILE_WIDTH, _MOST_TILES = 480, 60


@dataclass(frozen=True)
class ChosenFrame:
    """One frame worth labelling.

    Attributes:
        file: name of its image.
        index: its place among the images of the recording.
        camera: name.
        stamp_ns: its header's.
        seconds: since the recording's first frame.
        uncertainty, novelty: see ``mining.choose.Choice``.
        boxes: those to correct, as ``core.messages.json_rows``.
    """

    file: str
    index: int
    camera: str
    stamp_ns: int
    seconds: float
    uncertainty: float
    novelty: float | None
    boxes: list[dict]


@dataclass(frozen=True)
class SelectionSummary:
    """A selection in figures: the content of ``selection.json``.

    Attributes:
        frames, unreadable: images recorded, and those of them that could not be decoded.
        chosen: the most useful first.
        bag: the recording, as it was given.
        weights: file name.
        how: what they were chosen by, in words.
        notes: one sentence for each thing that the user should know.
        split: name of the split written.
        failed: of many recordings, the number of those that could not be read.
    """

    frames: int
    unreadable: int
    chosen: tuple[ChosenFrame, ...]
    bag: str
    weights: str
    how: str
    notes: tuple[str, ...]
    split: str
    failed: int = 0

    def to_json(self) -> dict:
        """Return plain values."""
        return asdict(self)


@dataclass(frozen=True)
class Selection:
    """The frames of one or more recordings, and those chosen, the most useful first.

    Attributes:
        results: all frames.
        choices: places in ``results``.
        cameras: of each frame, the name of its camera.
        thresholds: of what is published.
        seconds: of each frame, the time since its recording's first one.
    """

    results: Sequence[FrameResult]
    choices: Sequence[Choice]
    cameras: Sequence[str]
    thresholds: ScoreThresholds
    seconds: Sequence[float]

    def chosen(self, files: Mapping[int, str],
               boxes: Mapping[int, list[dict]]) -> tuple[ChosenFrame, ...]:
        """Return every chosen frame.

        Args:
            files: place -> file name.
            boxes: place -> boxes to correct.
        """
        found = []
        for choice in self.choices:
            result = self.results[choice.place]
            found.append(ChosenFrame(
                files[choice.place], result.index, self.cameras[choice.place], result.stamp_ns,
                round(self.seconds[choice.place], 3), round(choice.uncertainty, 4),
                None if choice.novelty is None else round(choice.novelty, 4),
                boxes[choice.place]))
        return tuple(found)

    def uncertainty(self) -> dict[str, tuple[np.ndarray, np.ndarray]]:
        """Return camera -> (seconds, uncertainty) of all its frames."""
        values = frame_uncertainty(self.results, self.thresholds)
        found = {}
        for camera in dict.fromkeys(self.cameras):
            mine = [i for i, result in enumerate(self.results)
                    if self.cameras[i] == camera and not result.error]
            found[camera] = np.array([self.seconds[i] for i in mine]), values[mine]
        return found

    def tiles(self, folder: Path, chosen: Sequence[ChosenFrame]) -> list[tuple[bytes, str]]:
        """Return JPEGs with captions: boxes to correct, and detections below the threshold."""
        made = []
        for choice, frame in list(zip(self.choices, chosen))[:_MOST_TILES]:
            image = read_image(folder / frame.file)
            scale = _TILE_WIDTH / image.shape[1]
            size = _TILE_WIDTH, max(1, round(image.shape[0] * scale))
            small = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
            found = self.results[choice.place].detections
            drawn = draw_detections(small, self.thresholds.passed(found).scaled(scale),
                                    self.thresholds.class_names,
                                    weak=self.thresholds.narrowly_missed(found).scaled(scale))
            data = encode_jpeg(drawn, 85)
            camera = f'{frame.camera}, ' if len(set(self.cameras)) > 1 else ''
            novelty = '' if frame.novelty is None else f', novelty {frame.novelty:.2f}'
            made.append((data.tobytes(), f'{camera}{frame.seconds:.1f} s: uncertainty '
                         f'{frame.uncertainty:.2f}{novelty}'))
        return made
