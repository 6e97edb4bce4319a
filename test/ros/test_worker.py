"""The worker answers, survives what fails, and keeps its rate; no DDS needed."""

from __future__ import annotations

import threading
import time
import weakref
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

pytest.importorskip('vision_msgs')
from peer import image, picture  # noqa: E402
from rclpy.clock import ClockType  # noqa: E402
from rclpy.time import Time  # noqa: E402
from sensor_msgs.msg import Image  # noqa: E402
from std_srvs.srv import Trigger  # noqa: E402
from worker_bench import Bench, FakeDetector  # noqa: E402

from ssd_perception.core.detections import Detections  # noqa: E402
from ssd_perception.core.frame import Frame  # noqa: E402
from ssd_perception.ros.latest_frame import LatestFrames  # noqa: E402
from ssd_perception.ros.on_demand import MAX_CALLERS, OnDemand  # noqa: E402
from ssd_perception.ros.parameters import NodeParameters  # noqa: E402
from ssd_perception.ros.worker import MAX_FRAME_ID  # noqa: E402


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
    bench.answer(batch)
    assert bench.detector.batches == [2]
    assert [c.answers for c in bench.cameras.values()] == [['camera_1'], ['camera_2']]


def test_a_bad_frame_of_one_camera_does_not_hurt_the_other(bench):
    bad = image(picture(), 1)
    bad.encoding = 'banana'
    bench.answer({'front': bad, 'rear': image(picture(), 2)})
    assert bench.cameras['front'].answers == []
    assert bench.cameras['rear'].answers == ['camera_2']
    assert len(bench.log) == 1 and 'banana' in bench.log[0]


def test_a_failing_detector_is_told_and_the_stream_goes_on(bench):
    bench.worker.start()
    bench.detector.error = RuntimeError('out of\nmemory')
    bench.put('front', 1)
    bench.until(lambda: bench.slot.failure)
    assert bench.log == ['A frame could not be answered: RuntimeError: out of memory']
    bench.detector.error = None
    bench.put('front', 2)
    bench.until(lambda: bench.cameras['front'].answers == ['camera_2'])
    bench.until(lambda: not bench.slot.failure)


def test_paused_frames_are_not_looked_at(bench):
    bench.worker.start()
    bench.worker.enable(False)
    bench.put('front', 1)
    time.sleep(0.05)
    bench.worker.enable(True)
    bench.put('front', 2)
    bench.until(lambda: bench.cameras['front'].answers == ['camera_2'])


def test_the_rate_is_limited(bench):
    bench.worker.apply(NodeParameters(max_rate_hz=20.0))
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
    bench.answer({'front': image(picture(), 1)})
    statistics.failed('Too dark.')
    refused, values = statistics.report(bench.frames.counts('front'))
    assert refused and values['last error'] == 'Too dark.'
    assert values['frames answered'] == '1' and values['picture'] == '96x64 rgb8'
    assert float(values['age (ms)']) > 0 and float(values['network (ms)']) == 1.0
    assert not statistics.report(bench.frames.counts('front'))[0]


@pytest.mark.parametrize('simulated, stamp_ms, age_ms', [
    (True, 9_980, 20), (True, 10_025, 0), (True, 12_000, -2000), (False, 0, None)])
def test_simulated_time_goes_on_in_steps_and_makes_no_age_negative(bench, simulated, stamp_ms,
                                                                   age_ms):
    clock = bench.worker._clock
    clock.set_ros_time_override(Time(seconds=10, clock_type=ClockType.ROS_TIME))
    clock._set_ros_time_is_active(simulated)
    if not simulated:  # a camera whose clock is ahead by milliseconds is not hidden
        stamp_ms, age_ms = clock.now().nanoseconds // 10 ** 6 + 60, -60
    age = bench.worker._age(Frame('front', stamp_ms * 10 ** 6, '', None))['age']
    assert age == pytest.approx(age_ms, abs=0 if simulated else 50) and (simulated or age < 0)


def test_a_stamp_of_zero_has_no_age(bench):
    assert bench.worker._age(Frame('front', 0, '', None)) == {}


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
        camera = module.Camera(node, 'front', 'auto', LatestFrames(['front']), None)
        answer = (image(picture(), 1).header, picture(), Detections.empty(), ('cone',), 80)
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
    bench.slot.use(Batchless())
    bench.answer({'front': image(picture(), 1), 'rear': image(picture(), 2)})
    assert bench.slot.serving.detector.batches == [2, 1, 1]
    assert [c.answers for c in bench.cameras.values()] == [['camera_1'], ['camera_2']]
    assert bench.slot.failures == 0


def test_one_picture_that_breaks_the_detector_costs_the_others_nothing(bench):
    bench.slot.use(Batchless())
    bench.answer({'front': image(picture() * 0, 1), 'rear': image(picture(), 2)})
    assert bench.cameras['front'].answers == []
    assert bench.cameras['rear'].answers == ['camera_2']
    assert bench.log == ['front: MemoryError: out of memory'] and bench.slot.failures == 0


def test_frames_from_before_a_jump_of_the_clock_are_forgotten(bench):
    bench.frames.open()
    bench.put('front', 1)
    bench.worker.time_jumped()
    bench.put('rear', 2)
    assert list(bench.frames.take()) == ['rear']
    assert bench.frames.counts('front').replaced == 1, 'it is not lost without a trace'


def test_a_rate_that_changes_ends_the_wait_for_the_old_one(bench):
    bench.worker.apply(NodeParameters(max_rate_hz=0.1))
    bench.worker.start()
    bench.put('front', 1)
    bench.until(lambda: bench.cameras['front'].answers == ['camera_1'])
    bench.put('front', 2)
    time.sleep(0.05)
    assert len(bench.cameras['front'].answers) == 1
    bench.worker.apply(NodeParameters(max_rate_hz=0.0))
    bench.until(lambda: bench.cameras['front'].answers == ['camera_1', 'camera_2'], 2)


@pytest.mark.parametrize('error', [OverflowError('timeout value is too large'), SystemExit(1)])
def test_a_thread_that_dies_outside_of_its_try_is_started_again(bench, monkeypatch, error):
    take, deaths = bench.frames.take, [error]

    def dying(*arguments):
        if deaths:
            raise deaths.pop()
        return take(*arguments)

    monkeypatch.setattr(bench.frames, 'take', dying)
    bench.worker.start()
    bench.until(lambda: not bench.worker._thread.is_alive())
    bench.worker.keep_alive()
    assert type(error).__name__ in bench.slot.failure and 'started again' in bench.log[0]
    bench.put('front', 1)
    bench.until(lambda: bench.cameras['front'].answers == ['camera_1'])
    bench.until(lambda: not bench.slot.failure)
    bench.worker.keep_alive()
    assert len(bench.log) == 1


def test_a_thread_that_hangs_with_a_replaced_detector_is_replaced_too(bench, monkeypatch):
    monkeypatch.setattr('ssd_perception.ros.worker.STUCK_S', 0.05)
    let_go = threading.Event()
    bench.detector.detect = lambda images, settings: let_go.wait(20)
    bench.worker.start()
    bench.put('front', 1)
    bench.until(lambda: bench.worker.busy_s() > 0.06)
    bench.worker.keep_alive()
    assert not bench.log, 'nothing else is there that could answer'
    bench.slot.use(FakeDetector())
    bench.worker.keep_alive()
    bench.put('front', 2)
    bench.until(lambda: bench.cameras['front'].answers == ['camera_2'])
    let_go.set()


def test_a_worker_stopped_in_the_midst_of_a_batch_is_not_busy_with_it_for_ever(bench):
    begun = threading.Event()
    bench.detector.detect = lambda images, settings: begun.set() or time.sleep(0.05)
    bench.worker.start()
    bench.put('front', 1)
    assert begun.wait(5)
    bench.worker.stop(5.0)
    assert bench.worker.busy_s() == 0


def test_frames_that_come_and_are_not_answered_are_counted_in_seconds(bench):
    statistics = bench.cameras['front'].statistics
    assert statistics.unanswered_s() == 0
    bench.put('front', 1)
    time.sleep(0.02)
    assert statistics.unanswered_s() >= 0.02
    bench.answer(bench.frames.take())
    assert statistics.unanswered_s() == 0
    bad = image(picture(), 2)
    bad.encoding = 'banana'
    statistics.received(time.monotonic())
    bench.answer({'front': bad})
    time.sleep(0.01)
    assert statistics.unanswered_s() > 0, 'refused is not answered'


@pytest.mark.parametrize('then', [
    lambda bench: bench.answer({'front': image(picture(), 2)}),  # while another one is loaded
    lambda bench: bench.worker.release()])
def test_a_detector_that_was_dropped_is_freed(bench, then):
    bench.answer({'front': image(picture(), 1)})
    detector, bench.detector = weakref.ref(bench.detector), None
    bench.slot.release()
    then(bench)
    assert detector() is None


def test_a_frame_id_of_megabytes_is_refused(bench):
    frame = image(picture(), 1)
    frame.header.frame_id = 'x' * 10_000_000
    bench.answer({'front': frame})
    assert bench.cameras['front'].answers == [] and bench.log == [
        'front: A frame_id of 10000000 characters is refused; '
        f'at most {MAX_FRAME_ID} are allowed.']


@pytest.mark.parametrize('encoding', ['a\nERROR: forged', '\x1b[2J', 'x' * 100_000])
def test_no_encoding_forges_the_log_or_the_diagnostics(bench, encoding):
    frame = image(picture(), 1)
    frame.encoding = encoding
    bench.answer({'front': frame})
    _, values = bench.cameras['front'].statistics.report(bench.frames.counts('front'))
    for text in (bench.log[0], values['last error']):
        assert text.isprintable() and len(text) < 600


class Numbering:
    """A stage that gives every detection an id, counting from 1 in each camera."""

    def __init__(self):
        self.seen, self.prepared, self.resets = [], [], 0

    def __call__(self, frame, detections):
        self.seen.append((frame.camera, frame.stamp_ns, frame.frame_id, frame.scale))
        return Detections(detections.xyxy, detections.scores, detections.labels,
                          np.arange(1, len(detections) + 1))

    def prepare(self, settings, class_names):
        self.prepared.append((settings.score_threshold, class_names))
        return replace(settings, score_threshold=0.1)

    def reset(self):
        self.resets += 1


def test_detections_go_through_the_stages_in_their_order():
    numbering = Numbering()
    bench = Bench('front', stages=[numbering, lambda frame, detections: detections[:1]])
    bench.detector.found = Detections([[0, 0, 9, 9], [1, 1, 5, 5]], [0.9, 0.8], [0, 0])
    published = []
    bench.cameras['front'].publish = lambda header, rgb, found, *_: published.append(found)
    for number in (1, 2):
        bench.answer({'front': image(picture(), number)})
    assert [found.ids.tolist() for found in published] == [[1], [1]]
    assert numbering.seen == [('front', 1001 * 10 ** 9 + 8, 'camera_1', 1),
                              ('front', 1002 * 10 ** 9 + 9, 'camera_2', 1)]
    assert numbering.resets == 1, 'before the first frame'
    bench.worker.time_jumped()
    bench.answer({'front': image(picture(), 3)})
    bench.slot.use(FakeDetector())
    bench.answer({'front': image(picture(), 4)})
    assert numbering.resets == 3, 'when the clock goes back, and with another detector'
    assert numbering.prepared == [(0.5, ('cone',))] * 2 and bench.detector.settings == [0.1] * 3
    assert 'stages (ms)' in bench.cameras['front'].statistics.report(
        bench.frames.counts('front'))[1]


def test_a_stage_that_fails_costs_its_cameras_image_alone():
    def stage(frame, detections):
        return detections if frame.camera == 'rear' else 1 / 0
    bench = Bench('front', 'rear', stages=[stage])
    bench.worker.start()
    for number in range(5):
        for name in ('front', 'rear'):
            bench.put(name, number)
        bench.until(lambda number=number: f'camera_{number}' in bench.cameras['rear'].answers)
    bench.worker.stop(5)
    assert not bench.cameras['front'].answers
    assert not bench.slot.failures and not bench.slot.failure, 'another detector is no remedy'
    assert set(bench.log) == {'front: ZeroDivisionError: division by zero'}
    assert 'division by zero' in bench.cameras['front'].statistics.report(
        bench.frames.counts('front'))[0]


def test_enabling_what_is_enabled_hides_nothing(bench):
    statistics = bench.cameras['front'].statistics
    statistics.received(time.monotonic() - 5)
    bench.worker.enable(True)
    assert statistics.unanswered_s() >= 5


def test_a_crowd_of_callers_is_answered_at_once():
    service = object.__new__(OnDemand)
    service._is_active, service._callers = (lambda: True), MAX_CALLERS
    with pytest.raises(StopIteration) as answered:
        service._detect(Trigger.Request(), Trigger.Response()).send(None)
    assert not answered.value.value.success and 'callers wait' in answered.value.value.message


def test_a_caller_that_was_answered_makes_room():
    service, kept = object.__new__(OnDemand), []
    service._node = SimpleNamespace(executor=None, create_timer=lambda *_, **__: None,
                                    destroy_timer=lambda _: None)
    service._worker = SimpleNamespace(detect_next=kept.append, forget_next=lambda _: None)
    service._is_active, service._callers = (lambda: True), MAX_CALLERS - 1
    service._lock, service._answers = threading.Lock(), []
    service._answered = SimpleNamespace(trigger=lambda: None)
    call = service._detect(Trigger.Request(), Trigger.Response())
    call.send(None)
    kept[0]('one cone')
    service._deliver()
    with pytest.raises(StopIteration) as answered:
        call.send(None)
    assert answered.value.value.message == 'one cone' and service._callers == MAX_CALLERS - 1
