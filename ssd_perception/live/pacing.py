"""When recorded messages are published, and how many are prepared ahead; without ROS."""

from __future__ import annotations

import collections
import time
from collections.abc import Iterator
from typing import Any

from ssd_perception.bags.reader import Record

# Messages prepared ahead, and the time that preparing one may take: decoding a large JPEG.
AHEAD = 8
SPARE_S = 0.03


class Pace:
    """Turns the time of recording into the time of publishing; the first message is due now.

    Args:
        rate: 2 is twice as fast as recorded.
    """

    def __init__(self, rate: float) -> None:
        self._rate = rate
        self._start: tuple[float, int] | None = None

    def due(self, stamp_ns: int) -> float:
        """Return the time.monotonic() for a message recorded at ``stamp_ns``."""
        self._start = self._start or (time.monotonic(), stamp_ns)
        begin, first_ns = self._start
        return begin + (stamp_ns - first_ns) / 1e9 / self._rate

    def has_time_before(self, record: Record) -> bool:
        """Return whether another message can be prepared before ``record`` is due."""
        return self._start is None or self.due(record.stamp_ns) - time.monotonic() > SPARE_S

    def seconds(self) -> float:
        """Return the time since the first message was due."""
        return time.monotonic() - self._start[0] if self._start else 0.0


def early(prepared: Iterator[tuple[Record, Any]], pace: Pace) -> Iterator[tuple[Record, Any]]:
    """Prepare some messages ahead whenever the next one leaves time for it.

    The messages of one frame are due at the same moment. An image that is decoded after its
    camera_info has been published is late.

    Args:
        prepared: record and message; taking one is what costs time.
    """
    waiting: collections.deque[tuple[Record, Any]] = collections.deque()
    while True:
        while len(waiting) < AHEAD and (not waiting or pace.has_time_before(waiting[0][0])):
            item = next(prepared, None)
            if item is None:
                yield from waiting
                return
            waiting.append(item)
        yield waiting.popleft()
