"""A worker with cameras and a detector that only count; no DDS needed."""

from __future__ import annotations

import time

from peer import image, picture
from rclpy.clock import Clock, ClockType

from ssd_perception.core.detections import Detections
from ssd_perception.core.postprocess import PostprocessSettings
from ssd_perception.inference.detector import DetectionResult, Timings
from ssd_perception.ros.diagnostics import CameraStatistics
from ssd_perception.ros.latest_frame import LatestFrames
from ssd_perception.ros.parameters import NodeParameters
from ssd_perception.ros.slot import DetectorSlot, Serving
from ssd_perception.ros.worker import Worker


class FakeCamera:
    def __init__(self, name):
        self.name = self.topic = name
        self.answers, self.statistics = [], CameraStatistics()

    def publish(self, header, rgb, detections, class_names, jpeg_quality):
        self.answers.append(header.frame_id)


class FakeDetector:
    class_names, concurrency = ('cone',), 1

    def __init__(self):
        self.batches, self.settings, self.error = [], [], None
        self.found = Detections.empty()

    def detect(self, images, settings):
        self.batches.append(len(images))
        self.settings.append(settings.score_threshold)
        if self.error:
            raise self.error
        return DetectionResult([self.found] * len(images), Timings(network=1.0))


class Log(list):
    def warning(self, text, **_):
        self.append(text)

    error = info = warning


class FilledSlot(DetectorSlot):
    """Has a detector without loading one."""

    def __init__(self, log):
        super().__init__(lambda _: None, NodeParameters, log, lambda: None, lambda: None)

    def use(self, detector):
        self._serving = Serving(detector, PostprocessSettings(), 'rover', '0' * 64)


class Bench:
    def __init__(self, *names, stages=()):
        self.frames, self.log = LatestFrames(names), Log()
        self.cameras = {name: FakeCamera(name) for name in names}
        self.slot = FilledSlot(self.log)
        self.worker = Worker(self.cameras, self.frames, self.slot,
                             Clock(clock_type=ClockType.ROS_TIME), self.log, stages)
        self.detector = FakeDetector()
        self.slot.use(self.detector)

    def put(self, camera, number, **fields):
        self.frames.put(camera, image(picture(), number, **fields))
        self.cameras[camera].statistics.received(time.monotonic())

    def answer(self, batch):
        for begun in self.worker._begin(batch, self.slot.serving, self.worker._jumps):
            self.worker._finish(begun)

    def until(self, condition, timeout_s=5):
        end = time.monotonic() + timeout_s
        while not condition() and time.monotonic() < end:
            time.sleep(0.002)
        assert condition()
