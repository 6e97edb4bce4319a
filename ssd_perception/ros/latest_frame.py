"""Slots that keep the newest frame of each camera and count what it replaced."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

# No wait is longer: whatever it waits for is looked at again.
LONGEST_WAIT_S = 1.0


@dataclass(frozen=True)
class Counts:
    """Frames of one camera since the start.

    Attributes:
        received: all that came.
        replaced: those that a newer one pushed out, or a jump of the clock made worthless,
            before anybody looked at them.
    """

    received: int = 0
    replaced: int = 0


class LatestFrames:
    """One slot per camera; callbacks put, one worker takes.

    A queue would add its length to the age of every detection; a slot answers for now.
    """

    def __init__(self, cameras: Iterable[str]):
        self._changed = threading.Condition()
        self._counts = {camera: Counts() for camera in cameras}
        self._waiting: dict[str, Any] = {}
        self._closed = False

    def put(self, camera: str, frame: Any) -> None:
        """Keep ``frame`` as the newest of ``camera``; never blocks for long."""
        with self._changed:
            counts = self._counts[camera]
            self._counts[camera] = Counts(counts.received + 1,
                                          counts.replaced + (camera in self._waiting))
            # It takes the place of the older one: the camera that has waited longest comes first.
            self._waiting[camera] = frame
            self._changed.notify()

    def take(self, not_before: Callable[[str], float] = lambda camera: 0.0,
             most: int | None = None, wait: bool = True) -> dict[str, Any]:
        """Wait for a frame and return the newest of every camera that has one.

        Args:
            not_before: camera -> the moment on ``time.monotonic()`` before which its frame is not
                handed out; newer frames replace older ones until then. It is asked again after
                ``wake``.
            most: so many frames at most; None means all.
            wait: False returns at once.

        Returns:
            camera -> frame, the camera first that has waited longest. Empty when the slots were
            closed, or there is nothing to wait for.
        """
        with self._changed:
            while not self._closed:
                now = time.monotonic()
                early_s = {camera: not_before(camera) - now for camera in self._waiting}
                due = [camera for camera, seconds in early_s.items() if seconds <= 0][:most]
                if due or not wait:
                    return {camera: self._waiting.pop(camera) for camera in due}
                self._changed.wait(min([LONGEST_WAIT_S, *early_s.values()]))
            return {}

    def counts(self, camera: str) -> Counts:
        """Return the counts of one camera so far."""
        with self._changed:
            return self._counts[camera]

    def forget(self) -> None:
        """Throw away what waits; it counts as replaced."""
        with self._changed:
            for camera in self._waiting:
                counts = self._counts[camera]
                self._counts[camera] = Counts(counts.received, counts.replaced + 1)
            self._waiting = {}

    def wake(self) -> None:
        """Let a waiting ``take`` ask its ``not_before`` again."""
        with self._changed:
            self._changed.notify_all()

    def open(self) -> None:
        """Hand out frames again after ``close``; what was left waiting is forgotten."""
        with self._changed:
            self._waiting = {}
            self._closed = False

    def close(self) -> None:
        """Wake the worker for good: ``take`` returns empty from now on."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
