"""Choose frames of a recording to label, and write them with boxes to correct."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from ssd_perception import __version__
from ssd_perception.bags.reader import RecoveringBag
from ssd_perception.core.errors import SettingError
from ssd_perception.core.result_folder import result_folder
from ssd_perception.core.signals import sigterm_as_ctrl_c
from ssd_perception.evaluation.accuracy import MAX_DETECTIONS
from ssd_perception.inference.detector import Detector
from ssd_perception.inference.options import DetectorOptions
from ssd_perception.mining.candidates import Candidates
from ssd_perception.mining.choose import choose_even
from ssd_perception.mining.labelled_folder import recorded_images, stems, write_folder
from ssd_perception.mining.page import selection_page
from ssd_perception.mining.selection import Selection, SelectionSummary
from ssd_perception.mining.thumbnails import Thumbnails, kept_thumbnails
from ssd_perception.replay.cameras import Recording, find_images
from ssd_perception.replay.run import require_readable
from ssd_perception.replay.scan import Stages, scan
from ssd_perception.replay.thresholds import ScoreThresholds
from ssd_perception.replay.times import FrameTimes
from ssd_perception.replay.work_folder import (
    CHUNK_FRAMES,
    RunIdentity,
    WorkFolder,
    recorded_files,
)


@dataclass(frozen=True)
class MineOptions:
    """What to mine, and how.

    Attributes:
        bag: rosbag2 folder, or one of its files; a broken one is read as far as it goes.
        out: folder to create; one that exists is never touched.
        count: frames wanted, 1 to 1 000 000.
        split: name of the split: letters, digits, ``-`` and ``_``.
        detector: weights, runtime and thresholds; its score threshold is the lowest that becomes
            a box.
        topics: images to look at; empty means all cameras.
        fresh: discard an interrupted run instead of continuing it.
        chunk_frames: frames that an interrupted run may lose.

    Raises:
        SettingError: for a value out of range.
    """

    bag: Path
    out: Path
    count: int = 50
    split: str = 'train'
    detector: DetectorOptions = DetectorOptions()
    topics: tuple[str, ...] = ()
    fresh: bool = False
    chunk_frames: int = CHUNK_FRAMES

    def __post_init__(self) -> None:
        if not 1 <= self.count <= 1_000_000:
            raise SettingError(f'--count must be from 1 to 1000000, got {self.count}.')
        if not self.split.replace('_', '').replace('-', '').isalnum():
            raise SettingError('--split must be letters, digits, - and _, '
                               f'got "{self.split}".')


def run(options: MineOptions, log: Callable[[str], object] = print) -> SelectionSummary:
    """Choose frames and write them into ``options.out``; an interrupted run is continued.

    Args:
        log: called with each sentence for the user; a progress bar is drawn in a terminal.

    Raises:
        BagError, DataError, SettingError, WorkFolderError, OSError: in one sentence.
        KeyboardInterrupt: for Ctrl-C and SIGTERM; the work that was done is kept.
    """
    out = options.out.expanduser().absolute()
    if out.exists():
        raise FileExistsError(f'{out} exists already, and may hold corrected boxes; '
                              'choose another --out.')
    with sigterm_as_ctrl_c(), RecoveringBag(options.bag) as bag:
        recording = find_images(bag, options.topics)
        detector = options.detector.load()
        log(detector.describe())
        return _Mining(options, out, recording, log, detector).run()


def propose(options: MineOptions, detector: Detector) -> Candidates:
    """Return the frames of one of many recordings that may be chosen; interrupted, it continues.

    These are the ``count`` that would be chosen from this recording alone, so frames need not all
    be in memory at once.

    Args:
        options: ``out`` names the work folder beside it; nothing else is written.
        detector: loaded with ``options.detector``.

    Raises:
        As ``run``.
    """
    with RecoveringBag(options.bag) as bag:
        recording = find_images(bag, options.topics)
        # Of many recordings only failures are named at once.
        return _Mining(options, options.out, recording, lambda line: None, detector).propose()


class _Mining:
    def __init__(self, options: MineOptions, out: Path, recording: Recording,
                 log: Callable[[str], object], detector: Detector):
        self._options, self._out, self._recording, self._log = options, out, recording, log
        self._detector = detector
        self._thresholds = ScoreThresholds(detector.settings, detector.class_names)

    def run(self) -> SelectionSummary:
        with self._scanned() as (folder, thumbnails):
            summary = self._write(folder, thumbnails)
            folder.remove()
        return summary

    def propose(self) -> Candidates:
        with self._scanned() as (folder, thumbnails):
            results = list(folder.frames())
            times = FrameTimes(results)
            places = choose_even(results, thumbnails, self._options.count)
            picked = [results[i] for i in places]
            stem_of = stems(picked, self._recording.cameras, times)
            names = {camera.topic: camera.name for camera in self._recording.cameras}
            found = Candidates(
                len(results), sum(bool(result.error) for result in results), tuple(picked),
                tuple(names[result.topic] for result in picked),
                tuple(times.elapsed_ns(result) for result in picked),
                tuple(stem_of[result.index] for result in picked),
                (*self._recording.bag.losses(), *times.notes), thumbnails[places])
            folder.remove()
        return found

    @contextlib.contextmanager
    def _scanned(self) -> Iterator[tuple[WorkFolder, np.ndarray]]:
        """Look at every frame; lend the work folder and the frames' thumbnails."""
        options, detector = self._options, self._detector
        low = replace(detector.settings, max_detections=MAX_DETECTIONS, class_thresholds=(),
                      score_threshold=self._thresholds.lowest)
        with WorkFolder(self._out, self._identity(detector, low.score_threshold),
                        options.fresh, 'bag_to_voc', options.chunk_frames) as folder:
            scan(self._recording, [detector], low, Stages(), [Thumbnails()], folder,
                 log=self._log)
            require_readable(folder, self._recording)
            yield folder, kept_thumbnails(folder)

    def _identity(self, detector: Detector, lowest: float) -> RunIdentity:
        bag = self._options.bag.expanduser()
        return RunIdentity(recorded_files(bag), detector.weights_hash, {
            'bag': str(bag.absolute()), 'topics': self._recording.topics, 'lowest': lowest,
            'device': detector.device, 'runtime': detector.runtime,
            'precision': detector.precision, 'network': detector.network_hash,
            'version': __version__})

    def _write(self, folder: WorkFolder, thumbnails: np.ndarray) -> SelectionSummary:
        """Choose, and write the folder."""
        options, thresholds = self._options, self._thresholds
        assert self._detector.path is not None  # loaded from weights
        weights = self._detector.path.name
        results = list(folder.frames())
        times = FrameTimes(results)
        places = choose_even(results, thumbnails, options.count)
        picked = [results[place] for place in places]
        names = {camera.topic: camera.name for camera in self._recording.cameras}
        selection = Selection(
            picked, [names[result.topic] for result in picked], thresholds,
            [times.elapsed_ns(result) / 1e9 for result in picked])
        with result_folder(self._out) as out:
            files = write_folder(out, self._out.name, options.split,
                                 recorded_images(self._recording, picked),
                                 stems(picked, self._recording.cameras, times), thresholds,
                                 weights)
            broken = sum(bool(result.error) for result in results)
            few = too_few(options.count, len(places), len(results) - broken)
            summary = SelectionSummary(
                len(results), broken, selection.chosen([files[result.index] for result in picked]),
                str(options.bag), weights, (*few, *self._recording.bag.losses(), *times.notes),
                options.split)
            (out / 'selection.json').write_text(json.dumps(summary.to_json(), indent=1) + '\n')
            (out / 'selection.html').write_text(selection_page(
                f'{len(files)} frames of {options.bag.name}', summary,
                selection.tiles(out / 'JPEGImages', summary.chosen)), encoding='utf-8')
        return summary


def too_few(wanted: int, chosen: int, readable: int) -> list[str]:
    """Return the note that fewer frames were chosen than wanted; none where they are enough."""
    if chosen >= wanted:
        return []
    why = 'there are no more' if chosen == readable else 'every other one looks like one of these'
    return [f'Only {chosen} frames instead of {wanted}: {why}.']
