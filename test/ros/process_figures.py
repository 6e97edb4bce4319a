"""Memory, threads and descriptors of a process, and whether they grow."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np


def figures(pid: int) -> dict[str, int]:
    """Return resident memory in kB, threads and open descriptors of a process, from /proc."""
    status = dict(line.split(':', 1) for line in
                  Path(f'/proc/{pid}/status').read_text().splitlines())
    return {'rss_kb': int(status['VmRSS'].split()[0]), 'threads': int(status['Threads']),
            'descriptors': len(list(Path(f'/proc/{pid}/fd').iterdir()))}


class Growth:
    """Samples a process; ``work`` is what was done by then: frames, messages, rounds."""

    def __init__(self, pid: int, every_s: float = 1.0):
        self._pid, self._every_s = pid, every_s
        self._samples: list[tuple[float, dict[str, int]]] = []
        self._next = 0.0

    def sample(self, work: float, now: bool = False) -> None:
        """Take a sample when one is due."""
        if now or time.monotonic() >= self._next:
            self._next = time.monotonic() + self._every_s
            self._samples.append((work, figures(self._pid)))

    def column(self, name: str) -> np.ndarray:
        """Return all samples of a figure."""
        return np.array([sample[name] for _, sample in self._samples])

    def settled(self, name: str) -> tuple[float, float]:
        """Return the medians of the second and of the last quarter.

        The first quarter belongs to buffers that grow to the largest picture seen.
        """
        column = self.column(name)
        quarter = max(1, len(column) // 4)
        return float(np.median(column[quarter:2 * quarter])), float(np.median(column[-quarter:]))

    def slope(self, name: str) -> float:
        """Return the growth per thousand pieces of work after the first quarter, by a fit."""
        work = np.array([done for done, _ in self._samples])
        start = len(work) // 4
        if len(work) - start < 3:
            return 0.0
        return float(np.polyfit(work[start:], self.column(name)[start:], 1)[0] * 1000)

    def report(self) -> str:
        """Return one line per figure."""
        return '\n'.join(
            f'{name}: first {self.column(name)[0]}, second quarter {self.settled(name)[0]:.0f}, '
            f'last quarter {self.settled(name)[1]:.0f}, worst {self.column(name).max()}, '
            f'{self.slope(name):+.2f} per 1000' for name in ('rss_kb', 'threads', 'descriptors'))

    def assert_flat(self, memory_kb: int = 16_000) -> None:
        """Nothing grows: memory by less than ``memory_kb`` in half the time, the rest not."""
        for name, allowed in (('rss_kb', memory_kb), ('threads', 0), ('descriptors', 0)):
            before, after = self.settled(name)
            assert after - before <= allowed, self.report()
