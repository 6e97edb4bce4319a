"""When recorded messages are published, and how many are prepared ahead; without ROS."""

from __future__ import annotations

import collections
import time
from collections.abc import Callable, Iterator
from typing import Any

from ssd_perception.bags.reader import Record
from ssd_perception.core.interface import MAX_GAP_NS

# Messages prepared ahead, and the time that preparing one may take: decoding a large JPEG.
AHEAD = 8
SPARE_S = 0.03


class Pace:
    """Turns the time of recording into the time of publishing; the first message is due now.

    Args:
        rate: 2 is twice as fast as recorded.
        skipped: called with a gap in ns that is longer than ``MAX_GAP_NS`` and not waited for.
    """

    def __init__(self, rate: float,
                 skipped: Callable[[int], object] = lambda gap_ns: None) -> None:
        self._rate, self._skipped = rate, skipped
        self._start: tuple[float, int] | None = None
        self._last_ns = 0

    def due(self, stamp_ns: int) -> float:
        """Return the time.monotonic() for a message recorded at ``stamp_ns``; ask in order."""
        if self._start is None:
            self._start, self._last_ns = (time.monotonic(), stamp_ns), stamp_ns
        begin, first_ns = self._start
        gap_ns = stamp_ns - self._last_ns
        if abs(gap_ns) > MAX_GAP_NS:
            first_ns += gap_ns
            self._start = begin, first_ns
            self._skipped(gap_ns)
        self._last_ns = stamp_ns
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
