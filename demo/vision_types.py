"""The vision_msgs 4.1 interface as far as a Detection2DArray needs it, for `rosbags`."""

from rosbags.typesys import Stores, get_types_from_msg, get_typestore

DEFINITIONS = {
    'vision_msgs/msg/Point2D': 'float64 x\nfloat64 y\n',
    'vision_msgs/msg/Pose2D': 'vision_msgs/Point2D position\nfloat64 theta\n',
    'vision_msgs/msg/BoundingBox2D':
        'vision_msgs/Pose2D center\nfloat64 size_x\nfloat64 size_y\n',
    'vision_msgs/msg/ObjectHypothesis': 'string class_id\nfloat64 score\n',
    'vision_msgs/msg/ObjectHypothesisWithPose':
        'ObjectHypothesis hypothesis\ngeometry_msgs/PoseWithCovariance pose\n',
    'vision_msgs/msg/Detection2D':
        'std_msgs/Header header\nObjectHypothesisWithPose[] results\nBoundingBox2D bbox\n'
        'string id\n',
    'vision_msgs/msg/Detection2DArray':
        'std_msgs/Header header\nvision_msgs/Detection2D[] detections\n',
}
# What rosidl computes for the interface; a bag with another hash would not play.
DETECTION2D_ARRAY_RIHS01 = (
    'RIHS01_214274120007f4a683866481336b70310268cfa107aebe9d594a6acf75bda968')


def typestore():
    """Return ROS 2's types with vision_msgs added and its hash checked."""
    store = get_typestore(Stores.ROS2_KILTED)
    for name, text in DEFINITIONS.items():
        store.register(get_types_from_msg(text, name))
    found = store.hash_rihs01('vision_msgs/msg/Detection2DArray')
    if found != DETECTION2D_ARRAY_RIHS01:
        raise RuntimeError(f'vision_msgs/Detection2DArray hashes to {found}, '
                           f'expected {DETECTION2D_ARRAY_RIHS01}')
    return store
