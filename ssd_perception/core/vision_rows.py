"""Detections as rows of plain values: what vision_msgs carries, without its message classes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from ssd_perception.core.boxes import cxcywh_to_xyxy, xyxy_to_cxcywh
from ssd_perception.core.detections import Detections


class Row(NamedTuple):
    """One object: centre and size in pixels of the source image, score, class name and id.

    The id is the same for the same object from frame to frame; empty where no tracker ran.
    """

    x: float
    y: float
    width: float
    height: float
    score: float
    name: str
    id: str = ''


def to_rows(detections: Detections, class_names: Sequence[str]) -> list[Row]:
    """Return one row per detection, best first; ``class_names`` maps labels to names."""
    # float64 before the division: a float32 centre would be off by up to 1e-4 px at 4K.
    boxes = xyxy_to_cxcywh(detections.xyxy.astype(np.float64)).tolist()  # (n, 4)
    ids = [''] * len(boxes) if detections.ids is None else map(str, detections.ids.tolist())
    return [Row(x, y, width, height, score, class_names[label], number)
            for (x, y, width, height), score, label, number
            in zip(boxes, detections.scores.tolist(), detections.labels.tolist(), ids)]


def json_rows(detections: Detections, class_names: Sequence[str]) -> list[dict]:
    """Return one object per detection for JSON: class, score, xyxy and, where tracked, id."""
    rows = [{'class': class_names[label], 'score': round(float(score), 4),
             'xyxy': [round(float(v), 2) for v in box]}
            for box, score, label in zip(detections.xyxy, detections.scores, detections.labels)]
    if detections.ids is not None:
        for row, number in zip(rows, detections.ids.tolist()):
            row['id'] = number
    return rows


def rows_of(message) -> list[Row]:
    """Return the best hypothesis of each detection of a Detection2DArray.

    Any object with such a message's fields will do: rclpy's, and those of recordings.

    Raises:
        ValueError: for a detection without a hypothesis.
    """
    rows = []
    for detection in message.detections:
        if not detection.results:
            raise ValueError('A Detection2D without results has no class.')
        best = max((result.hypothesis for result in detection.results), key=lambda h: h.score)
        centre = detection.bbox.center.position
        rows.append(Row(centre.x, centre.y, detection.bbox.size_x, detection.bbox.size_y,
                        best.score, best.class_id))
    return rows


def from_rows(rows: Sequence[Row], class_names: Sequence[str]) -> Detections:
    """Return rows in any order as Detections, best first.

    Raises:
        ValueError: for a class that is not in ``class_names``.
    """
    names = list(class_names)
    for row in rows:
        if row.name not in names:
            raise ValueError(f'Class "{row.name}" is not one of {", ".join(names)}.')
    boxes = np.array([row[:4] for row in rows], np.float64).reshape(-1, 4)
    scores = np.array([row.score for row in rows], np.float64)
    labels = np.array([names.index(row.name) for row in rows], np.int64)
    order = np.argsort(-scores, kind='stable')
    return Detections(cxcywh_to_xyxy(boxes)[order], scores[order], labels[order])
