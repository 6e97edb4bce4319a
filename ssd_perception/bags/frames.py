"""Images of a recording, and the ground truth that belongs to each by its header's stamp."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ssd_perception.bags.reader import Bag, BagError, RecoveringBag
from ssd_perception.core.boxes import cxcywh_to_xyxy
from ssd_perception.core.interface import COMPRESSED_TYPE, GROUND_TRUTH, IMAGE_TYPE, stamp_to_ns
from ssd_perception.core.messages import rows_of
from ssd_perception.imaging import encodings

TRUTH_TOPIC = f'/{GROUND_TRUTH}'
_MAX_WAITING = 100
_LOOKED_AT = 10  # first messages of a topic, of which some may be malformed


@dataclass(frozen=True)
class LabelledFrame:
    """One image with its ground truth; unpacks as ``image, xyxy, labels``.

    Attributes:
        stamp_ns: the header's stamp, nanoseconds.
        image: uint8 (H, W, 3) RGB.
        xyxy: float64 (n, 4) edges in the image's pixels.
        labels: int64 (n,), 0-based indices into the requested class names.
    """

    stamp_ns: int
    image: np.ndarray
    xyxy: np.ndarray
    labels: np.ndarray

    def __iter__(self) -> Iterator[np.ndarray]:
        return iter((self.image, self.xyxy, self.labels))


def image_topic(bag: Bag) -> str:
    """Return the recording's one topic of images, but for depth.

    Raises:
        BagError: when there is none, or a choice.
    """
    topics = [topic for topic in bag.of_type(IMAGE_TYPE, COMPRESSED_TYPE)
              if not depth_encoding(bag, topic)]
    if len(topics) != 1:
        found = f'several: {", ".join(topics)}' if topics else 'no'
        raise BagError(f'{bag.path} has {found} topics of images; one is needed.')
    return topics[0]


def depth_encoding(bag: RecoveringBag, topic: str) -> str:
    """Return the encoding of a topic that carries depth; empty for a camera's images.

    The topic's name does not matter: all well-formed ones of its first messages hold depth.
    """
    found = ''
    for record in itertools.islice(bag.records([topic]), _LOOKED_AT):
        try:
            message = record.message
        except BagError:
            continue
        if not encodings.holds_depth(message):
            return ''
        found = found or getattr(message, 'encoding', '') or message.format
    return found


def labelled_frames(path: str | os.PathLike, class_names: Sequence[str],
                    topic: str = '') -> Iterator[LabelledFrame]:
    """Yield the frames of ``topic`` that have ground truth, in recorded order.

    Args:
        topic: images, raw or compressed; empty means the only such topic.

    Raises:
        BagError: for a recording, topic or class that does not fit; see ``Bag``.
    """
    with Bag(path) as bag:
        topic = topic or image_topic(bag)
        # Either may be recorded first; whichever comes waits here for the other.
        images: dict[int, Any] = {}
        truths: dict[int, Any] = {}
        for record in bag.records([topic, TRUTH_TOPIC]):
            message = record.message
            stamp = stamp_to_ns(message.header.stamp)
            (images if record.topic == topic else truths)[stamp] = message
            if stamp in images and stamp in truths:
                xyxy, labels = _boxes(truths.pop(stamp), class_names)
                yield LabelledFrame(stamp, to_rgb(images.pop(stamp)), xyxy, labels)
            for waiting in (images, truths):
                if len(waiting) > _MAX_WAITING:  # a camera faster than its ground truth
                    del waiting[next(iter(waiting))]


def to_rgb(message: Any) -> np.ndarray:
    """Return an image message, as rosbags reads it, as uint8 (H, W, 3) RGB.

    Raises:
        BagError: for an encoding that is not known or damaged data.
    """
    try:
        return encodings.to_rgb(message)
    except encodings.ImageError as error:
        raise BagError(str(error)) from error


def _boxes(message: Any, class_names: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    rows = rows_of(message)
    for row in rows:
        if row.name not in class_names:
            raise BagError(f'The ground truth has the class "{row.name}", which is not one of '
                           f'{", ".join(class_names)}.')
    boxes = np.array([row[:4] for row in rows], np.float64).reshape(-1, 4)
    return cxcywh_to_xyxy(boxes), np.array([list(class_names).index(row.name) for row in rows],
                                           np.int64)
