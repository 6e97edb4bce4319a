"""Choose frames to label from many recordings together, and write them."""

from __future__ import annotations

import functools
import hashlib
import json
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from ssd_perception import __version__
from ssd_perception.bags.reader import RecoveringBag
from ssd_perception.core.atomic_write import make_folder
from ssd_perception.core.errors import DataError
from ssd_perception.core.result_folder import result_folder
from ssd_perception.core.signals import sigterm_as_ctrl_c
from ssd_perception.core.text import counted
from ssd_perception.fleet.recordings import FoundRecording, find_recordings
from ssd_perception.fleet.tasks import Task, run_tasks
from ssd_perception.inference.detector import Detector
from ssd_perception.inference.options import DetectorOptions
from ssd_perception.mining.candidates import Candidates
from ssd_perception.mining.choose import choose_even
from ssd_perception.mining.labelled_folder import recorded_images, write_folder
from ssd_perception.mining.page import selection_page
from ssd_perception.mining.run import MineOptions, propose, too_few
from ssd_perception.mining.selection import Selection, SelectionSummary
from ssd_perception.replay.cameras import find_images
from ssd_perception.replay.thresholds import ScoreThresholds
from ssd_perception.replay.work_folder import FrameResult


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
        KeyboardInterrupt: for Ctrl-C and SIGTERM; the work that was done is kept.
    """
    out = options.mine.out.expanduser().absolute()
    if out.exists():
        raise FileExistsError(f'{out} exists already, and may hold corrected boxes; '
                              'choose another --out.')
    recordings = find_recordings(options.sources)
    mine = replace(options.mine, detector=replace(
        options.mine.detector, threads=options.mine.detector.threads or 1), fresh=False)
    detector = mine.detector.load()
    log(detector.describe())
    work = out.with_name(f'.{out.name}.bag_to_voc_all')
    if options.mine.fresh:
        shutil.rmtree(work, ignore_errors=True)
    make_folder(work)
    tasks = []
    identities = {one.name: _identity(mine, one, detector) for one in recordings}
    for one in recordings:
        file = work / f'{one.name}.npz'
        if Candidates.load(file, identities[one.name]) is None:
            # What an interrupted run with other settings left is not in the way.
            digest = hashlib.sha256(identities[one.name].encode()).hexdigest()[:8]
            own = replace(mine, out=work / f'{one.name}-{digest}')
            tasks.append(Task(one.name, one.size, functools.partial(
                _propose_one, own, one, file, identities[one.name])))
    log(f'{counted(len(recordings), "recording")}, {len(recordings) - len(tasks)} done before.')
    with sigterm_as_ctrl_c():
        failures = run_tasks(tasks, 'bag_to_voc', options.ray, mine.detector.threads or 1,
                             gpus=0 if detector.device.startswith('cpu') else 1)
        parts = {one: found for one in recordings if one.name not in failures
                 and (found := Candidates.load(work / f'{one.name}.npz', identities[one.name]))}
        if not parts:
            raise DataError(f'None of the {len(recordings)} recordings could be read.')
        summary = _Union(replace(mine, out=out), parts, failures, detector, work).write()
    shutil.rmtree(work)
    return summary


def _identity(options: MineOptions, recording: FoundRecording, detector: Detector) -> str:
    """Return what the candidates of a recording depend on."""
    settings = replace(options, bag=Path(), out=Path(), split='train')
    return json.dumps([recording.source, recording.identity, repr(settings), detector.weights_hash,
                       detector.network_hash, detector.runtime, detector.device,
                       detector.precision, __version__])


@functools.lru_cache(maxsize=1)
def _detector(options: DetectorOptions) -> Detector:
    """Load once for all recordings that a process looks at."""
    return options.load()


def _propose_one(options: MineOptions, recording: FoundRecording, file: Path,
                 identity: str) -> None:
    with recording.local(file.parent) as bag:
        propose(replace(options, bag=bag), _detector(options.detector)).save(file, identity)


class _Union:
    """The candidates of all recordings, and the choice from them."""

    def __init__(self, options: MineOptions, parts: Mapping[FoundRecording, Candidates],
                 failures: Mapping[str, str], detector: Detector, work: Path):
        self._options, self._parts, self._failures = options, parts, failures
        self._work = work  # where recordings from elsewhere lie while they are read
        self._thresholds = ScoreThresholds(detector.settings, detector.class_names)
        assert detector.path is not None  # loaded from weights
        self._weights = detector.path.name
        # Of each chosen candidate its recording and its place among that one's.
        self._origins = self._choose()

    def _choose(self) -> list[tuple[FoundRecording, int]]:
        origins = [(one, i) for one, part in self._parts.items()
                   for i in range(len(part.results))]
        # The topic says which frames are of one camera of one recording.
        results = [replace(self._parts[one].results[i], topic=self._camera(one, i))
                   for one, i in origins]
        thumbnails = np.concatenate([part.thumbnails for part in self._parts.values()])
        return [origins[place]
                for place in choose_even(results, thumbnails, self._options.count)]

    def _camera(self, one: FoundRecording, i: int) -> str:
        return f'{one.name}/{self._parts[one].cameras[i]}'

    def write(self) -> SelectionSummary:
        options, parts = self._options, self._parts
        selection = Selection([parts[one].results[i] for one, i in self._origins],
                              [self._camera(one, i) for one, i in self._origins],
                              self._thresholds,
                              [parts[one].elapsed_ns[i] / 1e9 for one, i in self._origins])
        stems = {place: f'{one.name}_{parts[one].stems[i]}'
                 for place, (one, i) in enumerate(self._origins)}
        with result_folder(options.out) as out:
            files = write_folder(out, options.out.name, options.split, self._images(selection),
                                 stems, self._thresholds, self._weights)
            frames = sum(part.frames for part in parts.values())
            broken = sum(part.unreadable for part in parts.values())
            few = too_few(options.count, len(stems), frames - broken)
            summary = SelectionSummary(
                frames, broken, selection.chosen([files[place] for place in stems]),
                counted(len(parts), 'recording'), self._weights, (*self._notes(), *few),
                options.split, len(self._failures))
            (out / 'selection.json').write_text(json.dumps(summary.to_json(), indent=1) + '\n')
            (out / 'selection.html').write_text(selection_page(
                f'{len(files)} frames of {summary.bag}', summary,
                selection.tiles(out / 'JPEGImages', summary.chosen)), encoding='utf-8')
        return summary

    def _notes(self) -> list[str]:
        """Return what is wrong with each recording; what is wrong with all of them only once."""
        parts = self._parts.items()
        of_all = set.intersection(*(set(part.notes) for _, part in parts))
        return [*(f'{name}: {why}' for name, why in sorted(self._failures.items())),
                *sorted(of_all), *(f'{one.name}: {note}' for one, part in parts
                                   for note in part.notes if note not in of_all)]

    def _images(self, selection: Selection) -> Iterator[tuple[FrameResult, bytes, str]]:
        """Yield (frame, bytes, suffix) of the chosen; a frame's index is its place here."""
        for one in self._parts:
            wanted = {result.index: place for place, (result, (other, _)) in enumerate(
                zip(selection.results, self._origins)) if other == one}
            if not wanted:
                continue
            with one.local(self._work) as path, RecoveringBag(path) as bag:
                recording = find_images(bag, self._options.topics)
                for result, data, suffix in recorded_images(
                        recording, [selection.results[place] for place in wanted.values()]):
                    yield replace(result, index=wanted[result.index]), data, suffix
