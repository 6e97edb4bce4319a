"""Which of all detections are published: the user's thresholds applied afterwards."""

from __future__ import annotations

from ssd_perception.core.detections import Detections
from ssd_perception.core.postprocess import PostprocessSettings


class Published:
    """Chooses from detections down to a low score those that ``settings`` would have given.

    Attributes:
        settings: as the user wants them.
        thresholds: float64 (C,), one per class; above 1 for a class that is not wanted.
    """

    def __init__(self, settings: PostprocessSettings, class_names: tuple[str, ...]):
        self.settings = settings
        self.thresholds = settings.per_class(class_names)

    def __call__(self, detections: Detections) -> Detections:
        """Return the published ones, best first."""
        kept = detections[detections.scores >= self.thresholds[detections.labels]]
        return kept[:self.settings.max_detections]
