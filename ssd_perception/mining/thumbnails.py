"""What a frame looks like, in a few pixels: enough to see that two frames are alike."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from ssd_perception.replay.work_folder import FrameResult, WorkFolder

SIZE = 16, 12  # width and height, px


class Thumbnails:
    """Keeps a thumbnail of every frame; a ``replay.scan.Consumer``."""

    name = 'thumbnails'

    def begin(self, chunk: Path) -> None:
        """Nothing is written beside what is kept."""

    def add(self, result: FrameResult, image: np.ndarray) -> bytes:
        """Return the frame's thumbnail."""
        return thumbnail(image).tobytes()

    def end(self) -> None:
        """Nothing is open."""


def thumbnail(image: np.ndarray) -> np.ndarray:
    """Return uint8 (d,), the mean colours of areas, for an image: uint8 (H, W, 3) RGB.

    An orange thing may be as bright as the grey floor, so colours are kept.
    """
    return cv2.resize(image, SIZE, interpolation=cv2.INTER_AREA).reshape(-1)


def kept_thumbnails(folder: WorkFolder) -> np.ndarray:
    """Return every frame's thumbnail: uint8 (n, d), 0 where an image could not be decoded."""
    none = bytes(SIZE[0] * SIZE[1] * 3)
    kept = b''.join(data or none for data in folder.kept(Thumbnails.name))
    return np.frombuffer(kept, np.uint8).reshape(-1, len(none))
