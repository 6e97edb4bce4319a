"""The worker answers, survives what fails, and keeps its rate; no DDS needed."""

from __future__ import annotations

import time

import pytest

pytest.importorskip('vision_msgs')
from peer import image, picture  # noqa: E402
from rclpy.clock import Clock, ClockType  # noqa: E402
from sensor_msgs.msg import Image  # noqa: E402

from ssd_perception.core.detections import Detections  # noqa: E402
from ssd_perception.core.postprocess import PostprocessSettings  # noqa: E402
from ssd_perception.imaging.encodings import to_rgb  # noqa: E402
from ssd_perception.inference.detector import DetectionResult, Timings  # noqa: E402
from ssd_perception.ros.diagnostics import CameraStatistics  # noqa: E402
from ssd_perception.ros.latest_frame import LatestFrames  # noqa: E402
from ssd_perception.ros.parameters import NodeParameters  # noqa: E402
from ssd_perception.ros.worker import Worker  # noqa: E402


class FakeCamera:
    def __init__(self, name):
        self.topic, self.answers, self.statistics = name, [], CameraStatistics()

    def publish(self, message, rgb, detections, class_names, jpeg_quality):
        self.answers.append(message.header.frame_id)


class FakeDetector:
    class_names, settings = ('cone',), PostprocessSettings()

    def __init__(self):
        self.batches, self.error = [], None

    def detect(self, images, settings):
        self.batches.append(len(images))
        if self.error:
            raise self.error
        return DetectionResult([Detections.empty()] * len(images), Timings(network=1.0))


class Log(list):
    def warning(self, text, **_):
        self.append(text)

    error = warning


class Bench:
    def __init__(self, *names):
        self.frames, self.log, self.detector = LatestFrames(names), Log(), FakeDetector()
        self.cameras = {name: FakeCamera(name) for name in names}
        self.worker = Worker(self.cameras, self.frames, to_rgb,
                             Clock(clock_type=ClockType.ROS_TIME), self.log)
        self.worker.use(self.detector)

    def put(self, camera, number, **fields):
        self.frames.put(camera, image(picture(), number, **fields))

    def until(self, condition, timeout_s=5):
        end = time.monotonic() + timeout_s
        while not condition() and time.monotonic() < end:
            time.sleep(0.002)
        assert condition()


@pytest.fixture
def bench():
    bench = Bench('front', 'rear')
    yield bench
    bench.worker.stop(5)


def test_two_cameras_are_answered_from_one_batch(bench):
    bench.put('front', 1)
    bench.put('rear', 2)
    bench.worker.start()  # frames from before the start are stale
    time.sleep(0.05)
    assert bench.detector.batches == []
    bench.worker.stop(5)
    bench.frames.open()
    bench.put('front', 1)
    bench.put('rear', 2)
    batch = bench.frames.take()
    bench.worker._answer(batch)
    assert bench.detector.batches == [2]
    assert [c.answers for c in bench.cameras.values()] == [['camera_1'], ['camera_2']]


def test_a_bad_frame_of_one_camera_does_not_hurt_the_other(bench):
    bad = image(picture(), 1)
    bad.encoding = 'banana'
    bench.worker._answer({'front': bad, 'rear': image(picture(), 2)})
    assert bench.cameras['front'].answers == []
    assert bench.cameras['rear'].answers == ['camera_2']
    assert len(bench.log) == 1 and 'banana' in bench.log[0]


def test_a_failing_detector_is_told_and_the_stream_goes_on(bench):
    bench.worker.start()
    bench.detector.error = RuntimeError('out of\nmemory')
    bench.put('front', 1)
    bench.until(lambda: bench.worker.failure)
    assert bench.log == ['A frame could not be answered: RuntimeError: out of memory']
    bench.detector.error = None
    bench.put('front', 2)
    bench.until(lambda: bench.cameras['front'].answers == ['camera_2'])
    bench.until(lambda: not bench.worker.failure)


def test_paused_frames_are_not_looked_at(bench):
    bench.worker.start()
    bench.worker.enabled = False
    bench.put('front', 1)
    time.sleep(0.05)
    bench.worker.enabled = True
    bench.put('front', 2)
    bench.until(lambda: bench.cameras['front'].answers == ['camera_2'])


def test_the_rate_is_limited(bench):
    bench.worker.parameters = NodeParameters(max_rate_hz=20.0)
    bench.worker.start()
    start = time.monotonic()
    number = 0
    while time.monotonic() - start < 0.5:
        bench.put('front', number := number + 1)
        time.sleep(0.002)
    assert 1 <= len(bench.cameras['front'].answers) <= 11


def test_statistics_of_nothing_and_of_something(bench):
    statistics = bench.cameras['front'].statistics
    refused, values = statistics.report(bench.frames.counts('front'))
    assert not refused and values['frames received'] == '0' and 'age (ms)' not in values
    bench.worker._answer({'front': image(picture(), 1)})
    statistics.failed('Too dark.')
    refused, values = statistics.report(bench.frames.counts('front'))
    assert refused and values['last error'] == 'Too dark.'
    assert values['frames answered'] == '1' and values['picture'] == '96x64 rgb8'
    assert float(values['age (ms)']) > 0 and float(values['network (ms)']) == 1.0
    assert not statistics.report(bench.frames.counts('front'))[0]


def test_a_stamp_of_zero_has_no_age(bench):
    message = image(picture(), 1)
    message.header.stamp.sec = message.header.stamp.nanosec = 0
    assert bench.worker._age(message) == {}


def test_nothing_is_drawn_when_nobody_looks(monkeypatch):
    rclpy = pytest.importorskip('rclpy')
    from ssd_perception.ros import camera as module
    drawn = []
    monkeypatch.setattr(module, 'draw_detections',
                        lambda rgb, *_: drawn.append(1) or rgb.copy())
    context = rclpy.Context()
    rclpy.init(context=context)
    node = rclpy.create_node('lazy', context=context)
    try:
        camera = module.Camera(node, 'front', 'auto', LatestFrames(['front']))
        answer = (image(picture(), 1), picture(), Detections.empty(), ('cone',), 80)
        camera.publish(*answer)
        assert drawn == []
        node.create_subscription(Image, 'front/detections/image', lambda message: None, 1)
        end = time.monotonic() + 5
        while not drawn and time.monotonic() < end:
            camera.publish(*answer)
            time.sleep(0.02)
        assert drawn
    finally:
        node.destroy_node()
        rclpy.shutdown(context=context)


def test_a_camera_that_floods_does_not_starve_the_other(bench):
    bench.worker.start()
    for number in range(300):
        bench.put('front', number)
        if number % 100 == 50:
            bench.put('rear', number)
            bench.until(lambda: f'camera_{number}' in bench.cameras['rear'].answers)  # noqa: B023
    assert bench.cameras['rear'].answers == ['camera_50', 'camera_150', 'camera_250']
    bench.until(lambda: bench.cameras['front'].answers[-1] == 'camera_299')
    assert bench.frames.counts('rear').replaced == 0


class Batchless(FakeDetector):
    """No memory for more than one picture, and none at all for a picture that is all zero."""

    def detect(self, images, settings):
        if len(images) > 1 or not images[0].any():
            self.error = MemoryError('out of memory')
        try:
            return super().detect(images, settings)
        finally:
            self.error = None


def test_a_batch_too_large_is_answered_one_by_one(bench):
    bench.worker.use(Batchless())
    bench.worker._answer({'front': image(picture(), 1), 'rear': image(picture(), 2)})
    assert bench.worker.detector.batches == [2, 1, 1]
    assert [c.answers for c in bench.cameras.values()] == [['camera_1'], ['camera_2']]
    assert bench.worker.failures == 0


def test_one_picture_that_breaks_the_detector_costs_the_others_nothing(bench):
    bench.worker.use(Batchless())
    bench.worker._answer({'front': image(picture() * 0, 1), 'rear': image(picture(), 2)})
    assert bench.cameras['front'].answers == []
    assert bench.cameras['rear'].answers == ['camera_2']
    assert bench.log == ['front: MemoryError: out of memory'] and bench.worker.failures == 0


def test_frames_from_before_a_jump_of_the_clock_are_forgotten(bench):
    bench.frames.open()
    bench.put('front', 1)
    bench.worker.time_jumped()
    bench.put('rear', 2)
    assert list(bench.frames.take()) == ['rear']
    assert bench.frames.counts('front').replaced == 1, 'it is not lost without a trace'
