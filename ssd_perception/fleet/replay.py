"""Replay many recordings, each into a folder of its own, and sum them up in one page."""

from __future__ import annotations

import copy
import functools
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ssd_perception import __version__
from ssd_perception.core.atomic_write import atomic_write, make_folder
from ssd_perception.core.errors import DataError
from ssd_perception.core.format import from_json, to_json
from ssd_perception.core.result_folder import MARK, check_replaceable
from ssd_perception.core.signals import sigterm_as_ctrl_c
from ssd_perception.core.text import counted
from ssd_perception.fleet.page import fleet_page
from ssd_perception.fleet.recordings import FoundRecording, find_recordings
from ssd_perception.fleet.summary import FleetSummary, RecordingFigures
from ssd_perception.fleet.tasks import Task, run_tasks
from ssd_perception.inference.detector import Detector
from ssd_perception.inference.options import DetectorOptions
from ssd_perception.replay.run import ReplayOptions, load_detectors
from ssd_perception.replay.run import run as replay

FLEET_MARK = 'fleet.json'  # a folder with this file is that of many recordings
_DONE = '.done'  # of the folder: name of a recording -> what its result was made from


@dataclass(frozen=True)
class FleetReplayOptions:
    """Which recordings to replay, and how.

    Attributes:
        sources: see ``find_recordings``.
        replay: for each recording; ``out`` is the folder for all results, ``bag`` is not used.
            Without ``detector.threads`` each network has one thread, so that its results do not
            depend on the machine.
        ray: empty replays one after the other; see ``run_tasks``.
    """

    sources: Sequence[str]
    replay: ReplayOptions
    ray: str = ''


def run(options: FleetReplayOptions, log: Callable[[str], object] = print) -> FleetSummary:
    """Replay what is not done yet; write ``report.html`` and ``fleet.json`` about all.

    A recording is done when its result was made from the same files, network and settings. What
    fails gets a line on stderr, and is tried again by the next run.

    Raises:
        UserError, OSError: for sources, weights or a folder that cannot be used.
        DataError: when no recording could be replayed.
        KeyboardInterrupt: for Ctrl-C and SIGTERM; the work that was done is kept.
    """
    out = options.replay.out.expanduser().absolute()
    check_replaceable(out, FLEET_MARK)
    recordings = find_recordings(options.sources)
    detector = options.replay.detector.load()
    log(detector.describe())
    each = replace(options.replay, detector=replace(
        options.replay.detector, threads=options.replay.detector.threads or 1),
        workers=options.replay.workers or (1 if options.ray else 0))
    make_folder(out / _DONE)
    if not (out / FLEET_MARK).exists():
        atomic_write(out / FLEET_MARK, b'{}\n')
    tasks = []
    for recording in recordings:
        own = replace(each, bag=Path(), source=recording.source, out=out / recording.name,
                      stages=copy.deepcopy(each.stages))
        identity = _identity(own, recording, detector)
        mark = out / _DONE / f'{recording.name}.json'
        if options.replay.fresh or not mark.is_file() or mark.read_bytes() != identity \
                or _figures(out, recording) is None:
            tasks.append(Task(recording.name, recording.size,
                              functools.partial(_replay_one, own, recording, mark, identity)))
    log(f'{counted(len(recordings), "recording")}, {len(recordings) - len(tasks)} done before.')
    with sigterm_as_ctrl_c():
        failures = run_tasks(tasks, 'replay', options.ray, (each.workers or 1) * (
            each.detector.threads or 1), gpus=0 if detector.device.startswith('cpu') else 1)
    figures = {recording.name: _figures(out, recording) for recording in recordings
               if recording.name not in failures}
    lost = {name: f'Its {MARK} cannot be read any more.' for name, one in figures.items()
            if one is None}
    summary = FleetSummary(tuple(filter(None, figures.values())), {**failures, **lost})
    if not summary.recordings:
        raise DataError(f'None of the {len(recordings)} recordings could be replayed.')
    atomic_write(out / 'report.html', fleet_page(summary).encode())
    atomic_write(out / FLEET_MARK, (json.dumps(to_json(summary), indent=1) + '\n').encode())
    return summary


def _identity(options: ReplayOptions, recording: FoundRecording, detector: Detector) -> bytes:
    """Return what the result depends on; equal bytes give equal results."""
    # Two equal stages need not have equal texts: ``stages_identity`` stands for them.
    settings = replace(options, out=Path(), workers=0, fresh=False, stages=())
    return (json.dumps({
        'files': recording.identity, 'settings': repr(settings),
        'weights': detector.weights_hash, 'network': detector.network_hash,
        'runtime': detector.runtime, 'device': detector.device, 'precision': detector.precision,
        'version': __version__}, indent=1) + '\n').encode()


def _replay_one(options: ReplayOptions, recording: FoundRecording, mark: Path,
                identity: bytes) -> None:
    mark.unlink(missing_ok=True)
    with recording.local(options.out.parent) as bag:
        # Of many recordings only failures are named.
        replay(replace(options, bag=bag), lambda line: None,
               _detectors(options.detector, options.workers))
    atomic_write(mark, identity)


@functools.lru_cache(maxsize=1)
def _detectors(detector: DetectorOptions, workers: int) -> Sequence[Detector]:
    """Load once for all recordings that a process replays."""
    return load_detectors(ReplayOptions(Path(), detector=detector, workers=workers))


def _figures(out: Path, recording: FoundRecording) -> RecordingFigures | None:
    """Return a recording's figures; None where there are none, or a power failure cut them."""
    try:
        values = json.loads((out / recording.name / MARK).read_text(encoding='utf-8'))
        return from_json(RecordingFigures, {**values, 'name': recording.name})
    except (OSError, ValueError, TypeError, AttributeError, RecursionError):
        return None
