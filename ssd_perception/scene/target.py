"""The one object that the robot follows: chosen by class and id, the nearest of those left."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ssd_perception.core.detections import Detections
from ssd_perception.scene.positions import Position

# Without tracks a target is the one that moved by less than this between two images, unless
# another one is nearer by more than this factor: else it would change between equally near ones.
_SAME_PLACE_M, _CLEARLY_NEARER = 0.5, 1.2


@dataclass(frozen=True)
class TargetSettings:
    """Which object is the target.

    Attributes:
        class_name: its class; empty for any.
        track_id: its id; 0 for any.
        timeout_s: for how long a target may be out of sight before another one
            may take its place, seconds. Without tracks objects have no ids: what is out of sight
            is replaced at once.
    """

    class_name: str = ''
    track_id: int = 0
    timeout_s: float = 1.0


class TargetSelector:
    """Remembers which track is followed, or, without tracks, where the target was.

    Args:
        settings: which object it may be.
    """

    def __init__(self, settings: TargetSettings):
        self.settings = settings
        self._followed = 0
        self._seen_ns = 0
        self._place = np.full(2, np.inf)  # from the camera, metres

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
        places = {
            i: position.xyz[:2] - origin[:2]
            for i, position in enumerate(positions) if position.xyz is not None
            and wanted.class_name in ('', class_names[detections.labels[i]])
            and (not wanted.track_id or (ids is not None and ids[i] == wanted.track_id))}
        if ids is not None and self._followed in ids:
            self._seen_ns = stamp_ns  # also where its box is cut and gives no position
        waiting = 0 <= stamp_ns - self._seen_ns <= wanted.timeout_s * 1e9
        if ids is not None and self._followed:
            same = [i for i in places if ids[i] == self._followed]
            if not same and waiting and not wanted.track_id:
                return None
            places = {i: places[i] for i in same} or places
        if not places:
            return None
        ranges = {i: float(np.linalg.norm(place)) for i, place in places.items()}
        chosen = min(ranges, key=ranges.__getitem__)
        if ids is None and waiting:
            moved = {i: float(np.linalg.norm(p - self._place)) for i, p in places.items()}
            same_place = min(moved, key=moved.__getitem__)
            if (moved[same_place] < _SAME_PLACE_M
                    and ranges[same_place] < ranges[chosen] * _CLEARLY_NEARER):
                chosen = same_place
        self._followed = 0 if ids is None else int(ids[chosen])
        self._seen_ns, self._place = stamp_ns, places[chosen]
        return chosen
