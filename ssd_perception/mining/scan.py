"""One pass over a recording: what the detector finds in every frame, and what frames look like."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from ssd_perception.bags.reader import Bag
from ssd_perception.core.detections import Detections
from ssd_perception.replay.cameras import Camera
from ssd_perception.replay.chunks import CHUNK_FRAMES, Answer, PieceWriter, WorkFolder, decoded

Detect = Callable[[Sequence[np.ndarray]], list[Detections]]
# Looks at pictures (n of uint8 (H, W, 3) RGB) and returns float32 (n, d).
Look = Callable[[Sequence[np.ndarray]], np.ndarray]


def scan(bag: Bag, cameras: Sequence[Camera], detect: Detect, look: Look | None,
         folder: WorkFolder, progress: Callable[[int], object] = lambda count: None) -> None:
    """Answer the frames that are not done yet; on an exception finished pieces stay.

    Args:
        detect: with the low threshold.
        look: gives the features; None for none.
        progress: called with the number of frames answered since its last call.
    """
    skip = len(folder.done) * CHUNK_FRAMES
    piece = None
    try:
        for index, record in enumerate(bag.records([camera.topic for camera in cameras])):
            if index < skip:
                continue
            if piece is None:
                piece = PieceWriter(folder, index // CHUNK_FRAMES)
            answer, image = decoded(index, record)
            extra = b''
            if image is not None:
                answer = answer.with_detections(detect([image])[0])
                extra = look([image])[0].tobytes() if look else b''
            piece.add(answer, extra, {})
            if (index + 1) % CHUNK_FRAMES == 0:
                piece.finish()
                piece = None
            progress(1)
        if piece is not None:
            piece.finish()
            piece = None
    finally:
        if piece is not None:
            piece.close()


def examined(folder: WorkFolder) -> tuple[list[Answer], np.ndarray | None]:
    """Return every frame's answer, and their features: (n, d) float32, or None without any.

    A frame that could not be decoded has the features 0.
    """
    answers = list(folder.frames())
    vectors = [np.frombuffer(extra, np.float32) for extra in folder.extras()]
    length = max((len(vector) for vector in vectors), default=0)
    if not length:
        return answers, None
    return answers, np.stack([vector if len(vector) else np.zeros(length, np.float32)
                              for vector in vectors])
