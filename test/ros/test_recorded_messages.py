"""What replay writes, ROS reads as the message that the node publishes."""

from __future__ import annotations

import pytest

pytest.importorskip('vision_msgs')
pytest.importorskip('rosbags')
from builtin_interfaces.msg import Time  # noqa: E402
from rclpy.serialization import deserialize_message  # noqa: E402
from std_msgs.msg import Header  # noqa: E402

from ssd_perception.bags.types import MESSAGES as recorded  # noqa: E402
from ssd_perception.bags.types import typestore  # noqa: E402
from ssd_perception.core.detections import Detections  # noqa: E402
from ssd_perception.ros.messages import MESSAGES as live  # noqa: E402

NAMES = ('cone', 'cube')
LIVE = Header(stamp=Time(sec=12, nanosec=34), frame_id='front_camera')
RECORDED = recorded.header(12 * 10 ** 9 + 34, 'front_camera')
TWO = Detections([[0.5, 1.25, 3840.0, 2160.0], [10, 20, 10, 25]], [0.9, 0.25], [1, 0])
TRACKED = Detections(TWO.xyxy, TWO.scores, TWO.labels, [7, 12])


@pytest.mark.parametrize('name, arguments', [
    ('detections_message', (Detections.empty(), NAMES)),
    ('detections_message', (TWO, NAMES)),
    ('detections_message', (TRACKED, NAMES)),
    ('vision_info_message', ('rover', '/label_info', 1)),
    ('label_info_message', (NAMES, 0.5)),
])
def test_message_is_the_nodes(name, arguments):
    message = getattr(recorded, name)(RECORDED, *arguments)
    ours = bytes(typestore().serialize_cdr(message, message.__msgtype__))
    theirs = getattr(live, name)(LIVE, *arguments)
    assert deserialize_message(ours, type(theirs)) == theirs
