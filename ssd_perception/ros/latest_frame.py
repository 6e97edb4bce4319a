"""Slots that keep the newest frame of each camera and count what it replaced."""

from __future__ import annotations

import threading
import time
from collections.abc import Hashable, Iterable
from dataclasses import dataclass
from typing import Any


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

    def __init__(self, cameras: Iterable[Hashable]):
        self._changed = threading.Condition()
        self._counts = {camera: Counts() for camera in cameras}
        self._waiting: dict[Hashable, Any] = {}
        self._closed = False

    def put(self, camera: Hashable, frame: Any) -> None:
        """Keep ``frame`` as the newest of ``camera``; never blocks for long."""
        with self._changed:
            counts = self._counts[camera]
            self._counts[camera] = Counts(counts.received + 1,
                                          counts.replaced + (camera in self._waiting))
            # Taken out and put back, so that cameras are served in the order of arrival.
            self._waiting.pop(camera, None)
            self._waiting[camera] = frame
            self._changed.notify()

    def take(self, not_before: float = 0.0) -> dict[Hashable, Any]:
        """Wait for a frame and return the newest of every camera that has one.

        Args:
            not_before: moment on ``time.monotonic()`` before which nothing is handed out;
                newer frames go on replacing older ones until then.

        Returns:
            camera -> frame; empty only when the slots were closed.
        """
        with self._changed:
            while not self._closed:
                early = not_before - time.monotonic()
                if self._waiting and early <= 0:
                    break
                self._changed.wait(early if self._waiting else None)
            taken, self._waiting = ({} if self._closed else self._waiting), {}
            return taken

    def counts(self, camera: Hashable) -> Counts:
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
