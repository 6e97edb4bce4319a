"""The chosen frames of a recording in figures: for a file, and tiles for its page."""

from __future__ import annotations

from dataclasses import asdict, dataclass

import cv2
import numpy as np

from ssd_perception.core.detections import Detections
from ssd_perception.imaging.compressed import encode_jpeg
from ssd_perception.replay.thresholds import ScoreThresholds
from ssd_perception.viz.drawing import draw_detections

_TILE_WIDTH = 480


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


def tile(image: np.ndarray, detections: Detections, thresholds: ScoreThresholds) -> bytes:
    """Return a small JPEG of a frame: boxes to correct, and detections below the threshold.

    Args:
        image: uint8 (H, W, 3) RGB.
        detections: in its pixels, with all scores from ``thresholds.lowest`` on.
    """
    scale = _TILE_WIDTH / image.shape[1]
    size = _TILE_WIDTH, max(1, round(image.shape[0] * scale))
    small = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    drawn = draw_detections(small, thresholds.passed(detections).scaled(scale),
                            thresholds.class_names,
                            weak=thresholds.narrowly_missed(detections).scaled(scale))
    return encode_jpeg(drawn, 85).tobytes()
