"""The one object that the robot follows: chosen by class and id, the nearest of those left."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ssd_perception.core.detections import Detections
from ssd_perception.scene.positions import Position


@dataclass(frozen=True)
class TargetSettings:
    """Which object is the target.

    Attributes:
        class_name: its class; empty for any.
        track_id: its id; 0 for any.
        timeout_s: for how long a target may be out of sight before another one
            may take its place, seconds. Without tracks objects have no ids and the nearest is
            the target at once.
    """

    class_name: str = ''
    track_id: int = 0
    timeout_s: float = 1.0


class TargetSelector:
    """Remembers which track is followed.

    Args:
        settings: which object it may be.
    """

    def __init__(self, settings: TargetSettings):
        self.settings = settings
        self._followed = 0
        self._seen_ns = 0

    def choose(self, stamp_ns: int, detections: Detections, positions: Sequence[Position],
               class_names: Sequence[str], origin: np.ndarray) -> int | None:
        """Return the index of the target in this image; None if it is not visible.

        Args:
            stamp_ns: of the image.
            detections: of that image.
            positions: one for each detection; those not known are no targets.
            class_names: names that labels index into.
            origin: (3,), where the camera is, metres; ranges are measured from there.
        """
        wanted, ids = self.settings, detections.ids
        ranges = {
            i: float(np.linalg.norm(position.xyz[:2] - origin[:2]))
            for i, position in enumerate(positions) if position.xyz is not None
            and wanted.class_name in ('', class_names[detections.labels[i]])
            and (not wanted.track_id or (ids is not None and ids[i] == wanted.track_id))}
        if ids is not None and self._followed:
            if self._followed in ids:  # in sight, also where its box is cut and gives no position
                self._seen_ns = stamp_ns
            same = [i for i in ranges if ids[i] == self._followed]
            waiting = 0 <= stamp_ns - self._seen_ns <= wanted.timeout_s * 1e9
            if not same and waiting and not wanted.track_id:
                return None
            ranges = {i: ranges[i] for i in same} or ranges
        if not ranges:
            return None
        nearest = min(ranges, key=ranges.__getitem__)
        self._followed = 0 if ids is None else int(ids[nearest])
        self._seen_ns = stamp_ns
        return nearest
