"""Choose frames to label from many recordings together, and write them."""

from __future__ import annotations

import functools
import json
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from ssd_perception import __version__
from ssd_perception.bags.reader import Record, RecoveringBag
from ssd_perception.core.atomic_write import make_folder
from ssd_perception.core.errors import DataError
from ssd_perception.core.signals import sigterm_as_ctrl_c
from ssd_perception.core.text import counted
from ssd_perception.fleet.recordings import FoundRecording, find_recordings
from ssd_perception.fleet.tasks import Task, run_tasks
from ssd_perception.mining.candidates import Candidates
from ssd_perception.mining.choose import choose_even
from ssd_perception.mining.labelled_folder import records_of
from ssd_perception.mining.run import MineOptions, Selection, absent, propose
from ssd_perception.mining.selection import SelectionSummary
from ssd_perception.replay.cameras import find_images


@dataclass(frozen=True)
class FleetMineOptions:
    """Which recordings to mine, and how.

    Attributes:
        sources: see ``find_recordings``.
        mine: ``bag`` is not used; ``count`` is of all recordings together.
        ray: empty looks at one after the other; see ``run_tasks``.
    """

    sources: Sequence[str]
    mine: MineOptions
    ray: str = ''


def run(options: FleetMineOptions, log: Callable[[str], object] = print) -> SelectionSummary:
    """Choose from all recordings and write one folder; an interrupted run is continued.

    A frame that looks like a chosen one, of whatever recording, is left out. What fails gets a
    line on stderr and a note in the summary.

    Raises:
        UserError, OSError: for sources, weights or a folder that cannot be used.
        DataError: when no recording could be read.
        KeyboardInterrupt: for Ctrl-C and SIGTERM; the recordings that were looked at are kept.
    """
    mine = replace(options.mine, out=absent(options.mine.out))
    recordings = find_recordings(options.sources)
    detector = mine.detector.load()
    log(detector.describe())
    work = make_folder(mine.out.with_name(f'.{mine.out.name}.bag_to_voc'))
    kept = {one: functools.partial(Candidates.load, work / f'{one.name}.npz',
                                   _identity(mine, one)) for one in recordings}
    tasks = [Task(one.name, one.size, functools.partial(_propose_one, mine, one, work))
             for one, load in kept.items() if load() is None]
    log(f'{counted(len(recordings), "recording")}, {len(recordings) - len(tasks)} done before.')
    with sigterm_as_ctrl_c():
        failures = run_tasks(tasks, 'bag_to_voc', options.ray)
        parts = {one: found for one, load in kept.items()
                 if one.name not in failures and (found := load())}
        if not parts:
            raise DataError(f'None of the {len(recordings)} recordings could be read.')
        found, owners = _joined(parts, failures)
        places = choose_even(found.cameras, found.thumbnails, mine.count)
        chosen = found.at(places)
        summary = Selection(mine, detector, chosen).write(
            _records(mine.topics, chosen, [owners[place] for place in places], work),
            counted(len(parts), 'recording'), len(failures))
    shutil.rmtree(work)
    return summary


def _identity(options: MineOptions, recording: FoundRecording) -> str:
    """Return what the candidates of a recording depend on."""
    return json.dumps([recording.source, recording.identity, options.count, options.topics,
                       __version__])


def _propose_one(options: MineOptions, recording: FoundRecording, work: Path) -> None:
    with recording.local(work) as path, RecoveringBag(path) as bag:
        propose(find_images(bag, options.topics), options.count).save(
            work / f'{recording.name}.npz', _identity(options, recording))


def _joined(parts: Mapping[FoundRecording, Candidates],
            failures: Mapping[str, str]) -> tuple[Candidates, list[FoundRecording]]:
    """Return the candidates of all recordings, and which of them each is from."""
    owners = [one for one, part in parts.items() for _ in part.results]

    def named(separator: str, names: Iterable[str]) -> tuple[str, ...]:
        return tuple(f'{one.name}{separator}{name}' for one, name in zip(owners, names))
    each = parts.values()
    found = Candidates(
        sum(part.frames for part in each), sum(part.unreadable for part in each),
        tuple(result for part in each for result in part.results),
        named('/', (camera for part in each for camera in part.cameras)),
        tuple(elapsed_ns for part in each for elapsed_ns in part.elapsed_ns),
        named('_', (stem for part in each for stem in part.stems)),
        tuple(_notes(parts, failures)), np.concatenate([part.thumbnails for part in each]))
    return found, owners


def _notes(parts: Mapping[FoundRecording, Candidates], failures: Mapping[str, str]) -> list[str]:
    """Return what is wrong with each recording; what is wrong with all of them only once."""
    of_all = set.intersection(*(set(part.notes) for part in parts.values()))
    return [*(f'{name}: {why}' for name, why in sorted(failures.items())), *sorted(of_all),
            *(f'{one.name}: {note}' for one, part in parts.items() for note in part.notes
              if note not in of_all)]


def _records(topics: Sequence[str], chosen: Candidates, owners: Sequence[FoundRecording],
             work: Path) -> Iterator[Record]:
    """Yield the records of the chosen frames; ``owners`` are the recordings of each, sorted."""
    for one in dict.fromkeys(owners):
        wanted = [result for result, owner in zip(chosen.results, owners) if owner == one]
        with one.local(work) as path, RecoveringBag(path) as bag:
            yield from records_of(find_images(bag, topics), wanted)
