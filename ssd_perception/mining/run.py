"""Mine a recording: choose the frames worth labelling and write them with boxes to correct."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from ssd_perception import __version__
from ssd_perception.bags.reader import RecoveringBag
from ssd_perception.core.errors import SettingError
from ssd_perception.core.messages import json_rows
from ssd_perception.core.result_folder import result_folder
from ssd_perception.core.signals import sigterm_as_ctrl_c
from ssd_perception.evaluation.accuracy import MAX_DETECTIONS
from ssd_perception.inference.detector import Detector
from ssd_perception.inference.options import DetectorOptions
from ssd_perception.mining import features
from ssd_perception.mining.candidates import Candidates
from ssd_perception.mining.choose import (
    Choice,
    choose_even,
    choose_mined,
    choose_random,
    elapsed,
)
from ssd_perception.mining.features import FeaturesUnavailable, FeatureVectors, kept_features
from ssd_perception.mining.labelled_folder import recorded_images, stems, write_folder
from ssd_perception.mining.page import selection_page
from ssd_perception.mining.selection import Selection, SelectionSummary
from ssd_perception.replay.cameras import Recording, find_images
from ssd_perception.replay.run import require_readable
from ssd_perception.replay.scan import Stages, scan
from ssd_perception.replay.thresholds import ScoreThresholds
from ssd_perception.replay.times import FrameTimes
from ssd_perception.replay.work_folder import (
    CHUNK_FRAMES,
    FrameResult,
    RunIdentity,
    WorkFolder,
    recorded_files,
)

WAYS = {'mined': 'uncertainty, novelty and spacing', 'random': 'chance', 'even': 'even spacing'}


@dataclass(frozen=True)
class MineOptions:
    """What to mine, and how.

    Attributes:
        bag: rosbag2 folder, or one of its files; a broken one is read as far as it goes.
        out: folder to create; one that exists is never touched.
        count: frames wanted, 1 to 1 000 000.
        apart_s: seconds that frames of one camera are at least apart, 0 to 3600.
        choose: one of ``WAYS``.
        seed: of choosing at random.
        split: name of the split: letters, digits, ``-`` and ``_``.
        detector: weights, runtime and thresholds; its score threshold is the lowest that becomes
            a box, and the score that counts as most uncertain.
        topics: images to look at; empty means all cameras.
        fresh: discard an interrupted run instead of continuing it.
        chunk_frames: frames that an interrupted run may lose.

    Raises:
        SettingError: for a value out of range.
    """

    bag: Path
    out: Path
    count: int = 50
    apart_s: float = 0.5
    choose: str = 'mined'
    seed: int = 0
    split: str = 'train'
    detector: DetectorOptions = DetectorOptions()
    topics: tuple[str, ...] = ()
    fresh: bool = False
    chunk_frames: int = CHUNK_FRAMES

    def __post_init__(self) -> None:
        if not 1 <= self.count <= 1_000_000:
            raise SettingError(f'--count must be from 1 to 1000000, got {self.count}.')
        if not 0 <= self.apart_s <= 3600:
            raise SettingError(f'--apart must be from 0 to 3600 seconds, got {self.apart_s}.')
        if self.seed < 0:
            raise SettingError(f'--seed must be a whole number from 0 on, got {self.seed}.')
        if self.choose not in WAYS:
            raise SettingError(f'--choose must be one of {", ".join(WAYS)}, got {self.choose}.')
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

    For ``mined`` these are the ``count`` that would be chosen from this recording alone: each
    part's farthest-first choice keeps what the choice from all of them needs (Indyk et al.,
    "Composable Core-sets for Diversity and Coverage Maximization", 2014), and frames need not all
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
        self._notes: list[str] = []

    def run(self) -> SelectionSummary:
        with self._scanned() as (folder, vectors):
            summary = self._write(folder, vectors)
            folder.remove()
        return summary

    def propose(self) -> Candidates:
        with self._scanned() as (folder, vectors):
            results = list(folder.frames())
            times = FrameTimes(results)
            readable = [i for i, result in enumerate(results) if not result.error]
            places = readable if self._options.choose != 'mined' else [
                choice.place for choice in choose(self._options, results, self._thresholds,
                                                  elapsed(results, times), vectors)]
            picked = [results[i] for i in places]
            stem_of = stems(picked, self._recording.cameras, times)
            names = {camera.topic: camera.name for camera in self._recording.cameras}
            found = Candidates(
                len(results), len(results) - len(readable), tuple(picked),
                tuple(names[result.topic] for result in picked),
                tuple(times.elapsed_ns(result) for result in picked),
                tuple(stem_of[result.index] for result in picked),
                tuple([*self._notes, *self._recording.bag.losses(), *times.notes]),
                None if vectors is None else vectors[places])
            folder.remove()
        return found

    @contextlib.contextmanager
    def _scanned(self) -> Iterator[tuple[WorkFolder, np.ndarray | None]]:
        """Look at every frame; lend the work folder and the frames' features."""
        options, detector = self._options, self._detector
        low = replace(detector.settings, max_detections=MAX_DETECTIONS, class_thresholds=(),
                      score_threshold=self._thresholds.lowest)
        vectors = self._features(detector)
        with WorkFolder(self._out, self._identity(detector, low.score_threshold, bool(vectors)),
                        options.fresh, 'bag_to_voc', options.chunk_frames) as folder:
            scan(self._recording, [detector], low, Stages(), vectors, folder, log=self._log)
            require_readable(folder, self._recording)
            yield folder, kept_features(folder) if vectors else None

    def _features(self, detector: Detector) -> list[FeatureVectors]:
        """Return what computes features for novelty; empty if not wanted or not available."""
        if self._options.choose != 'mined':
            return []
        assert detector.path is not None  # loaded from weights
        try:
            vectors = FeatureVectors(features.Features(detector.path, detector.device))
        except FeaturesUnavailable as error:
            self._notes.append(f'Novelty is left out: {error}. Frames are chosen by uncertainty '
                               'and spacing alone.')
            self._log(self._notes[-1])
            return []
        if detector.runtime != 'torch':
            self._log('Novelty is measured by torch in fp32, with the backbone of '
                      f'{detector.path.name}.')
        return [vectors]

    def _identity(self, detector: Detector, lowest: float, has_features: bool) -> RunIdentity:
        bag = self._options.bag.expanduser()
        return RunIdentity(recorded_files(bag), detector.weights_hash, {
            'bag': str(bag.absolute()), 'topics': self._recording.topics, 'lowest': lowest,
            'device': detector.device, 'runtime': detector.runtime,
            'precision': detector.precision, 'network': detector.network_hash,
            'features': has_features, 'version': __version__})

    def _write(self, folder: WorkFolder, vectors: np.ndarray | None) -> SelectionSummary:
        """Choose, and write the folder."""
        options, thresholds = self._options, self._thresholds
        assert self._detector.path is not None  # loaded from weights
        weights = self._detector.path.name
        results = list(folder.frames())
        times = FrameTimes(results)
        choices = self._choose(results, times, vectors)
        picked = [results[choice.place] for choice in choices]
        names = {camera.topic: camera.name for camera in self._recording.cameras}
        selection = Selection(results, choices, [names[result.topic] for result in results],
                              thresholds, (elapsed(results, times) / 1e9).tolist())
        with result_folder(self._out) as out:
            files = write_folder(out, self._out.name, options.split,
                                 recorded_images(self._recording, picked),
                                 stems(picked, self._recording.cameras, times), thresholds,
                                 weights)
            boxes = {result.index: json_rows(thresholds.passed(result.detections),
                                             thresholds.class_names) for result in picked}
            summary = SelectionSummary(
                len(results), sum(bool(result.error) for result in results),
                selection.chosen(files, boxes), str(options.bag), weights, WAYS[options.choose],
                (*self._notes, *self._recording.bag.losses(), *times.notes), options.split)
            (out / 'selection.json').write_text(json.dumps(summary.to_json(), indent=1) + '\n')
            (out / 'selection.html').write_text(selection_page(
                f'{len(files)} frames of {options.bag.name}', summary, selection.uncertainty(),
                selection.tiles(out / 'JPEGImages', summary.chosen)), encoding='utf-8')
        return summary

    def _choose(self, results: list[FrameResult], times: FrameTimes,
                vectors: np.ndarray | None) -> list[Choice]:
        choices = choose(self._options, results, self._thresholds, elapsed(results, times),
                         vectors)
        if len(choices) < self._options.count:
            self._notes.append(too_few(self._options, len(choices)))
        return choices


def choose(options: MineOptions, results: Sequence[FrameResult], thresholds: ScoreThresholds,
           elapsed_ns: np.ndarray, vectors: np.ndarray | None,
           least_novelty: float = 0.0) -> list[Choice]:
    """Choose from frames as ``options`` say; the arguments are those of ``choose_mined``."""
    if options.choose == 'mined':
        return choose_mined(results, thresholds, elapsed_ns, vectors, options.count,
                            round(options.apart_s * 1e9), least_novelty)
    if options.choose == 'random':
        return choose_random(results, thresholds, options.count, options.seed)
    return choose_even(results, thresholds, options.count)


def too_few(options: MineOptions, count: int) -> str:
    """Return the note that only ``count`` frames could be chosen."""
    return f'Only {count} of {options.count} frames: ' + (
        f'no more are {options.apart_s:g} s apart; --apart takes less.'
        if options.choose == 'mined' else 'there are no more.')
