"""One camera image on its way through detector and stages, and what a stage is."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np

from ssd_perception.core.detections import Detections
from ssd_perception.core.postprocess import PostprocessSettings


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
# Detections are in pixels of the camera's image; a stage returns new ones. A stage may have the
# methods ``prepare(settings, class_names)`` and ``reset()``; see the functions below.
Stage = Callable[[Frame, Detections], Detections]


def run_stages(stages: Iterable[Stage], frame: Frame, detections: Detections) -> Detections:
    """Return what is left of ``detections`` behind all stages, in their order."""
    for stage in stages:
        detections = stage(frame, detections)
    return detections


def prepare_stages(stages: Iterable[Stage], settings: PostprocessSettings,
                   class_names: tuple[str, ...]) -> PostprocessSettings:
    """Give stages the thresholds that are to be published; return those to detect with.

    A stage that needs weaker detections, as a tracker does, returns lower ones from ``prepare``;
    it has to leave out by itself what is not to be published. Called before the first frame and
    whenever thresholds or classes have changed.
    """
    for stage in stages:
        prepare = getattr(stage, 'prepare', None)
        if prepare is not None:
            settings = prepare(settings, class_names)
    return settings


def reset_stages(stages: Iterable[Stage]) -> None:
    """Forget what stages know of earlier frames: the clock went back, or the classes changed."""
    for stage in stages:
        reset = getattr(stage, 'reset', None)
        if reset is not None:
            reset()
