"""Notice frames that get lost on the way, by the middleware's count or by the frames' stamps."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from typing import Any

from rclpy.node import Node
from rclpy.subscription import Subscription

from ssd_perception.ros.dds import middleware
from ssd_perception.ros.humble import SubscriptionEventCallbacks, UnsupportedEventTypeError

# A share is that of so many frames, lost ones included, and of so long a time.
FRAMES = 10
SECONDS = 2.0
# Frames count as lost once at least MANY of them are lost in two such times in a row, and until
# less than FEW are.
MANY = 0.25
FEW = 0.1
# Stamps of a steady camera are this close to multiples of its period, as a share of the period.
JITTER = 0.2


class LossWatch:
    """Decides whether a subscription loses frames.

    Times are seconds of a steady clock.

    Args:
        now: the time.

    Attributes:
        counted: whether the middleware reports every lost frame, as Fast DDS does; else the
            frames' stamps have to show it.
        share: of the frames, lost at present, 0 to 1; 0 while that is not worth a word.
    """

    def __init__(self, now: float):
        self.counted, self.share = False, 0.0
        self._before = 0.0
        self._begin(now)

    def arrived(self, stamp_ns: int) -> None:
        """A frame came."""
        self._stamps_ns.append(stamp_ns)

    def lost(self, count: int) -> None:
        """The middleware has lost frames."""
        self._lost += count

    def check(self, now: float) -> None:
        """Bring ``share`` up to date."""
        count = len(self._stamps_ns) + (self._lost if self.counted else 0)
        if count < FRAMES or now - self._since < SECONDS:
            return
        share = self._lost / count if self.counted else missing(self._stamps_ns)
        if self.share:
            self.share = share if share >= FEW else 0.0
        elif min(share, self._before) >= MANY:
            self.share = share
        self._before = share
        self._begin(now)

    def _begin(self, now: float) -> None:
        self._since, self._lost = now, 0
        self._stamps_ns: list[int] = []


def missing(stamps_ns: Sequence[int]) -> float:
    """Return the share of frames that is missing between these, 0 to 1, by their own period.

    The period is what all distances are multiples of. Where there is none, because the camera
    has no steady rate or the stamps jump, nothing is known to be missing: 0.
    """
    distances = [after - before for before, after in zip(stamps_ns, stamps_ns[1:])]
    if len(distances) < 2 or min(distances) <= 0:
        return 0.0
    period = float(min(distances))
    for _ in range(3):  # the shortest distance is one period less the jitter
        counts = [max(1, round(distance / period)) for distance in distances]
        period = sum(distances) / sum(counts)
    off = [abs(distance / period - count) for distance, count in zip(distances, counts)]
    if statistics.quantiles(off, n=10)[-1] > JITTER:
        return 0.0
    return 1 - len(counts) / sum(counts)


def subscribe(node: Node, watch: LossWatch, kind: type, topic: str, callback: Callable,
              **options: Any) -> Subscription:
    """Make a subscription that reports lost frames to ``watch``, where the middleware can."""
    def lost(event: Any) -> None:  # some releases of rclpy type it as a name without attributes
        watch.lost(event.total_count_change)

    try:
        subscription = node.create_subscription(
            kind, topic, callback, **options,
            event_callbacks=SubscriptionEventCallbacks(message_lost=lost))
    except UnsupportedEventTypeError:
        return node.create_subscription(kind, topic, callback, **options)
    # Cyclone DDS has this event as well, but leaves out frames that lose a fragment (measured).
    watch.counted = 'fastrtps' in middleware()
    return subscription
