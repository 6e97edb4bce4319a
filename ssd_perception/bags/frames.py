"""Camera frames of a recording, paired by stamp with its ground-truth topic."""

from __future__ import annotations

import os
from collections.abc import Iterator

import cv2
import numpy as np

from ssd_perception.bags.reader import Bag, BagError
from ssd_perception.core.boxes import cxcywh_to_xyxy

IMAGE_TYPE = 'sensor_msgs/msg/CompressedImage'
TRUTH_TYPE = 'vision_msgs/msg/Detection2DArray'


def labelled_frames(path: str | os.PathLike, class_names: tuple[str, ...],
                    ) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Yield every compressed frame that has ground truth, in recorded order.

    Yields:
        uint8 (H, W, 3) RGB; float64 (n, 4) edges in its pixels; int64 (n,) labels.

    Raises:
        BagError: when the bag has not exactly one topic of each kind, or a frame of one
            without the other, or a class that is not in ``class_names``.
    """
    with Bag(path) as bag:
        topics = []
        for kind in (IMAGE_TYPE, TRUTH_TYPE):
            found = bag.of_type(kind)
            if len(found) != 1:
                raise BagError(f'{path} needs exactly one topic of type {kind}, has '
                               f'{", ".join(found) or "none"}.')
            topics += found
        waiting: dict[tuple[int, int], dict[str, object]] = {}
        for record in bag.records(topics):
            message = record.message
            stamp = message.header.stamp.sec, message.header.stamp.nanosec
            pair = waiting.setdefault(stamp, {})
            pair[record.type] = message
            if len(pair) == 2:
                del waiting[stamp]
                yield _decode(pair[IMAGE_TYPE]), *_objects(pair[TRUTH_TYPE], class_names)
        if waiting:
            raise BagError(f'{path}: {len(waiting)} stamps have a frame or its ground truth, '
                           'but not both.')


def _decode(message) -> np.ndarray:
    image = cv2.imdecode(np.asarray(message.data, np.uint8), cv2.IMREAD_COLOR)
    if image is None:
        raise BagError('A compressed frame cannot be decoded.')
    return cv2.cvtColor(image, cv2.COLOR_BGR2RGB)


def _objects(message, class_names: tuple[str, ...]) -> tuple[np.ndarray, np.ndarray]:
    boxes, labels = [], []
    for detection in message.detections:
        name = detection.results[0].hypothesis.class_id
        if name not in class_names:
            raise BagError(f'Ground truth has class "{name}", the weights have '
                           f'{", ".join(class_names)}.')
        centre = detection.bbox.center.position
        boxes.append((centre.x, centre.y, detection.bbox.size_x, detection.bbox.size_y))
        labels.append(class_names.index(name))
    return (cxcywh_to_xyxy(np.array(boxes, np.float64).reshape(-1, 4)),
            np.array(labels, np.int64))
