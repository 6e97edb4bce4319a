"""One camera image on its way through detector and stages, and what a stage is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ssd_perception.core.detections import Detections


@dataclass(frozen=True, eq=False)
class Frame:
    """A decoded image with what its message says about it.

    Attributes:
        camera: name of the camera or topic it came from; stages keep one state for each.
        stamp_ns: of its header, nanoseconds; 0 where the camera sets none.
        frame_id: of its header.
        image: uint8 (H, W, 3) RGB, maybe smaller than the camera's image; None where a stage
            runs again over kept detections.
        scale: factor from pixels of ``image`` to pixels of the camera's image, in which
            detections are.
    """

    camera: str
    stamp_ns: int
    frame_id: str
    image: np.ndarray | None
    scale: float = 1.0


# What follows the detector, the same list in node and replay: trackers, filters, positions.
# Detections are in pixels of the camera's image; a stage returns new ones.
Stage = Callable[[Frame, Detections], Detections]
