"""The finished pieces of a replay become a recording, JSON lines and videos."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from ssd_perception.bags import messages
from ssd_perception.bags.recovery import RecoveringBag
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
from ssd_perception.replay.cameras import Camera
from ssd_perception.replay.chunks import Answer, WorkFolder
from ssd_perception.viz.drawing import class_colour
from ssd_perception.viz.video import join_videos

OVERLAY = 'foxglove_msgs/msg/ImageAnnotations'
_LONGEST_GAP_MS = 1000  # a recording's pause of an hour is a second in its video


@dataclass(frozen=True)
class Results:
    """What is known of a finished run.

    Attributes:
        folder: its pieces.
        shown: of all detections, those that are published.
        method: the detector in one line.
        threshold: the score threshold in force.
        pictures: whether frames were drawn.
    """

    folder: WorkFolder
    cameras: Sequence[Camera]
    class_names: tuple[str, ...]
    shown: Callable[[Detections], Detections]
    method: str
    threshold: float
    pictures: bool

    def published(self) -> Iterator[tuple[Answer, Detections]]:
        """Yield every frame with the detections that are published."""
        for answer in self.folder.frames():
            yield answer, self.shown(answer.detections)


def result_topics(camera: Camera) -> dict[str, str]:
    """Return the topics of a camera's results: type -> name."""
    base = f'{camera.prefix}/{DETECTIONS}'
    annotated = compressed(f'{camera.prefix}/{ANNOTATED_IMAGE}')
    return {DETECTIONS_TYPE: base, COMPRESSED_TYPE: annotated, OVERLAY: f'{base}/annotations'}


def check_topics(bag: RecoveringBag, cameras: Sequence[Camera]) -> None:
    """Raise ValueError when a result's topic is in the recording, which is to be copied."""
    ours = [name for camera in cameras for name in result_topics(camera).values()]
    for name in (*ours, *_infos(cameras)):
        if name in bag.topics:
            raise SettingError(f'{bag.path} has the topic {name} already; give a --namespace for '
                               'the results, or leave out --originals.')


def write_bag(path: Path, results: Results, storage: str, originals: RecoveringBag | None,
              progress: Callable[[], object] = lambda: None) -> list[str]:
    """Write the recording of the results; return topics that could not be copied.

    Detections, annotated JPEGs, VisionInfo and LabelInfo are recorded when their picture was, and
    have its header. An mcap file has Foxglove's overlays too.

    Args:
        originals: the recording whose messages go along; None for none.
        progress: called after each frame.
    """
    topics = {camera.topic: result_topics(camera) for camera in results.cameras}
    lacking: list[str] = []
    with BagWriter(path, storage) as bag:
        copied: list[str] = []
        for topic, connection in originals.connections.items() if originals else ():
            (copied if bag.copy_topic(connection) else lacking).append(topic)
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
    return lacking


def _frames(bag: BagWriter, results: Results, storage: str, topics: dict) -> Iterator[int]:
    """Write frame after frame; each time yield when the next one was recorded, before it."""
    colours = [class_colour(label) for label in range(len(results.class_names))]
    told = False
    for (answer, found), jpeg in zip(results.published(), results.folder.extras()):
        yield answer.recorded_ns
        names, stamp_ns = topics[answer.topic], answer.recorded_ns
        header = messages.header(answer.stamp_ns, answer.frame_id)
        if not told:
            told = True
            _write_infos(bag, results, answer)
        if answer.error:
            continue
        bag.write(names[DETECTIONS_TYPE], stamp_ns,
                  messages.detections_message(header, found, results.class_names))
        if jpeg:
            bag.write(names[COMPRESSED_TYPE], stamp_ns, messages.jpeg_message(header, jpeg))
        if _is_wanted(OVERLAY, results, storage):
            bag.write(names[OVERLAY], stamp_ns, messages.annotations_message(
                header, found, results.class_names, colours, answer.width))


def _is_wanted(kind: str, results: Results, storage: str) -> bool:
    return {COMPRESSED_TYPE: results.pictures, OVERLAY: storage == 'mcap'}.get(kind, True)


def _infos(cameras: Sequence[Camera]) -> tuple[str, str]:
    root = cameras[0].prefix if len(cameras) == 1 else cameras[0].prefix.rpartition('/')[0]
    return f'{root}/{VISION_INFO}', f'{root}/{LABEL_INFO}'


def _write_infos(bag: BagWriter, results: Results, first: Answer) -> None:
    info, label = _infos(results.cameras)
    header = messages.header(first.stamp_ns, '')
    for topic, kind in ((info, VISION_INFO_TYPE), (label, LABEL_INFO_TYPE)):
        bag.add_topic(topic, kind, latched=True)
    bag.write(info, first.recorded_ns,
              messages.vision_info_message(header, results.method, label, 1))
    bag.write(label, first.recorded_ns, messages.label_info_message(
        header, results.class_names, results.threshold))


def write_lines(path: Path, results: Results) -> None:
    """Write one JSON line per frame: where it comes from, and what is in it."""
    with open(path, 'w', encoding='utf-8') as lines:
        for answer, found in results.published():
            values = {'index': answer.index, 'topic': answer.topic, 'stamp_ns': answer.stamp_ns,
                      'recorded_ns': answer.recorded_ns, 'frame_id': answer.frame_id,
                      'width': answer.width, 'height': answer.height}
            if answer.error:
                values['error'] = answer.error
            values['detections'] = [
                {'class': results.class_names[label], 'score': round(float(score), 4),
                 'xyxy': [round(float(v), 2) for v in box]}
                for box, score, label in zip(found.xyxy, found.scores, found.labels)]
            lines.write(json.dumps(values) + '\n')


def write_videos(folder: Path, results: Results) -> dict[str, str]:
    """Write one video per camera that shows at the recorded pace; return camera -> file name."""
    written = {}
    for camera in results.cameras:
        parts = [part for piece in results.folder.done
                 if (part := piece / f'{camera.name}.webm').is_file()]
        if not parts:
            continue
        times, now, before = [], 0, None
        for answer in results.folder.frames():
            if answer.topic == camera.topic and not answer.error:
                if before is not None:
                    gap_ms = round((answer.stamp_ns - before) / 1e6)
                    now += min(max(gap_ms, 1), _LONGEST_GAP_MS)
                times.append(now)
                before = answer.stamp_ns
        name = 'video.webm' if len(results.cameras) == 1 else f'video_{camera.name}.webm'
        join_videos(folder / name, parts, times)
        written[camera.name] = name
    return written
