"""A recorded message of an image becomes a frame to answer and its picture."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ssd_perception.bags.frames import stamp_ns, to_rgb
from ssd_perception.bags.reader import BagError, Record
from ssd_perception.core.detections import Detections
from ssd_perception.replay.pieces import Answer


def decoded(index: int, record: Record) -> tuple[Answer, np.ndarray | None]:
    """Return a frame without detections, and its picture: uint8 (H, W, 3) RGB.

    A picture that cannot be decoded is None, and the answer's ``error`` says why.
    """
    answer = Answer(index, record.topic, record.stamp_ns, 0, '', 0, 0, Detections.empty())
    try:
        message = record.message
        answer = replace(answer, stamp_ns=stamp_ns(message.header),
                         frame_id=message.header.frame_id)
        image = to_rgb(message)
    except BagError as error:
        return replace(answer, error=str(error)), None
    return replace(answer, height=image.shape[0], width=image.shape[1]), image
