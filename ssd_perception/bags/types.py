"""Message types found in bags: the distribution's standard ones, and vision_msgs."""

from __future__ import annotations

from functools import lru_cache

from rosbags.typesys import Stores, get_types_from_msg, get_typestore
from rosbags.typesys.store import Typestore

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


@lru_cache(maxsize=1)
def typestore() -> Typestore:
    """Return the one typestore that reader and writer share; ``types`` maps names to classes.

    Message classes of rosbags are dataclasses without defaults: every field is given.
    """
    store = get_typestore(Stores.ROS2_KILTED)
    types = {}
    for name, definition in VISION_MSGS.items():
        types.update(get_types_from_msg(definition, f'vision_msgs/msg/{name}'))
    store.register(types)
    return store
