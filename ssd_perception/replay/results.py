"""The finished chunks of a replay become a recording, JSON lines and videos."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ssd_perception.bags.reader import RecoveringBag
from ssd_perception.bags.types import MESSAGES as messages
from ssd_perception.bags.writer import BagWriter
from ssd_perception.core.detections import Detections
from ssd_perception.core.errors import SettingError
from ssd_perception.core.interface import (
    ANNOTATED_IMAGE,
    COMPRESSED_TYPE,
    DETECTIONS,
    DETECTIONS_TYPE,
    LABEL_INFO,
    LABEL_INFO_TYPE,
    VISION_INFO,
    VISION_INFO_TYPE,
    compressed,
)
from ssd_perception.core.messages import json_rows
from ssd_perception.replay.cameras import RecordedCamera
from ssd_perception.replay.thresholds import ScoreThresholds
from ssd_perception.replay.times import FrameTimes
from ssd_perception.replay.work_folder import FrameResult, WorkFolder, reading
from ssd_perception.viz.drawing import class_colour
from ssd_perception.viz.video import join_videos

OVERLAY = 'foxglove_msgs/msg/ImageAnnotations'
_LONGEST_GAP_MS = 1000  # a recording's pause of an hour is a second in its video
_LINE = ('index', 'topic', 'stamp_ns', 'recorded_ns', 'frame_id', 'width', 'height')


@dataclass(frozen=True)
class ReplayResults:
    """What is known of a finished scan.

    Attributes:
        folder: its chunks.
        times: of its frames.
        method: the detector in one line.
        images: whether frames were drawn.
    """

    folder: WorkFolder
    cameras: Sequence[RecordedCamera]
    thresholds: ScoreThresholds
    times: FrameTimes
    method: str
    images: bool

    @property
    def class_names(self) -> tuple[str, ...]:
        """Names that labels index into."""
        return self.thresholds.class_names

    def published(self) -> Iterator[tuple[FrameResult, Detections]]:
        """Yield every frame with the detections that are published."""
        for result in self.folder.frames():
            yield result, self.thresholds.published(result)


def result_topics(camera: RecordedCamera) -> dict[str, str]:
    """Return the topics of a camera's results: type -> name."""
    base = f'{camera.prefix}/{DETECTIONS}'
    annotated = compressed(f'{camera.prefix}/{ANNOTATED_IMAGE}')
    return {DETECTIONS_TYPE: base, COMPRESSED_TYPE: annotated, OVERLAY: f'{base}/annotations'}


def check_topics(bag: RecoveringBag, cameras: Sequence[RecordedCamera]) -> None:
    """Raise SettingError when a result's topic is in the recording, which is to be copied."""
    ours = [name for camera in cameras for name in result_topics(camera).values()]
    for name in (*ours, *_infos(cameras)):
        if name in bag.topics:
            raise SettingError(f'{bag.path} has the topic {name} already; give a --namespace for '
                               'the results, or leave out --originals.')


def write_bag(path: Path, results: ReplayResults, storage: str, originals: RecoveringBag | None,
              progress: Callable[[], object] = lambda: None) -> list[str]:
    """Write the recording of the results; return topics that could not be copied.

    Detections, annotated JPEGs, VisionInfo and LabelInfo are recorded when their image was, and
    have its header. An mcap file has Foxglove's overlays too.

    Args:
        originals: the recording whose messages go along; None for none.
        progress: called after each frame.
    """
    topics = {camera.topic: result_topics(camera) for camera in results.cameras}
    not_copied: list[str] = []
    with BagWriter(path, storage) as bag:
        copied: list[str] = []
        for topic, connection in originals.connections.items() if originals else ():
            (copied if bag.copy_topic(connection) else not_copied).append(topic)
        for names in topics.values():
            for kind, name in names.items():
                if _is_wanted(kind, results, storage):
                    bag.add_topic(name, kind)
        ours = _frames(bag, results, storage, topics)
        pending = next(ours, None)
        for record in originals.records(copied) if originals and copied else ():
            while pending is not None and pending < record.stamp_ns:
                pending = next(ours, None)
                progress()
            bag.write_cdr(record.topic, record.stamp_ns, record.cdr)
        while pending is not None:
            pending = next(ours, None)
            progress()
    return not_copied


def _frames(bag: BagWriter, results: ReplayResults, storage: str,
            topics: dict[str, dict[str, str]]) -> Iterator[int]:
    """Write frame after frame; each time yield when the next one was recorded, before it."""
    colours = [class_colour(label) for label in range(len(results.class_names))]
    described = False
    for (result, found), jpeg in zip(results.published(), results.folder.jpegs()):
        yield result.recorded_ns
        names, stamp_ns = topics[result.topic], result.recorded_ns
        header = messages.header(result.stamp_ns, result.frame_id)
        if not described:
            described = True
            _write_infos(bag, results, result)
        if result.error:
            continue
        bag.write(names[DETECTIONS_TYPE], stamp_ns,
                  messages.detections_message(header, found, results.class_names))
        if jpeg:
            bag.write(names[COMPRESSED_TYPE], stamp_ns,
                      messages.jpeg_message(header, np.frombuffer(jpeg, np.uint8)))
        if _is_wanted(OVERLAY, results, storage):
            bag.write(names[OVERLAY], stamp_ns, messages.annotations_message(
                header, found, results.class_names, colours, result.width))


def _is_wanted(kind: str, results: ReplayResults, storage: str) -> bool:
    return {COMPRESSED_TYPE: results.images, OVERLAY: storage == 'mcap'}.get(kind, True)


def _infos(cameras: Sequence[RecordedCamera]) -> tuple[str, str]:
    root = cameras[0].prefix if len(cameras) == 1 else cameras[0].prefix.rpartition('/')[0]
    return f'{root}/{VISION_INFO}', f'{root}/{LABEL_INFO}'


def _write_infos(bag: BagWriter, results: ReplayResults, first: FrameResult) -> None:
    info, label = _infos(results.cameras)
    header = messages.header(first.stamp_ns, '')
    for topic, kind in ((info, VISION_INFO_TYPE), (label, LABEL_INFO_TYPE)):
        bag.add_topic(topic, kind, latched=True)
    bag.write(info, first.recorded_ns,
              messages.vision_info_message(header, results.method, label, 1))
    bag.write(label, first.recorded_ns, messages.label_info_message(
        header, results.class_names, results.thresholds.settings.score_threshold))


def write_lines(path: Path, results: ReplayResults) -> None:
    """Write one JSON line per frame: where it comes from, and what is in it."""
    with open(path, 'w', encoding='utf-8') as lines:
        for result, found in results.published():
            values: dict = {name: getattr(result, name) for name in _LINE}
            if result.error:
                values['error'] = result.error
            values['detections'] = json_rows(found, results.class_names)
            lines.write(json.dumps(values) + '\n')


def write_videos(folder: Path, results: ReplayResults) -> dict[str, str]:
    """Write one video per camera that shows at the recorded pace; return camera -> file name."""
    written = {}
    for camera in results.cameras:
        parts = [part for chunk in results.folder.done
                 if (part := chunk / f'{camera.name}.webm').is_file()]
        if not parts:
            continue
        shown_ms, now, before = [], 0, None
        for result in results.folder.frames():
            if result.topic == camera.topic and not result.error:
                time_ns = results.times.time_ns(result)
                if before is not None:
                    now += min(max(round((time_ns - before) / 1e6), 1), _LONGEST_GAP_MS)
                shown_ms.append(now)
                before = time_ns
        name = 'video.webm' if len(results.cameras) == 1 else f'video_{camera.name}.webm'
        with reading(results.folder.path):
            join_videos(folder / name, parts, shown_ms)
        written[camera.name] = name
    return written
