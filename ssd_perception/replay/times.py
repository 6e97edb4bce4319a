"""When each frame was taken, also where a camera sets no stamps or its clock jumps."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from ssd_perception.core.interface import MAX_GAP_NS, describe_gap
from ssd_perception.core.text import printable
from ssd_perception.replay.work_folder import FrameResult


class FrameTimes:
    """Times of the frames that could be decoded.

    A frame's time is its header's stamp. Where a camera gives all its frames one stamp, such as
    0, the time of recording serves.

    Attributes:
        notes: one sentence for each camera whose stamps or clock are wrong.

    Args:
        results: all frames in recorded order.
    """

    def __init__(self, results: Iterable[FrameResult]):
        by_topic: dict[str, list[tuple[int, int, int]]] = defaultdict(list)
        for result in results:
            if not result.error:
                by_topic[result.topic].append((result.index, result.stamp_ns, result.recorded_ns))
        self.notes: list[str] = []
        self._recorded: set[str] = set()
        self._elapsed_ns: dict[int, int] = {}
        first: tuple[int, int] | None = None  # time and time of recording of the first frame
        for topic, frames in sorted(by_topic.items(), key=lambda item: item[1][0]):
            times = self._times(topic, frames)
            first = first or (times[0], frames[0][2])
            elapsed = times[0] - first[0]
            if abs(elapsed) > MAX_GAP_NS:  # two cameras with different clocks
                elapsed = frames[0][2] - first[1]
            self._add(topic, frames, times, elapsed)

    def time_ns(self, result: FrameResult) -> int:
        """Return when a frame was taken, ns since the epoch of its camera's clock."""
        return result.recorded_ns if result.topic in self._recorded else result.stamp_ns

    def elapsed_ns(self, result: FrameResult) -> int:
        """Return the time since the recording's first frame, ns, without jumps of the clock."""
        return self._elapsed_ns[result.index]

    @property
    def duration_ns(self) -> int:
        """The time from the earliest frame to the latest, ns, without jumps of the clock."""
        elapsed = self._elapsed_ns.values()
        return max(elapsed) - min(elapsed) if elapsed else 0

    def _times(self, topic: str, frames: list[tuple[int, int, int]]) -> list[int]:
        stamps = {stamp_ns for _, stamp_ns, _ in frames}
        recorded = {recorded_ns for _, _, recorded_ns in frames}
        if len(stamps) > 1 or len(recorded) == 1:
            return [stamp_ns for _, stamp_ns, _ in frames]
        self._recorded.add(topic)
        self.notes.append(f'All {len(frames)} images on {printable(topic)} have the stamp '
                          f'{stamps.pop() / 1e9:g} s; their times of recording are used.')
        return [recorded_ns for _, _, recorded_ns in frames]

    def _add(self, topic: str, frames: list[tuple[int, int, int]], times: list[int],
             elapsed: int) -> None:
        jumps = []
        for (index, _, _), time_ns, before_ns in zip(frames, times, [times[0], *times]):
            gap = time_ns - before_ns
            if abs(gap) > MAX_GAP_NS:
                jumps.append((index, gap))
                gap = 0
            elapsed += gap
            self._elapsed_ns[index] = elapsed
        if jumps:
            index, gap = jumps[0]
            more = f', and {len(jumps) - 1} times more' if jumps[1:] else ''
            self.notes.append(f'The time of {printable(topic)} jumps by {describe_gap(gap)} '
                              f'before frame {index}{more}; such gaps are left out.')
