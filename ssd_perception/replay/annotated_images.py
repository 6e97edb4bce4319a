"""Frames with their detections drawn: as JPEGs and, chunk by chunk, as videos."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from ssd_perception.imaging.compressed import encode_jpeg
from ssd_perception.replay.cameras import RecordedCamera
from ssd_perception.replay.thresholds import ScoreThresholds
from ssd_perception.replay.work_folder import FrameResult, WorkFolder
from ssd_perception.viz.drawing import draw_detections
from ssd_perception.viz.video import VideoWriter

VIDEO_FPS = 10  # of the chunks; the times of the frames are set when they are joined
_VIDEO_SIDE, _JPEG_QUALITY = 1280, 80


class AnnotatedImages:
    """Draws the published detections, while ``scan`` has each frame's image at hand.

    Args:
        folder: with the chunks of an interrupted run: a camera's video keeps its size.
    """

    def __init__(self, cameras: Sequence[RecordedCamera], thresholds: ScoreThresholds,
                 folder: WorkFolder):
        self._names = {camera.topic: camera.name for camera in cameras}
        self._thresholds = thresholds
        self._sizes = _first_sizes(folder, self._names)
        self._videos: dict[str, VideoWriter] = {}

    def begin(self, chunk: Path) -> None:
        """Begin the videos of a chunk."""
        self._chunk = chunk

    def add(self, result: FrameResult, image: np.ndarray) -> bytes:
        """Append a frame to its camera's video; return it as JPEG."""
        drawn = draw_detections(image, self._thresholds.published(result),
                                self._thresholds.class_names)
        camera = self._names[result.topic]
        size = video_size(self._sizes.setdefault(camera, drawn.shape[1::-1]))
        if camera not in self._videos:
            self._videos[camera] = VideoWriter(self._chunk / f'{camera}.webm', size, VIDEO_FPS,
                                               fast=True)
        self._videos[camera].add(drawn if drawn.shape[1::-1] == size
                                 else cv2.resize(drawn, size, interpolation=cv2.INTER_AREA))
        return encode_jpeg(drawn, _JPEG_QUALITY).tobytes()

    def end(self) -> None:
        """Close the videos of the chunk, also of one that is given up."""
        for video in self._videos.values():
            video.close()
        self._videos = {}


def _first_sizes(folder: WorkFolder, names: dict[str, str]) -> dict[str, tuple[int, int]]:
    """Return camera -> size of its first image in the finished chunks: its video's."""
    sizes: dict[str, tuple[int, int]] = {}
    for result in folder.frames():
        if result.width and len(sizes) < len(names):
            sizes.setdefault(names[result.topic], (result.width, result.height))
    return sizes


def video_size(size: tuple[int, int]) -> tuple[int, int]:
    """Return the even width and height of the video of images of ``size``."""
    scale = min(1.0, _VIDEO_SIDE / max(size))
    width, height = (max(2, round(side * scale) // 2 * 2) for side in size)
    return width, height
