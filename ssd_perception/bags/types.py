"""Message types in bags: the distribution's standard ones, vision_msgs, Foxglove's overlays."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
from rosbags.interfaces import Nodetype
from rosbags.typesys import Stores, get_types_from_msg, get_typestore
from rosbags.typesys.store import Typestore

from ssd_perception.core.messages import Messages

# vision_msgs 4.1 (jazzy, kilted), without its comments. It is no standard type of rosbags, and
# bags do not always carry definitions (sqlite3 before Iron has none), so they are kept here.
VISION_MSGS = {
    'Point2D': 'float64 x\nfloat64 y',
    'Pose2D': 'vision_msgs/Point2D position\nfloat64 theta',
    'BoundingBox2D': 'vision_msgs/Pose2D center\nfloat64 size_x\nfloat64 size_y',
    'BoundingBox2DArray': 'std_msgs/Header header\nvision_msgs/BoundingBox2D[] boxes',
    'BoundingBox3D': 'geometry_msgs/Pose center\ngeometry_msgs/Vector3 size',
    'BoundingBox3DArray': 'std_msgs/Header header\nvision_msgs/BoundingBox3D[] boxes',
    'ObjectHypothesis': 'string class_id\nfloat64 score',
    'ObjectHypothesisWithPose': ('vision_msgs/ObjectHypothesis hypothesis\n'
                                 'geometry_msgs/PoseWithCovariance pose'),
    'Classification': 'std_msgs/Header header\nvision_msgs/ObjectHypothesis[] results',
    'Detection2D': ('std_msgs/Header header\nvision_msgs/ObjectHypothesisWithPose[] results\n'
                    'vision_msgs/BoundingBox2D bbox\nstring id'),
    'Detection2DArray': 'std_msgs/Header header\nvision_msgs/Detection2D[] detections',
    'Detection3D': ('std_msgs/Header header\nvision_msgs/ObjectHypothesisWithPose[] results\n'
                    'vision_msgs/BoundingBox3D bbox\nstring id'),
    'Detection3DArray': 'std_msgs/Header header\nvision_msgs/Detection3D[] detections',
    'VisionClass': 'uint16 class_id\nstring class_name',
    'LabelInfo': ('std_msgs/Header header\nvision_msgs/VisionClass[] class_map\n'
                  'float32 threshold'),
    'VisionInfo': ('std_msgs/Header header\nstring method\nstring database_location\n'
                   'int32 database_version'),
}

# foxglove_msgs without its comments: what Foxglove's Image panel draws on an image. Later
# versions add a timestamp and metadata to the array; Foxglove reads the file's own definition.
FOXGLOVE_MSGS = {
    'Color': 'float64 r\nfloat64 g\nfloat64 b\nfloat64 a',
    'Point2': 'float64 x\nfloat64 y',
    'CircleAnnotation': ('builtin_interfaces/Time timestamp\nfoxglove_msgs/Point2 position\n'
                         'float64 diameter\nfloat64 thickness\nfoxglove_msgs/Color fill_color\n'
                         'foxglove_msgs/Color outline_color'),
    'PointsAnnotation': ('builtin_interfaces/Time timestamp\nuint8 UNKNOWN=0\nuint8 POINTS=1\n'
                         'uint8 LINE_LOOP=2\nuint8 LINE_STRIP=3\nuint8 LINE_LIST=4\n'
                         'uint8 type\nfoxglove_msgs/Point2[] points\n'
                         'foxglove_msgs/Color outline_color\n'
                         'foxglove_msgs/Color[] outline_colors\n'
                         'foxglove_msgs/Color fill_color\nfloat64 thickness'),
    'TextAnnotation': ('builtin_interfaces/Time timestamp\nfoxglove_msgs/Point2 position\n'
                       'string text\nfloat64 font_size\nfoxglove_msgs/Color text_color\n'
                       'foxglove_msgs/Color background_color'),
    'ImageAnnotations': ('foxglove_msgs/CircleAnnotation[] circles\n'
                         'foxglove_msgs/PointsAnnotation[] points\n'
                         'foxglove_msgs/TextAnnotation[] texts'),
}


@lru_cache(maxsize=1)
def typestore() -> Typestore:
    """Return the one typestore that reader and writer share; ``types`` maps names to classes.

    Message classes of rosbags are dataclasses without defaults: every field is given.
    """
    store = get_typestore(Stores.ROS2_KILTED)
    types = {}
    for package, definitions in (('vision_msgs', VISION_MSGS), ('foxglove_msgs', FOXGLOVE_MSGS)):
        for name, definition in definitions.items():
            types.update(get_types_from_msg(definition, f'{package}/msg/{name}'))
    store.register(types)
    return store


def new(type_name: str, **fields: Any) -> Any:
    """Return a message of a recording; fields that are not given are as rclpy makes them."""
    store = typestore()
    for name, description in store.fielddefs[type_name][1]:
        if name not in fields:
            fields[name] = _default(*description)
    return store.types[type_name](**fields)


# The node's messages for a recording: the same content, without ROS.
MESSAGES = Messages(new)


@lru_cache(maxsize=100)
def _default(kind: Nodetype, description: Any) -> Any:
    if kind is Nodetype.NAME:
        return new(description, **({'w': 1.0} if description.endswith('/Quaternion') else {}))
    if kind is Nodetype.ARRAY:
        return np.zeros(description[1])
    if kind is Nodetype.SEQUENCE:
        return []
    return {'string': '', 'bool': False}.get(description[0], 0)


def digest(definition: str, name: str) -> str:
    """Return the RIHS01 hash of a type, given its .msg text with all it depends on.

    Raises:
        Exception: whatever rosbags hits in a text that is no such definition.
    """
    store = get_typestore(Stores.EMPTY)
    store.register(get_types_from_msg(definition, name))
    return store.hash_rihs01(name)
