"""Entries take turns, so that a busy or throttled machine slows all alike."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from ssd_perception.benchmark.entries import Entry

BATCH, BATCH_EVERY = 8, 4
# Threads of the one before may still turn in a waiting loop, and take a core from the next.
PAUSE_S = 0.02


@dataclass
class Times:
    """What one contestant took.

    Attributes:
        stages: stage -> milliseconds of every timed call.
        rounds: round -> median milliseconds of ``call`` in it.
        network_rounds: the same of ``network``, where it is a stage.
        batch: milliseconds of each call with ``BATCH`` pictures.
    """

    stages: dict[str, list[float]] = field(default_factory=dict)
    rounds: dict[int, float] = field(default_factory=dict)
    network_rounds: dict[int, float] = field(default_factory=dict)
    batch: list[float] = field(default_factory=list)


def run_rounds(contestants: Sequence[Entry], pictures: Sequence[np.ndarray], rounds: int,
               calls: int, progress: Callable[[str], object] = lambda name: None,
               ) -> list[Times]:
    """Run every contestant in every round, in changing order.

    Ctrl-C ends the rounds; once everybody had a turn, what was timed until then counts.

    Args:
        pictures: uint8 (H, W, 3) RGB; a round works on one of them.
        calls: timed in a round, after one that is not: the others have emptied the caches.
        progress: told the contestant's name after each turn.
    """
    found = [Times() for _ in contestants]
    order = np.random.default_rng(0)
    try:
        for number in range(rounds):
            picture = pictures[number % len(pictures)]
            for index in order.permutation(len(contestants)):
                if number % contestants[index].every == 0:
                    _turn(contestants[index], found[index], picture, number, calls)
                progress(contestants[index].name)
    except KeyboardInterrupt:
        if not all(times.rounds for times in found):
            raise
    return found


def _turn(contestant: Entry, times: Times, picture: np.ndarray, number: int,
          calls: int) -> None:
    time.sleep(PAUSE_S)
    contestant.call(picture)
    taken = [contestant.call(picture) for _ in range(calls)]
    for one in taken:
        for stage, spent in one.items():
            times.stages.setdefault(stage, []).append(spent)
    times.rounds[number] = float(np.median([one['call'] for one in taken]))
    if 'network' in taken[0]:
        times.network_rounds[number] = float(np.median([one['network'] for one in taken]))
    if contestant.batch and number % BATCH_EVERY == 1:
        times.batch.append(contestant.batch([picture] * BATCH))


def ratio(times: dict[int, float], others: dict[int, float]) -> float:
    """Return the median, over the rounds that both took part in, of their times' ratio."""
    both = times.keys() & others.keys()
    return float(np.median([times[number] / others[number] for number in both]))
