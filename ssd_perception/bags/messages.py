"""The node's messages for a recording: the same content as ``ros.messages``, without ROS."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ssd_perception.bags.types import typestore
from ssd_perception.core.detections import Detections
from ssd_perception.core.vision_rows import to_rows

_LINE_LOOP = 2


def _new(name: str, *values, **fields):
    package, _, kind = name.partition('/')
    return typestore().types[f'{package}/msg/{kind}'](*values, **fields)


def header(stamp_ns: int, frame_id: str):
    """Return a std_msgs/Header; ``stamp_ns`` is nanoseconds since the epoch."""
    return _new('std_msgs/Header', stamp=_new('builtin_interfaces/Time',
                                              *divmod(stamp_ns, 10 ** 9)), frame_id=frame_id)


def detections_message(header, detections: Detections, class_names: Sequence[str]):
    """Return ``detections`` as a vision_msgs/Detection2DArray; see ``ros.messages``."""
    pose = _new('geometry_msgs/PoseWithCovariance', covariance=np.zeros(36), pose=_new(
        'geometry_msgs/Pose', position=_new('geometry_msgs/Point', 0.0, 0.0, 0.0),
        orientation=_new('geometry_msgs/Quaternion', 0.0, 0.0, 0.0, 1.0)))
    found = []
    for row in to_rows(detections, class_names):
        centre = _new('vision_msgs/Pose2D', theta=0.0,
                      position=_new('vision_msgs/Point2D', row.x, row.y))
        hypothesis = _new('vision_msgs/ObjectHypothesis', row.name, row.score)
        found.append(_new(
            'vision_msgs/Detection2D', header=header, id=row.id,
            results=[_new('vision_msgs/ObjectHypothesisWithPose', hypothesis, pose)],
            bbox=_new('vision_msgs/BoundingBox2D', centre, row.width, row.height)))
    return _new('vision_msgs/Detection2DArray', header=header, detections=found)


def jpeg_message(header, jpeg: bytes):
    """Return a JPEG as a sensor_msgs/CompressedImage."""
    return _new('sensor_msgs/CompressedImage', header=header, format='jpeg',
                data=np.frombuffer(jpeg, np.uint8))


def vision_info_message(header, method: str, label_topic: str, version: int):
    """Return who detects as a vision_msgs/VisionInfo; see ``ros.messages``."""
    return _new('vision_msgs/VisionInfo', header=header, method=method,
                database_location=label_topic, database_version=version)


def label_info_message(header, class_names: Sequence[str], threshold: float):
    """Return class names and threshold as a vision_msgs/LabelInfo."""
    return _new('vision_msgs/LabelInfo', header=header, threshold=threshold, class_map=[
        _new('vision_msgs/VisionClass', label, name) for label, name in enumerate(class_names)])


def annotations_message(header, detections: Detections, class_names: Sequence[str],
                        colours: Sequence[tuple[int, int, int]], width: int):
    """Return boxes and labels as foxglove_msgs/ImageAnnotations, drawn by its Image panel.

    Args:
        colours: RGB from 0 to 255, one per class.
        width: the picture's, pixels; lines and letters grow with it.
    """
    thickness, font_size = max(1.0, width / 320), max(10.0, width / 40)
    boxes, texts = [], []
    clear, black = _colour((0, 0, 0), 0.0), _colour((0, 0, 0))
    for box, score, label in zip(detections.xyxy.tolist(), detections.scores.tolist(),
                                 detections.labels.tolist()):
        x0, y0, x1, y1 = box
        colour = _colour(colours[label])
        boxes.append(_new(
            'foxglove_msgs/PointsAnnotation', timestamp=header.stamp, type=_LINE_LOOP,
            points=[_new('foxglove_msgs/Point2', x, y)
                    for x, y in ((x0, y0), (x1, y0), (x1, y1), (x0, y1))],
            outline_color=colour, outline_colors=[], fill_color=clear, thickness=thickness))
        # The position is the text's lower left: above the box, or just inside at the top.
        lower = y0 if y0 >= 1.2 * font_size else y0 + 1.2 * font_size
        texts.append(_new(
            'foxglove_msgs/TextAnnotation', timestamp=header.stamp,
            position=_new('foxglove_msgs/Point2', x0, lower),
            text=f'{class_names[label]} {score:.2f}', font_size=font_size,
            text_color=black, background_color=colour))
    return _new('foxglove_msgs/ImageAnnotations', circles=[], points=boxes, texts=texts)


def _colour(rgb: tuple[int, int, int], alpha: float = 1.0):
    return _new('foxglove_msgs/Color', *(channel / 255 for channel in rgb), alpha)
