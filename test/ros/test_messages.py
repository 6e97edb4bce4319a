"""Detections survive the way through vision_msgs; headers and names are where they belong."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip('vision_msgs')
from builtin_interfaces.msg import Time  # noqa: E402
from std_msgs.msg import Header  # noqa: E402

from ssd_perception.core.detections import Detections  # noqa: E402
from ssd_perception.ros.messages import (  # noqa: E402
    MESSAGES,
    detections_from_message,
)

NAMES = ('cone', 'cube')
HEADER = Header(stamp=Time(sec=12, nanosec=34), frame_id='front_camera')
TWO = Detections([[0.5, 1.25, 3840.0, 2160.0], [10, 20, 10, 25]], [0.9, 0.25], [1, 0])
TRACKED = Detections(TWO.xyxy, TWO.scores, TWO.labels, [7, 12])


@pytest.mark.parametrize('detections', [Detections.empty(), TWO[:1], TWO, TRACKED])
def test_round_trip(detections):
    message = MESSAGES.detections_message(HEADER, detections, NAMES)
    back = detections_from_message(message, NAMES)
    np.testing.assert_array_equal(back.xyxy, detections.xyxy)
    np.testing.assert_array_equal(back.scores, detections.scores)
    np.testing.assert_array_equal(back.labels, detections.labels)
    assert (back.ids is None) == (detections.ids is None)
    assert detections.ids is None or back.ids.tolist() == detections.ids.tolist()


def test_defect_d1_every_header_is_the_frames_own():
    message = MESSAGES.detections_message(HEADER, TWO, NAMES)
    assert message.header == HEADER
    assert [d.header for d in message.detections] == [HEADER, HEADER]


def test_defect_d3_class_id_is_the_name():
    message = MESSAGES.detections_message(HEADER, TWO, NAMES)
    assert [d.results[0].hypothesis.class_id for d in message.detections] == ['cube', 'cone']


def test_defect_d7_id_is_empty_and_nothing_is_cut_to_whole_pixels():
    first = MESSAGES.detections_message(HEADER, TWO, NAMES).detections[0]
    assert first.id == ''
    assert (first.bbox.center.position.x, first.bbox.center.position.y) == (1920.25, 1080.625)
    assert (first.bbox.size_x, first.bbox.size_y) == (3839.5, 2158.75)
    assert first.bbox.center.theta == 0.0


def test_reading_sorts_and_refuses_strangers():
    message = MESSAGES.detections_message(HEADER, TWO, NAMES)
    message.detections.reverse()
    np.testing.assert_array_equal(detections_from_message(message, NAMES).scores, TWO.scores)
    with pytest.raises(ValueError, match='"cube" is not one of cone'):
        detections_from_message(message, ('cone',))
    message.detections[0].results = []
    with pytest.raises(ValueError, match='without results'):
        detections_from_message(message, NAMES)


def test_info_messages():
    info = MESSAGES.label_info_message(HEADER, NAMES, 0.25)
    assert [(c.class_id, c.class_name) for c in info.class_map] == [(0, 'cone'), (1, 'cube')]
    assert info.threshold == 0.25
    info = MESSAGES.vision_info_message(HEADER, 'SSD', '/label_info', 3)
    assert (info.method, info.database_location, info.database_version) == ('SSD', '/label_info',
                                                                            3)
