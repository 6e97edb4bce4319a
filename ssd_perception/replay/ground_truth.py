"""Average precision of replayed frames, with ground truth from a folder or the recording."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ssd_perception.bags.frames import to_rgb
from ssd_perception.bags.reader import BagError, RecoveringBag
from ssd_perception.core.boxes import cxcywh_to_xyxy
from ssd_perception.core.detections import GroundTruth
from ssd_perception.core.errors import DataError
from ssd_perception.core.interface import DETECTIONS_TYPE, stamp_to_ns
from ssd_perception.core.messages import Row, rows_of
from ssd_perception.data.layout import read_split
from ssd_perception.data.sample import Sample
from ssd_perception.evaluation.accuracy import (
    MAX_DETECTIONS,
    Accuracy,
    accuracy,
    ground_truth,
)
from ssd_perception.replay.work_folder import FrameResult


@dataclass(frozen=True)
class ReplayAccuracy:
    """How accurate the detections are in the frames with ground truth.

    Attributes:
        source: what the ground truth was read from, in words.
        of: images or messages in that source.
        accuracy: of the frames that have some.
    """

    source: str
    of: int
    accuracy: Accuracy


@dataclass(frozen=True)
class FrameTruths:
    """Ground truth for frames of a recording.

    Attributes:
        frames: index of a frame -> its ground truth.
        source: what it was read from, in words.
        total: images or messages in that source.
    """

    frames: dict[int, GroundTruth]
    source: str
    total: int

    def measure(self, results: Iterable[FrameResult],
                class_names: tuple[str, ...]) -> ReplayAccuracy:
        """Return the accuracy in the frames with ground truth.

        Raises:
            BagError: when no frame has any.
        """
        found, truths = [], []
        for result in results:
            if result.index in self.frames and not result.error:
                found.append(result.detections[:MAX_DETECTIONS])
                truths.append(self.frames[result.index])
        if not truths:
            raise BagError(f'No frame of the recording matches any of the {self.total} of '
                           f'{self.source}.')
        return ReplayAccuracy(self.source, self.total, accuracy(found, truths, class_names))


def read_ground_truth(text: str, bag: RecoveringBag, topics: Sequence[str],
                      class_names: tuple[str, ...]) -> FrameTruths:
    """Return the ground truth that ``--ground-truth`` names.

    Args:
        text: a topic of Detection2DArray in the recording, or a folder of labelled images in any
            layout, with ``:SPLIT`` behind it for another split than val.
        topics: the cameras' topics.

    Raises:
        BagError, DataError: when it is neither, or does not fit.
    """
    if text in bag.topics:
        return _from_topic(text, bag, topics, class_names)
    folder, colon, split = text.rpartition(':')
    if not colon or '/' in split:
        folder, split = text, 'val'
    if not Path(folder).expanduser().is_dir():
        there = ', '.join(bag.of_type(DETECTIONS_TYPE)) or 'none'
        raise BagError(f'{text} is neither a folder of labelled images nor a topic of '
                       f'{bag.path}; topics of detections there: {there}.')
    return _from_voc(folder, split, bag, topics, class_names)


def _from_topic(topic: str, bag: RecoveringBag, topics: Sequence[str],
                class_names: tuple[str, ...]) -> FrameTruths:
    if bag.topics[topic] != DETECTIONS_TYPE:
        raise BagError(f'{topic} carries {bag.topics[topic]}; ground truth is a '
                       f'{DETECTIONS_TYPE}.')
    # Cameras that are triggered together have equal stamps; then the frame tells them apart.
    several = len(topics) > 1
    truths: dict[tuple[int, str], GroundTruth] = {}
    count = unreadable = 0
    for record in bag.records([topic]):
        count += 1
        try:
            message = record.message
            rows = rows_of(message)
        except ValueError:  # no such message, or a detection without a class
            unreadable += 1
            continue
        if not all(math.isfinite(value) for row in rows for value in row[:4]):
            unreadable += 1
            continue
        key = stamp_to_ns(message.header.stamp), message.header.frame_id if several else ''
        truths[key] = _truth(rows, class_names, topic)
    if len(truths) == 1 < count - unreadable:
        raise BagError(f'All {count - unreadable} messages on {topic} have one stamp; ground '
                       'truth belongs to the image with the same stamp.')
    frames = {}
    for index, record in enumerate(bag.records(topics)):
        try:
            header = record.message.header
        except BagError:
            continue
        key = stamp_to_ns(header.stamp), header.frame_id if several else ''
        if key in truths:
            frames[index] = truths[key]
    source = f'the messages on {topic}' + f', {unreadable} unreadable' * bool(unreadable)
    return FrameTruths(frames, source, len(truths))


def _truth(rows: Sequence[Row], class_names: tuple[str, ...], topic: str) -> GroundTruth:
    for row in rows:
        if row.name not in class_names:
            raise BagError(f'The ground truth on {topic} has the class "{row.name}", which is '
                           f'not one of {", ".join(class_names)}.')
    boxes = cxcywh_to_xyxy(np.array([row[:4] for row in rows], np.float64).reshape(-1, 4))
    labels = np.array([class_names.index(row.name) for row in rows], np.int64)
    return GroundTruth(boxes, labels, np.zeros(len(rows), bool))


def _from_voc(folder: str, split: str, bag: RecoveringBag, topics: Sequence[str],
              class_names: tuple[str, ...]) -> FrameTruths:
    """Pair images with frames: an image named by the stamp, else one with equal pixels."""
    samples = read_split(folder, split, None)
    truths = [ground_truth(sample, class_names) for sample in samples]
    by_name = {sample.path.stem: i for i, sample in enumerate(samples)}
    by_pixels: dict[bytes, int] = {}
    frames, unreadable = {}, 0
    for index, record in enumerate(bag.records(topics)):
        try:
            message = record.message
            place = by_name.get(str(stamp_to_ns(message.header.stamp)))
            if place is None:
                if not by_pixels:
                    by_pixels, unreadable = _by_pixels(samples)
                place = by_pixels.get(_pixels(to_rgb(message)))
        except BagError:  # a frame that cannot be decoded has no answer either
            continue
        if place is not None:
            frames[index] = truths[place]
    source = f'the images in {folder}, split {split}' + (
        f', {unreadable} unreadable' if unreadable else '')
    return FrameTruths(frames, source, len(samples))


def _by_pixels(samples: Sequence[Sample]) -> tuple[dict[bytes, int], int]:
    """Return the hash of each image -> its place, and how many could not be read.

    Raises:
        DataError: the last one's, when none could.
    """
    found: dict[bytes, int] = {}
    last, unreadable = None, 0
    for place, sample in enumerate(samples):
        try:
            found[_pixels(sample.image())] = place
        except DataError as error:
            last, unreadable = error, unreadable + 1
    if last is not None and not found:
        raise last
    return found, unreadable


def _pixels(image: np.ndarray) -> bytes:
    return hashlib.sha256(repr(image.shape).encode() + image.tobytes()).digest()
