"""Detections as vision_msgs and back, for live and recorded messages alike.

The message classes come from outside: ``Messages`` is given a function that makes a message of a
named type, rclpy's or rosbags', so that the node and a recording of results hold the same.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from ssd_perception.core.boxes import cxcywh_to_xyxy, xyxy_to_cxcywh
from ssd_perception.core.detections import Detections
from ssd_perception.core.interface import (
    COMPRESSED_TYPE,
    DETECTIONS_TYPE,
    LABEL_INFO_TYPE,
    VISION_INFO_TYPE,
    ns_to_stamp,
)

# Makes a message of a type such as ``std_msgs/msg/Header`` from some of its fields; the others are
# at their defaults.
New = Callable[..., Any]
_LINE_LOOP = 2  # of foxglove_msgs/PointsAnnotation


class Row(NamedTuple):
    """One object: centre and size in pixels of the source image, score, class name, and id.

    ``id`` is the same for the same object in all frames of a camera; empty without a tracker.
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
    ids = [''] * len(detections) if detections.ids is None else map(str, detections.ids.tolist())
    return [Row(x, y, width, height, score, class_names[label], tracked)
            for (x, y, width, height), score, label, tracked
            in zip(boxes, detections.scores.tolist(), detections.labels.tolist(), ids)]


def json_rows(detections: Detections, class_names: Sequence[str]) -> list[dict]:
    """Return one object per detection for JSON: class, score, xyxy and, where tracked, id."""
    rows: list[dict] = [
        {'class': class_names[label], 'score': round(float(score), 4),
         'xyxy': [round(float(v), 2) for v in box]}
        for box, score, label in zip(detections.xyxy, detections.scores, detections.labels)]
    if detections.ids is not None:
        for row, number in zip(rows, detections.ids.tolist()):
            row['id'] = number
    return rows


def rows_of(message: Any) -> list[Row]:
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
                        best.score, best.class_id, detection.id))
    return rows


def from_rows(rows: Sequence[Row], class_names: Sequence[str]) -> Detections:
    """Return rows in any order as Detections, best first; with ids where all have a number.

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
    ids = None
    if rows and all(row.id.isdecimal() and len(row.id) < 19 for row in rows):
        ids = np.array([int(row.id) for row in rows], np.int64)[order]
    return Detections(cxcywh_to_xyxy(boxes)[order], scores[order], labels[order], ids)


class Messages:
    """Makes messages from detections.

    Args:
        new: makes a message, see ``New``.
    """

    def __init__(self, new: New):
        self._new = new

    def header(self, stamp_ns: int, frame_id: str) -> Any:
        """Return a std_msgs/Header; ``stamp_ns`` is nanoseconds since the epoch."""
        sec, nanosec = ns_to_stamp(stamp_ns)
        return self._new('std_msgs/msg/Header', frame_id=frame_id, stamp=self._new(
            'builtin_interfaces/msg/Time', sec=sec, nanosec=nanosec))

    def detections_message(self, header: Any, detections: Detections,
                           class_names: Sequence[str]) -> Any:
        """Return ``detections`` as a vision_msgs/Detection2DArray; also when there are none.

        Args:
            header: the camera frame's, put unchanged on the array and on every detection.
            class_names: label -> the name that ``class_id`` carries.
        """
        return self._new(DETECTIONS_TYPE, header=header, detections=[
            self._detection(header, row) for row in to_rows(detections, class_names)])

    def _detection(self, header: Any, row: Row) -> Any:
        new = self._new
        hypothesis = new('vision_msgs/msg/ObjectHypothesis', class_id=row.name, score=row.score)
        centre = new('vision_msgs/msg/Pose2D', theta=0.0, position=new(
            'vision_msgs/msg/Point2D', x=row.x, y=row.y))
        return new('vision_msgs/msg/Detection2D', header=header, id=row.id,
                   results=[new('vision_msgs/msg/ObjectHypothesisWithPose',
                                hypothesis=hypothesis)],
                   bbox=new('vision_msgs/msg/BoundingBox2D', center=centre, size_x=row.width,
                            size_y=row.height))

    def vision_info_message(self, header: Any, method: str, label_topic: str,
                            version: int) -> Any:
        """Return a vision_msgs/VisionInfo: who detects, and the topic that has the class names.

        ``version`` grows by one whenever weights or thresholds change.
        """
        return self._new(VISION_INFO_TYPE, header=header, method=method,
                         database_location=label_topic, database_version=version)

    def label_info_message(self, header: Any, class_names: Sequence[str],
                           threshold: float) -> Any:
        """Return a vision_msgs/LabelInfo: number -> name, and the score threshold in force."""
        return self._new(LABEL_INFO_TYPE, header=header, threshold=threshold, class_map=[
            self._new('vision_msgs/msg/VisionClass', class_id=label, class_name=name)
            for label, name in enumerate(class_names)])

    def jpeg_message(self, header: Any, jpeg: Any) -> Any:
        """Return a sensor_msgs/CompressedImage; ``jpeg`` is what the field ``data`` takes."""
        return self._new(COMPRESSED_TYPE, header=header, format='jpeg', data=jpeg)

    def annotations_message(self, header: Any, detections: Detections,
                            class_names: Sequence[str],
                            colours: Sequence[tuple[int, int, int]], width: int) -> Any:
        """Return boxes and labels as foxglove_msgs/ImageAnnotations, for Foxglove's Image panel.

        Args:
            colours: RGB from 0 to 255, one per class.
            width: the image's, px; lines and letters grow with it.
        """
        new = self._new
        thickness, font_size = max(1.0, width / 320), max(10.0, width / 40)
        boxes, texts = [], []
        clear, black = self._colour((0, 0, 0), 0.0), self._colour((0, 0, 0))
        for box, label, row in zip(detections.xyxy.tolist(), detections.labels.tolist(),
                                   to_rows(detections, class_names)):
            x0, y0, x1, y1 = box
            colour = self._colour(colours[label])
            boxes.append(new(
                'foxglove_msgs/msg/PointsAnnotation', timestamp=header.stamp, type=_LINE_LOOP,
                points=[new('foxglove_msgs/msg/Point2', x=x, y=y)
                        for x, y in ((x0, y0), (x1, y0), (x1, y1), (x0, y1))],
                outline_color=colour, fill_color=clear, thickness=thickness))
            # The position is the text's lower left: above the box, or just inside at the top.
            lower = y0 if y0 >= 1.2 * font_size else y0 + 1.2 * font_size
            texts.append(new(
                'foxglove_msgs/msg/TextAnnotation', timestamp=header.stamp,
                position=new('foxglove_msgs/msg/Point2', x=x0, y=lower),
                text=' '.join(filter(None, (row.name, row.id, f'{row.score:.2f}'))),
                font_size=font_size,
                text_color=black, background_color=colour))
        return new('foxglove_msgs/msg/ImageAnnotations', points=boxes, texts=texts)

    def _colour(self, rgb: tuple[int, int, int], alpha: float = 1.0) -> Any:
        red, green, blue = (channel / 255 for channel in rgb)
        return self._new('foxglove_msgs/msg/Color', r=red, g=green, b=blue, a=alpha)
