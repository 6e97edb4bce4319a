"""The figures of a replay, and what its page shows."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

import cv2
import numpy as np

from ssd_perception.core.detections import Detections
from ssd_perception.replay.assemble import Results
from ssd_perception.replay.uncertain import Uncertain, most_uncertain
from ssd_perception.viz.drawing import draw_detections

STAGES = ('decode', 'preprocess', 'network', 'postprocess', 'draw')
TILES = 12
_TILE_WIDTH = 480


@dataclass
class Track:
    """What one camera's timeline shows.

    Attributes:
        seconds: (frames,) header stamps since the recording's first.
        counts: class -> (frames,) published detections.
        points: class -> (time in s, score) of every published detection.
        faint: class -> the same of those between half the threshold and the threshold.
    """

    seconds: list[float] = field(default_factory=list)
    counts: dict[str, list[int]] = field(default_factory=lambda: defaultdict(list))
    points: dict[str, list[tuple[float, float]]] = field(default_factory=lambda: defaultdict(list))
    faint: dict[str, list[tuple[float, float]]] = field(default_factory=lambda: defaultdict(list))


def tracks(results: Results, thresholds: np.ndarray) -> dict[str, Track]:
    """Return camera -> its timeline; ``thresholds`` is (C,)."""
    names = {camera.topic: camera.name for camera in results.cameras}
    found = {name: Track() for name in names.values()}
    start_ns = None
    for answer, shown in results.published():
        if answer.error:
            continue
        start_ns = answer.stamp_ns if start_ns is None else start_ns
        track, second = found[names[answer.topic]], (answer.stamp_ns - start_ns) / 1e9
        track.seconds.append(second)
        weak = below(answer.detections, thresholds)
        for label, name in enumerate(results.class_names):
            mine = shown.scores[shown.labels == label]
            track.counts[name].append(len(mine))
            track.points[name] += [(second, float(score)) for score in mine]
            track.faint[name] += [(second, float(score))
                                  for score in weak.scores[weak.labels == label]]
    return found


def below(detections: Detections, thresholds: np.ndarray) -> Detections:
    """Return the detections that narrowly miss their class's threshold: from its half on."""
    limits = thresholds[detections.labels]
    return detections[(detections.scores < limits) & (detections.scores >= limits / 2)
                      & (limits <= 1)]


def stage_times(results: Results) -> dict[str, dict[str, float]]:
    """Return stage -> ``median`` and ``p95`` in milliseconds, of the stages that were timed."""
    spent: dict[str, list[float]] = defaultdict(list)
    for times in results.folder.times():
        for stage, ms in times.items():
            spent[stage].append(ms)
    return {stage: {'median': round(float(np.median(spent[stage])), 2),
                    'p95': round(float(np.percentile(spent[stage], 95)), 2)}
            for stage in STAGES if spent[stage]}


def figures(results: Results) -> dict:
    """Return counts per run, class and camera, ready for JSON."""
    per_class = dict.fromkeys(results.class_names, 0)
    per_camera = {camera.topic: {'frames': 0, 'unreadable': 0, 'detections': 0}
                  for camera in results.cameras}
    with_detections = 0
    first_ns = last_ns = None
    for answer, found in results.published():
        camera = per_camera[answer.topic]
        camera['frames'] += 1
        if answer.error:
            camera['unreadable'] += 1
            continue
        camera['detections'] += len(found)
        with_detections += len(found) > 0
        for label in found.labels:
            per_class[results.class_names[label]] += 1
        first_ns = answer.stamp_ns if first_ns is None else min(first_ns, answer.stamp_ns)
        last_ns = answer.stamp_ns if last_ns is None else max(last_ns, answer.stamp_ns)
    return {'frames': sum(camera['frames'] for camera in per_camera.values()),
            'unreadable': sum(camera['unreadable'] for camera in per_camera.values()),
            'frames_with_detections': with_detections,
            'detections': sum(per_class.values()), 'detections_per_class': per_class,
            'cameras': per_camera, 'score_threshold': results.threshold,
            'seconds': round(((last_ns or 0) - (first_ns or 0)) / 1e9, 3),
            'stages_ms': stage_times(results)}


def tiles(results: Results, thresholds: np.ndarray) -> list[tuple[bytes, str]]:
    """Return JPEGs of the most uncertain frames with captions; none without pictures."""
    chosen = most_uncertain(results.folder.frames(), thresholds, TILES)
    wanted = {item.answer.index: item for item in chosen}
    made: dict[int, tuple[bytes, str]] = {}
    start_ns = None
    for answer, jpeg in zip(results.folder.frames(), results.folder.extras()):
        start_ns = answer.stamp_ns if start_ns is None and not answer.error else start_ns
        item = wanted.get(answer.index)
        if item is not None and jpeg and start_ns is not None:
            made[answer.index] = _tile(item, jpeg, results, thresholds, start_ns)
    return [made[item.answer.index] for item in chosen if item.answer.index in made]


def _tile(item: Uncertain, jpeg: bytes, results: Results, thresholds: np.ndarray,
          start_ns: int) -> tuple[bytes, str]:
    answer = item.answer
    bgr = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)
    assert bgr is not None  # encoded by the pipeline
    scale = _TILE_WIDTH / bgr.shape[1]
    weak = below(answer.detections, thresholds).scaled(scale)
    size = _TILE_WIDTH, max(1, round(bgr.shape[0] * scale))
    rgb = cv2.cvtColor(cv2.resize(bgr, size, interpolation=cv2.INTER_AREA), cv2.COLOR_BGR2RGB)
    drawn = draw_detections(rgb, Detections.empty(), results.class_names, weak=weak)
    data = cv2.imencode('.jpg', drawn[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 85])[1].tobytes()
    where = _camera(results.cameras, answer.topic)
    name = results.class_names[answer.detections.labels[item.detection]]
    score = answer.detections.scores[item.detection]
    return data, f'{where}{(answer.stamp_ns - start_ns) / 1e9:.1f} s: {name} {score:.2f}'


def _camera(cameras: Sequence, topic: str) -> str:
    return '' if len(cameras) == 1 else f'{next(c.name for c in cameras if c.topic == topic)}, '
