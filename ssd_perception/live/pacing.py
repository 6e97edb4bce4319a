"""When a recorded message is due, and what may be prepared before then; no ROS in here."""

from __future__ import annotations

import collections
import time
from collections.abc import Iterator
from typing import Protocol

# Messages prepared ahead, and the time that must be left for preparing one: a large JPEG's.
AHEAD = 8
SPARE_S = 0.03


class Recorded(Protocol):
    """What is to be known of a recorded message; see ``bags.reader.Record``."""

    @property
    def stamp_ns(self) -> int:
        """When it was recorded, nanoseconds."""


class Pace:
    """When what was recorded at some time is to be published; the first one asked for is now.

    Args:
        rate: 2 is twice as fast as recorded.
    """

    def __init__(self, rate: float):
        self._rate = rate
        self._start: tuple[float, int] | None = None

    def due(self, stamp_ns: int) -> float:
        """Return the time.monotonic() for a message recorded at ``stamp_ns``."""
        self._start = self._start or (time.monotonic(), stamp_ns)
        begin, first_ns = self._start
        return begin + (stamp_ns - first_ns) / 1e9 / self._rate

    def has_time_before(self, record: Recorded) -> bool:
        """Tell whether another message can be prepared before ``record`` is due."""
        return self._start is None or self.due(record.stamp_ns) - time.monotonic() > SPARE_S

    def seconds(self) -> float:
        """Return the time since the first message was due."""
        return time.monotonic() - self._start[0] if self._start else 0.0


def early(prepared: Iterator[tuple], pace: Pace) -> Iterator[tuple]:
    """Prepare some messages ahead whenever the next one leaves time for it.

    Messages of one frame are due at the same moment: decoding the picture only when the
    camera_info before it has gone out would make it late.

    Args:
        prepared: record and message; taking one is what costs time.
    """
    waiting: collections.deque = collections.deque()
    while True:
        while len(waiting) < AHEAD and (not waiting or pace.has_time_before(waiting[0][0])):
            item = next(prepared, None)
            if item is None:
                yield from waiting
                return
            waiting.append(item)
        yield waiting.popleft()
