"""The ROS interface in plain values: topics, types, diagnostic keys, and stamps, each once."""

from __future__ import annotations

from typing import Protocol

# Types
IMAGE_TYPE = 'sensor_msgs/msg/Image'
COMPRESSED_TYPE = 'sensor_msgs/msg/CompressedImage'
IMAGE_TYPES = (IMAGE_TYPE, COMPRESSED_TYPE)
DETECTIONS_TYPE = 'vision_msgs/msg/Detection2DArray'
VISION_INFO_TYPE = 'vision_msgs/msg/VisionInfo'
LABEL_INFO_TYPE = 'vision_msgs/msg/LabelInfo'
CAMERA_INFO_TYPE = 'sensor_msgs/msg/CameraInfo'

# Topics, relative. With several cameras the name of the camera comes first, as in front/image;
# vision_info, label_info and /diagnostics exist once.
IMAGE = 'image'
CAMERA_INFO = 'camera_info'
DEPTH = 'depth'
DETECTIONS = 'detections'
ANNOTATED_IMAGE = f'{DETECTIONS}/image'
ANNOTATIONS = f'{DETECTIONS}/annotations'
DETECTIONS_3D = 'detections_3d'
MARKERS = f'{DETECTIONS}/markers'
TARGET = 'target'
OBSTACLES = 'obstacles'
GROUND_TRUTH = f'ground_truth/{DETECTIONS}'
VISION_INFO = 'vision_info'
LABEL_INFO = 'label_info'
DIAGNOSTICS = '/diagnostics'
# image_transport's rule: the compressed images of a topic are published below it.
COMPRESSED_SUFFIX = '/compressed'

# Keys of the diagnostics that programs read back; docs/interface.md lists all.
STATE = 'state'
FRAMES_RECEIVED = 'frames received'
FRAMES_ANSWERED = 'frames answered'
FRAMES_DROPPED = 'frames dropped for a newer one'
FRAMES_REFUSED = 'frames refused'
LAST_ERROR = 'last error'
# The detector's entry is called NODE: detector; the others are the cameras'.
DETECTOR_ENTRY = ': detector'

NS_PER_S = 10 ** 9
# A longer pause between two messages of a recording is taken for a jump of the clock: from 1970
# to now when the robot learns the time.
MAX_GAP_NS = 3600 * NS_PER_S
_YEAR_S = 365.25 * 86400
MAX_FRAME_ID = 256  # characters; it is copied to every detection


class Stamp(Protocol):
    """builtin_interfaces/Time, as rclpy or a recording has it."""

    sec: int
    nanosec: int


def compressed(topic: str) -> str:
    """Return where the compressed images of ``topic`` are published."""
    return topic + COMPRESSED_SUFFIX


def stage_key(stage: str) -> str:
    """Return the diagnostic key of a stage's time, such as ``network (ms)``."""
    return f'{stage} (ms)'


def stamp_to_ns(stamp: Stamp) -> int:
    """Return a stamp in nanoseconds; negative seconds, which rclpy's Time refuses, are allowed."""
    return stamp.sec * NS_PER_S + stamp.nanosec


def ns_to_stamp(stamp_ns: int) -> tuple[int, int]:
    """Return the fields ``sec`` and ``nanosec`` of a stamp; nanosec is from 0 to 10**9 - 1."""
    return divmod(stamp_ns, NS_PER_S)


def describe_gap(gap_ns: int) -> str:
    """Return a long time in words, such as ``53.9 years``."""
    units = (('years', _YEAR_S), ('days', 86400), ('hours', 3600), ('s', 1))
    seconds = gap_ns / NS_PER_S
    name, unit = next((pair for pair in units if abs(seconds) >= pair[1]), units[-1])
    return f'{seconds / unit:.1f} {name}'
