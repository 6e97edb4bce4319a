"""Large compressed frames are decoded shrunk, unless somebody looks; boxes are the same."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

pytest.importorskip('vision_msgs')
from peer import header, image, picture  # noqa: E402
from rclpy.clock import Clock, ClockType  # noqa: E402
from sensor_msgs.msg import CompressedImage  # noqa: E402

from ssd_perception.core.detections import Detections  # noqa: E402
from ssd_perception.core.postprocess import PostprocessSettings  # noqa: E402
from ssd_perception.inference.detector import DetectionResult, Timings  # noqa: E402
from ssd_perception.ros.diagnostics import CameraStatistics  # noqa: E402
from ssd_perception.ros.latest_frame import LatestFrames  # noqa: E402
from ssd_perception.ros.parameters import NodeParameters  # noqa: E402
from ssd_perception.ros.slot import DetectorSlot, Serving  # noqa: E402
from ssd_perception.ros.worker import Worker  # noqa: E402


class FakeCamera:
    topic, watched = 'image/compressed', False

    def __init__(self):
        self.statistics = CameraStatistics()

    def is_watched(self):
        return self.watched

    def publish(self, header, rgb, detections, class_names, jpeg_quality):
        self.rgb, self.detections = rgb, detections


class WholePicture:
    """Finds one object: everything it is shown."""

    class_names, concurrency, settings = ('cone',), 1, PostprocessSettings()

    def detect(self, images, settings):
        self.shown = [rgb.shape[:2] for rgb in images]
        return DetectionResult([Detections([[0, 0, width, height]], [0.9], [0])
                                for height, width in self.shown], Timings())

    def seen(self, height, width):
        return 180, 320


@pytest.fixture
def worker():
    slot = DetectorSlot(None, NodeParameters, None, None, None)
    slot._serving = Serving(WholePicture(), PostprocessSettings(), '', '')
    worker = Worker({'': FakeCamera()}, LatestFrames(['']), slot,
                    Clock(clock_type=ClockType.ROS_TIME), None)
    return worker


def jpeg() -> CompressedImage:
    blob = cv2.imencode('.jpg', picture(1920, 1080))[1]
    return CompressedImage(header=header(1), format='jpeg', data=blob.tobytes())


@pytest.mark.parametrize('watched, shown', [(False, (270, 480)), (True, (1080, 1920))])
def test_boxes_are_in_pixels_of_the_frame_as_sent(worker, watched, shown):
    camera = worker._cameras['']
    camera.watched = watched
    worker._finish(*worker._begin({'': jpeg()}, worker._slot.serving, 0))
    assert worker._slot.serving.detector.shown == [shown]
    np.testing.assert_array_equal(camera.detections.xyxy, [[0, 0, 1920, 1080]])
    # What is drawn into is the whole frame or nothing.
    assert camera.rgb.shape == (1080, 1920, 3) if watched else camera.rgb is None
    values = camera.statistics.report(worker._frames.counts(''))[1]
    assert values['picture'] == '1920x1080 jpeg'


def test_raw_frames_stay_as_they_are(worker):
    worker._finish(*worker._begin({'': image(picture(1920, 1080), 1)}, worker._slot.serving, 0))
    assert worker._slot.serving.detector.shown == [(1080, 1920)]
    assert worker._cameras[''].rgb.shape == (1080, 1920, 3)
