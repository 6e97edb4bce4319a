"""Detections to vision_msgs and back; the camera's header goes along untouched."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from vision_msgs.msg import (
    BoundingBox2D,
    Detection2D,
    Detection2DArray,
    LabelInfo,
    ObjectHypothesis,
    ObjectHypothesisWithPose,
    Point2D,
    Pose2D,
    VisionClass,
    VisionInfo,
)

from ssd_perception.core.boxes import cxcywh_to_xyxy, xyxy_to_cxcywh
from ssd_perception.core.detections import Detections


def detections_message(header, detections: Detections,
                       class_names: Sequence[str]) -> Detection2DArray:
    """Return ``detections`` as a message; also when there are none.

    Args:
        header: the camera frame's std_msgs/Header, put verbatim on the array and on every
            detection.
        class_names: label -> the name that ``class_id`` carries.
    """
    # float64 before the division: a float32 centre would be off by up to 1e-4 px at 4K.
    boxes = xyxy_to_cxcywh(detections.xyxy.astype(np.float64)).tolist()  # (n, 4)
    return Detection2DArray(header=header, detections=[
        _detection(header, box, score, class_names[label])
        for box, score, label in zip(boxes, detections.scores.tolist(),
                                     detections.labels.tolist())])


def _detection(header, box, score: float, name: str) -> Detection2D:
    # `id` stays empty: it would claim that this is the same object as in another frame.
    x, y, width, height = box
    return Detection2D(
        header=header,
        results=[ObjectHypothesisWithPose(
            hypothesis=ObjectHypothesis(class_id=name, score=score))],
        bbox=BoundingBox2D(center=Pose2D(position=Point2D(x=x, y=y), theta=0.0),
                           size_x=width, size_y=height))


def detections_from_message(message: Detection2DArray,
                            class_names: Sequence[str]) -> Detections:
    """Return a message as Detections: the best hypothesis of each, best first.

    Raises:
        ValueError: for a class that is not in ``class_names``, or a detection without any.
    """
    boxes, scores, labels = [], [], []
    for detection in message.detections:
        if not detection.results:
            raise ValueError('A Detection2D without results has no class.')
        best = max((result.hypothesis for result in detection.results), key=lambda h: h.score)
        if best.class_id not in class_names:
            raise ValueError(f'Class "{best.class_id}" is not one of {", ".join(class_names)}.')
        centre = detection.bbox.center.position
        boxes.append((centre.x, centre.y, detection.bbox.size_x, detection.bbox.size_y))
        scores.append(best.score)
        labels.append(class_names.index(best.class_id))
    order = np.argsort(-np.asarray(scores, dtype=np.float64), kind='stable')
    xyxy = cxcywh_to_xyxy(np.asarray(boxes, dtype=np.float64).reshape(-1, 4))
    return Detections(xyxy[order], np.asarray(scores)[order], np.asarray(labels)[order])


def vision_info_message(header, method: str, label_topic: str, version: int) -> VisionInfo:
    """Return who detects: ``method`` in words, and the topic that carries the class names.

    ``version`` grows by one whenever weights or thresholds change.
    """
    return VisionInfo(header=header, method=method, database_location=label_topic,
                      database_version=version)


def label_info_message(header, class_names: Sequence[str], threshold: float) -> LabelInfo:
    """Return the number -> name map and the score threshold in force."""
    return LabelInfo(header=header, threshold=threshold, class_map=[
        VisionClass(class_id=label, class_name=name) for label, name in enumerate(class_names)])
