"""The figures of a replay, and what its page shows."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ssd_perception.core.detections import Detections
from ssd_perception.core.format import to_json
from ssd_perception.imaging.compressed import decode, encode_jpeg
from ssd_perception.replay.ground_truth import ReplayAccuracy
from ssd_perception.replay.results import ReplayResults
from ssd_perception.replay.thresholds import Uncertain, most_uncertain
from ssd_perception.viz.tiles import small_frame
from ssd_perception.viz.timeline import Track

STEPS = ('decode', 'preprocess', 'network', 'postprocess', 'draw')
TILES, TILE_QUALITY = 12, 85


@dataclass(frozen=True)
class CameraCounts:
    """The results of one camera.

    Attributes:
        frames: images recorded.
        unreadable: of these, those that could not be decoded.
        detections: published.
    """

    frames: int
    unreadable: int
    detections: int


@dataclass(frozen=True)
class StepTime:
    """Milliseconds that a frame spends in one step: the median and the 95th percentile."""

    median: float
    p95: float


@dataclass(frozen=True)
class RunSettings:
    """What the results depend on, beside recording and weights."""

    weights: str
    score_threshold: float
    nms_threshold: float
    device: str
    runtime: str
    precision: str
    threads: int | None
    workers: int
    batch: int
    pictures: bool
    version: str


@dataclass(frozen=True)
class ReplaySummary:
    """A replay in figures: the content of ``summary.json``.

    Attributes:
        frames, unreadable: images recorded, and those of them that could not be decoded.
        frames_with_detections, detections: of what is published.
        detections_per_class: class -> published.
        objects_per_class: class -> tracks published; empty without ids.
        uncertainty: mean over the frames of ``ScoreThresholds.frame_uncertainty``.
        cameras: topic -> its counts.
        score_threshold: of publishing, in [0, 1].
        seconds: from the first frame to the last, without jumps of the clock.
        stages_ms: step -> time of a frame, of the steps that were measured.
        bag: the recording, as it was given.
        frames_per_s: None where an interrupted run had done all frames.
        settings: of the run.
        ground_truth: accuracy, where it was measured.
        losses: one sentence for each thing that is wrong with the recording.
        not_copied: topics left out of ``--originals``.
        notes: one sentence for each camera whose stamps or clock are wrong.
    """

    frames: int
    unreadable: int
    frames_with_detections: int
    detections: int
    detections_per_class: dict[str, int]
    objects_per_class: dict[str, int]
    uncertainty: float
    cameras: dict[str, CameraCounts]
    score_threshold: float
    seconds: float
    stages_ms: dict[str, StepTime]
    bag: str
    frames_per_s: float | None
    settings: RunSettings
    ground_truth: ReplayAccuracy | None = None
    losses: tuple[str, ...] = ()
    not_copied: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    def to_json(self) -> dict:
        """Return plain values; without ``ground_truth`` where it was not measured."""
        values = to_json(self)
        measured = values.pop('ground_truth')
        if measured is not None:
            values['ground_truth'] = {**measured, **measured.pop('accuracy')}
        return values


def tracks(results: ReplayResults) -> dict[str, Track]:
    """Return camera -> its timeline."""
    names = {camera.topic: camera.name for camera in results.cameras}
    found = {name: Track() for name in names.values()}
    for result, shown in results.published():
        if result.error:
            continue
        track, second = found[names[result.topic]], results.times.elapsed_ns(result) / 1e9
        track.seconds.append(second)
        weak = results.thresholds.narrowly_missed(result.detections)
        for label, name in enumerate(results.class_names):
            mine = shown.scores[shown.labels == label]
            track.counts[name].append(len(mine))
            track.points[name] += [(second, float(score)) for score in mine]
            track.faint[name] += [(second, float(score))
                                  for score in weak.scores[weak.labels == label]]
    return found


def step_times(results: ReplayResults) -> dict[str, StepTime]:
    """Return step -> its times, of the steps that were measured."""
    spent: dict[str, list[float]] = defaultdict(list)
    for times in results.folder.times():
        for step, ms in times.items():
            spent[step].append(ms)
    return {step: StepTime(round(float(np.median(spent[step])), 2),
                           round(float(np.percentile(spent[step], 95)), 2))
            for step in STEPS if spent[step]}


def summarise(results: ReplayResults, bag: str, frames_per_s: float | None,
              settings: RunSettings, accuracy: ReplayAccuracy | None) -> ReplaySummary:
    """Count what was found; the rest of the summary is as given."""
    per_class = dict.fromkeys(results.class_names, 0)
    counts = {camera.topic: [0, 0, 0] for camera in results.cameras}
    with_detections = 0
    ids: set[tuple[str, int, int]] = set()
    uncertainty: list[float] = []
    for result, found in results.published():
        counts[result.topic][0] += 1
        counts[result.topic][1] += bool(result.error)
        if not result.error:
            counts[result.topic][2] += len(found)
            with_detections += len(found) > 0
            for label in found.labels:
                per_class[results.class_names[label]] += 1
            if found.ids is not None:
                ids.update((result.topic, *pair) for pair in zip(found.labels.tolist(),
                                                                 found.ids.tolist()))
            uncertainty.append(results.thresholds.frame_uncertainty(result.detections))
    cameras = {topic: CameraCounts(*values) for topic, values in counts.items()}
    return ReplaySummary(
        frames=sum(camera.frames for camera in cameras.values()),
        unreadable=sum(camera.unreadable for camera in cameras.values()),
        frames_with_detections=with_detections, detections=sum(per_class.values()),
        detections_per_class=per_class,
        objects_per_class=dict(Counter(results.class_names[label] for _, label, _ in sorted(ids))),
        uncertainty=round(float(np.mean(uncertainty)), 6) if uncertainty else 0.0, cameras=cameras,
        score_threshold=results.thresholds.settings.score_threshold,
        seconds=round(results.times.duration_ns / 1e9, 3), stages_ms=step_times(results),
        bag=bag, frames_per_s=frames_per_s, settings=settings, ground_truth=accuracy,
        notes=tuple(results.times.notes))


def tiles(results: ReplayResults) -> list[tuple[bytes, str]]:
    """Return JPEGs of the most uncertain frames with captions; none without images."""
    chosen = most_uncertain(results.folder.frames(), results.thresholds, results.times, TILES)
    wanted = {item.result.index: item for item in chosen}
    made: dict[int, tuple[bytes, str]] = {}
    for result, jpeg in zip(results.folder.frames(), results.folder.jpegs()):
        item = wanted.get(result.index)
        if item is not None and jpeg:
            made[result.index] = _tile(item, jpeg, results)
    return [made[item.result.index] for item in chosen if item.result.index in made]


def _tile(item: Uncertain, jpeg: bytes, results: ReplayResults) -> tuple[bytes, str]:
    result = item.result
    weak = results.thresholds.narrowly_missed(result.detections)
    # The detections that are published are drawn into the image already.
    drawn = small_frame(decode(jpeg), Detections.empty(), weak, results.class_names)
    data = encode_jpeg(drawn, TILE_QUALITY).tobytes()
    where = _camera(results.cameras, result.topic)
    name = results.class_names[result.detections.labels[item.detection]]
    score = result.detections.scores[item.detection]
    return data, f'{where}{results.times.elapsed_ns(result) / 1e9:.1f} s: {name} {score:.2f}'


def _camera(cameras: Sequence, topic: str) -> str:
    return '' if len(cameras) == 1 else f'{next(c.name for c in cameras if c.topic == topic)}, '
