"""Slots that keep the newest frame of each camera and count what it replaced."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Hashable, Iterable
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
    """One slot per camera; callbacks put, threads of the worker take.

    A queue would add its length to the age of every detection; a slot answers for now. A camera
    whose frame is in work waits for its answer, so that its answers keep the frames' order.
    """

    def __init__(self, cameras: Iterable[str]):
        self._changed = threading.Condition()
        self._counts = {camera: Counts() for camera in cameras}
        self._waiting: dict[str, Any] = {}
        self._in_work: dict[Hashable, tuple[str, ...]] = {}  # taker -> cameras
        self._served = dict.fromkeys(self._counts, 0)  # the number of the last time
        self._times_served = 0
        self._closed = False

    def put(self, camera: str, frame: Any) -> None:
        """Keep ``frame`` as the newest of ``camera``; never blocks for long."""
        with self._changed:
            counts = self._counts[camera]
            self._counts[camera] = Counts(counts.received + 1,
                                          counts.replaced + (camera in self._waiting))
            # Taken out and put back: cameras that waited as long come in the order of arrival.
            self._waiting.pop(camera, None)
            self._waiting[camera] = frame
            self._changed.notify()

    def take(self, not_before: Callable[[str], float] = lambda camera: 0.0,
             most: Callable[[], int | None] = lambda: None,
             taker: Hashable = None) -> dict[str, Any]:
        """Wait for a frame and return the newest of every camera that has one.

        The camera that was served longest ago comes first.

        Args:
            not_before: camera -> the moment on ``time.monotonic()`` before which its frame is not
                handed out; newer frames replace older ones until then. It is asked again after
                ``wake``.
            most: returns how many frames to hand out; None for all, 0 to end the wait.
            taker: who asks. What the same one took before is no longer in work.

        Returns:
            camera -> frame; empty only when the slots were closed, or ``most`` returned 0.
        """
        with self._changed:
            self._in_work.pop(taker, None)
            while not self._closed and (limit := most()) != 0:
                due, wait_s = self._due(not_before)
                if due:
                    taken = {camera: self._waiting.pop(camera) for camera in due[:limit]}
                    self._in_work[taker] = tuple(taken)
                    self._times_served += 1
                    self._served.update(dict.fromkeys(taken, self._times_served))
                    return taken
                self._changed.wait(wait_s)
            self._changed.notify_all()  # this one may have been woken in another's place
            return {}

    def _due(self, not_before: Callable[[str], float]) -> tuple[list[str], float]:
        """Return the cameras to serve now, and how long to wait where there is none, s."""
        in_work = {camera for cameras in self._in_work.values() for camera in cameras}
        now, due, wait_s = time.monotonic(), [], LONGEST_WAIT_S
        for camera in self._waiting:
            early_s = not_before(camera) - now
            if camera in in_work:
                continue
            if early_s <= 0:
                due.append(camera)
            wait_s = min(wait_s, early_s)
        return sorted(due, key=self._served.__getitem__), wait_s

    def release(self, taker: Hashable) -> None:
        """Hand out frames of the cameras that ``taker`` had in work: it will not come back."""
        with self._changed:
            self._in_work.pop(taker, None)
            self._changed.notify_all()

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
        """Let every waiting ``take`` ask its ``not_before`` and ``most`` again."""
        with self._changed:
            self._changed.notify_all()

    def open(self) -> None:
        """Hand out frames again after ``close``; what was left waiting is forgotten."""
        with self._changed:
            self._waiting, self._in_work = {}, {}
            self._closed = False

    def close(self) -> None:
        """Wake the worker for good: ``take`` returns empty from now on."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
