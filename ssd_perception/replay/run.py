"""Replay: every image of a recording through the detector, into a recording, videos and a page."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from tqdm import tqdm

from ssd_perception import __version__
from ssd_perception.bags.reader import RecoveringBag
from ssd_perception.core.errors import SettingError
from ssd_perception.core.frame import Stage, prepare_stages
from ssd_perception.core.result_folder import MARK, check_replaceable, result_folder
from ssd_perception.core.signals import sigterm_as_ctrl_c
from ssd_perception.core.text import printable
from ssd_perception.evaluation.accuracy import MAX_DETECTIONS, SCORE_THRESHOLD
from ssd_perception.inference.detector import Detector
from ssd_perception.inference.options import DetectorOptions
from ssd_perception.replay.annotated_images import AnnotatedImages
from ssd_perception.replay.cameras import Recording, find_images
from ssd_perception.replay.ground_truth import ReplayAccuracy, read_ground_truth
from ssd_perception.replay.page import replay_page
from ssd_perception.replay.results import (
    ReplayResults,
    check_topics,
    write_bag,
    write_lines,
    write_videos,
)
from ssd_perception.replay.scan import Stages, scan
from ssd_perception.replay.summary import ReplaySummary, RunSettings, summarise, tiles, tracks
from ssd_perception.replay.thresholds import ScoreThresholds
from ssd_perception.replay.times import FrameTimes
from ssd_perception.replay.work_folder import (
    CHUNK_FRAMES,
    RunIdentity,
    WorkFolder,
    recorded_files,
)
from ssd_perception.scene.tracks import TrackSettings, TrackStage


@dataclass(frozen=True)
class ReplayOptions:
    """What to replay, and how.

    Attributes:
        bag: rosbag2 folder, or one of its files; a broken one is read as far as it goes.
        out: folder for the results; an earlier result is replaced.
        detector: weights, runtime and thresholds; without ``threads`` each network has the cores
            that it has alone.
        topics: images to look at; empty means all cameras.
        ground_truth: measure AP by a folder in VOC layout, also as DIR:SPLIT, or by a topic of
            the recording; empty for neither.
        workers: networks side by side, 0 to 64; 0 means one per core on a CPU, else one.
        batch: frames that a network takes at once, 1 to 1024.
        storage: ``mcap`` or ``sqlite3``, of the recording written.
        originals: copy the messages of the recording too.
        namespace: goes before the topics of the results.
        pictures: draw the detections: annotated images, videos, and images on the page.
        fresh: discard an interrupted run instead of continuing it.
        stages: what follows the detector, unused ones; their names and settings belong into
            ``stages_identity``.
        tracking: when tracks begin and end; None gives no ids. Behind ``stages``.
        stages_identity: what makes two sets of stages the same; only then may a run be continued.
        chunk_frames: frames that an interrupted run may lose.
        source: what the results call the recording; empty means its path.

    Raises:
        SettingError: for a value out of range.
    """

    bag: Path
    out: Path = Path('replay_output')
    detector: DetectorOptions = DetectorOptions()
    topics: tuple[str, ...] = ()
    ground_truth: str = ''
    workers: int = 0
    batch: int = 1
    storage: str = 'mcap'
    originals: bool = False
    namespace: str = ''
    pictures: bool = True
    fresh: bool = False
    stages: tuple[Stage, ...] = ()
    stages_identity: str = ''
    chunk_frames: int = CHUNK_FRAMES
    tracking: TrackSettings | None = None
    source: str = ''

    def __post_init__(self) -> None:
        for name, low, high in (('batch', 1, 1024), ('workers', 0, 64)):
            if not low <= getattr(self, name) <= high:
                raise SettingError(f'--{name} must be from {low} to {high}, '
                                   f'got {getattr(self, name)}.')


def run(options: ReplayOptions, log: Callable[[str], object] = print,
        detectors: Sequence[Detector] = ()) -> ReplaySummary:
    """Replay a recording into ``options.out``; an interrupted run is continued.

    Args:
        log: called with each sentence for the user; a progress bar is drawn in a terminal.
        detectors: what ``load_detectors`` made of the same options for another recording.

    Raises:
        BagError, DataError, SettingError, WorkFolderError, OSError: in one sentence.
        KeyboardInterrupt: for Ctrl-C and SIGTERM; the work that was done is kept.
    """
    out = options.out.expanduser().absolute()
    check_replaceable(out, sources=[options.bag])
    with sigterm_as_ctrl_c(), RecoveringBag(options.bag) as bag:
        recording = find_images(bag, options.topics, options.namespace)
        if options.originals:
            check_topics(bag, recording.cameras)
        return _Replay(options, out, recording, log, detectors or load_detectors(options)).run()


def _stages(options: ReplayOptions, thresholds: ScoreThresholds) -> Stages:
    stages: list[Stage] = list(options.stages)
    if options.tracking:
        stages.append(TrackStage(options.tracking))
    reaching = prepare_stages(stages, thresholds.settings, thresholds.class_names)
    return Stages(stages, ScoreThresholds(reaching, thresholds.class_names))


class _Replay:
    def __init__(self, options: ReplayOptions, out: Path, recording: Recording,
                 log: Callable[[str], object], detectors: Sequence[Detector]):
        self._options, self._out, self._recording, self._log = options, out, recording, log
        self._detectors = detectors
        detector = self._detectors[0]
        self._thresholds = ScoreThresholds(detector.settings, detector.class_names)
        self._stages = _stages(options, self._thresholds)
        assert detector.path is not None  # loaded from weights
        self._settings = RunSettings(
            weights=detector.path.name, score_threshold=detector.settings.score_threshold,
            nms_threshold=detector.settings.nms_threshold, device=detector.device,
            runtime=detector.runtime, precision=detector.precision, threads=detector.threads,
            workers=len(self._detectors), batch=options.batch, pictures=options.pictures,
            version=__version__)

    def run(self) -> ReplaySummary:
        options, recording, detector = self._options, self._recording, self._detectors[0]
        self._log(detector.describe() + (f', {len(self._detectors)} side by side'
                                         if self._detectors[1:] else ''))
        self._log(f'Looking at {", ".join(map(printable, recording.topics))}' + ''.join(
            f'; not at {printable(topic)}' for topic in recording.other_topics()) + '.')
        truths = read_ground_truth(
            options.ground_truth, recording.bag, recording.topics,
            detector.class_names) if options.ground_truth else None
        # AP is measured over all scores, the page shows what narrowly missed, and a tracker keeps
        # weak boxes. What is published is chosen from that, and the same as a detector with the
        # user's threshold finds: a weaker box never removes a stronger one.
        lowest = SCORE_THRESHOLD if truths else self._thresholds.lowest
        if self._stages.reaching is not None:
            lowest = min(lowest, float(self._stages.reaching.per_class.min()))
        with WorkFolder(self._out, self._identity(lowest), options.fresh,
                        options.chunk_frames) as folder:
            speed = self._scan(folder, lowest)
            accuracy = truths.measure(folder.frames(), detector.class_names) if truths else None
            summary = self._write(folder, speed, accuracy)
            folder.remove()
        return summary

    def _identity(self, lowest: float) -> RunIdentity:
        options, detector = self._options, self._detectors[0]
        bag = options.bag.expanduser()
        return RunIdentity(recorded_files(bag), detector.weights_hash, {
            **asdict(self._settings), 'lowest': lowest, 'network': detector.network_hash,
            'bag': str(bag.absolute()), 'topics': self._recording.topics,
            'names': [camera.name for camera in self._recording.cameras],
            'stages': options.stages_identity, 'tracking': repr(options.tracking)})

    def _scan(self, folder: WorkFolder, lowest: float) -> float | None:
        for detector in self._detectors:
            detector.warm_up(self._options.batch)
        low = replace(self._detectors[0].settings, score_threshold=lowest, class_thresholds=(),
                      max_detections=MAX_DETECTIONS)
        images = AnnotatedImages(self._recording.cameras, self._thresholds,
                                 folder) if self._options.pictures else None
        speed = scan(self._recording, self._detectors, low, self._stages, images, folder,
                     self._options.batch, self._log)
        if all(result.error for result in folder.frames()):
            errors = [result.error for result in folder.frames()]
            folder.remove()
            raise self._recording.unusable(errors)
        return None if speed is None else round(speed, 2)

    def _write(self, folder: WorkFolder, speed: float | None,
               accuracy: ReplayAccuracy | None) -> ReplaySummary:
        """Write the results' folder."""
        options, bag = self._options, self._recording.bag
        results = ReplayResults(folder, self._recording.cameras, self._thresholds,
                                FrameTimes(folder.frames()), self._detectors[0].describe(),
                                options.pictures)
        summary = summarise(results, options.source or str(options.bag), speed, self._settings,
                            accuracy)
        with result_folder(self._out) as target:
            with tqdm(total=summary.frames, desc='write', unit='frame', leave=False,
                      disable=not sys.stderr.isatty()) as bar:
                not_copied = write_bag(target / 'bag', results, options.storage,
                                       bag if options.originals else None, bar.update)
            write_lines(target / 'detections.jsonl', results)
            videos = write_videos(target, results)
            summary = replace(summary, losses=tuple(bag.losses()), not_copied=tuple(not_copied))
            title = f'{results.method.partition(" ")[0]} on {options.bag.name}'
            (target / 'report.html').write_text(replay_page(
                title, target, summary, tracks(results), tiles(results), videos),
                encoding='utf-8')
            (target / MARK).write_text(json.dumps(summary.to_json(), indent=2) + '\n',
                                       encoding='utf-8')
        return summary


def load_detectors(options: ReplayOptions) -> list[Detector]:
    """Load the network as often as it is to run side by side."""
    cores = len(os.sched_getaffinity(0))
    threads = options.detector.threads
    count = options.workers or max(1, min(8, cores // (threads or 1)))
    detector = replace(options.detector, threads=threads or max(1, cores // count))
    first = detector.load()
    if not first.device.startswith('cpu') and not options.workers:
        count = 1
    return [first, *(detector.load() for _ in range(count - 1))]
