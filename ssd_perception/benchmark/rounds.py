"""Time all entries in every round, so that a busy or throttled machine slows all alike."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from ssd_perception.benchmark.entries import Entry

BATCH, BATCH_EVERY = 8, 4
# Threads of the entry before may still wait in a busy loop, which takes a core from the next.
PAUSE_S = 0.02


@dataclass
class Times:
    """The times of one entry.

    Attributes:
        stages: stage -> milliseconds of every timed call.
        rounds: round -> median milliseconds of ``call`` in it.
        network_rounds: the same of ``network``, where it is a stage.
        batch: milliseconds of each call with ``BATCH`` images.
    """

    stages: dict[str, list[float]] = field(default_factory=dict)
    rounds: dict[int, float] = field(default_factory=dict)
    network_rounds: dict[int, float] = field(default_factory=dict)
    batch: list[float] = field(default_factory=list)


def run_rounds(entries: Sequence[Entry], images: Sequence[np.ndarray], rounds: int, calls: int,
               progress: Callable[[str], object] = lambda name: None) -> list[Times]:
    """Run every entry in every round, in changing order.

    Ctrl-C ends the rounds; when each entry has run once, the times until then are returned.

    Args:
        images: uint8 (H, W, 3) RGB; a round uses one of them.
        calls: timed calls in a round, after one that is not timed: the other entries have
            emptied the caches.
        progress: called with the entry's name after its calls.
    """
    found = [Times() for _ in entries]
    order = np.random.default_rng(0)
    try:
        for number in range(rounds):
            image = images[number % len(images)]
            for index in order.permutation(len(entries)):
                if number % entries[index].every == 0:
                    _time_calls(entries[index], found[index], image, number, calls)
                progress(entries[index].name)
    except KeyboardInterrupt:
        if not all(times.rounds for times in found):
            raise
    return found


def _time_calls(entry: Entry, times: Times, image: np.ndarray, number: int, calls: int) -> None:
    time.sleep(PAUSE_S)
    entry.call(image)
    taken = [entry.call(image) for _ in range(calls)]
    for one in taken:
        for stage, spent in one.items():
            times.stages.setdefault(stage, []).append(spent)
    times.rounds[number] = float(np.median([one['call'] for one in taken]))
    if 'network' in taken[0]:
        times.network_rounds[number] = float(np.median([one['network'] for one in taken]))
    if entry.batch and number % BATCH_EVERY == 1:
        times.batch.append(entry.batch([image] * BATCH))


def ratio(times: dict[int, float], others: dict[int, float]) -> float:
    """Return the median ratio of two entries' times over the rounds that have both."""
    both = times.keys() & others.keys()
    return float(np.median([times[number] / others[number] for number in both]))
