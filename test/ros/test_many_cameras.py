"""Frames of several cameras are in the detector at once, where it can; no DDS needed."""

from __future__ import annotations

import os
import threading
import time
from types import SimpleNamespace

import pytest

pytest.importorskip('vision_msgs')
from peer import image, picture  # noqa: E402
from worker_bench import Bench, FakeDetector  # noqa: E402

from ssd_perception.inference.runtimes import Call  # noqa: E402
from ssd_perception.ros import loading  # noqa: E402
from ssd_perception.ros.parameters import NodeParameters  # noqa: E402


class Several(FakeDetector):
    """Runs two calls at once; what was begun ends when ``go_on`` is set."""

    concurrency = 2

    def __init__(self):
        super().__init__()
        self.begun, self.most, self.go_on = 0, 0, threading.Event()

    def begin(self, images, settings):
        self.begun += 1
        self.most = max(self.most, self.begun)

        def result():
            assert self.go_on.wait(5)
            time.sleep(0.002)
            self.begun -= 1
            return self.detect(images, settings)
        return Call(self.go_on.wait, result)


@pytest.fixture
def order():
    return []


@pytest.fixture
def bench(order):
    bench = Bench('front', 'rear', 'left', 'right', stages=[
        lambda frame, found: order.append((frame.camera, frame.frame_id)) or found])
    bench.slot.use(Several())
    bench.worker.start()
    yield bench
    bench.worker.stop(5)
    assert not bench.log


def put_all(bench, number):
    for name in bench.cameras:
        bench.put(name, number)


def test_one_call_more_than_run_at_once_is_begun_and_each_gets_its_newest_frame(bench, order):
    detector = bench.slot.serving.detector
    put_all(bench, 1)
    bench.until(lambda: detector.begun == 3)
    time.sleep(0.02)
    put_all(bench, 2)
    assert detector.begun == 3 and not order
    detector.go_on.set()
    bench.until(lambda: len(order) == 7)
    assert order == [(name, 'camera_1') for name in ('front', 'rear', 'left')] + [
        (name, 'camera_2') for name in ('right', 'front', 'rear', 'left')]
    assert set(detector.batches) == {1} and bench.frames.counts('right').replaced == 1
    assert detector.most == 3


def test_more_frames_than_can_be_answered_are_answered_in_order_and_in_equal_parts(bench):
    bench.slot.serving.detector.go_on.set()
    for number in range(60):
        put_all(bench, number)
        time.sleep(0.002)
    bench.until(lambda: all(camera.answers[-1:] == ['camera_59']
                            for camera in bench.cameras.values()))
    counts = []
    for camera in bench.cameras.values():
        numbers = [int(frame_id.partition('_')[2]) for frame_id in camera.answers]
        assert numbers == sorted(set(numbers))
        counts.append(len(numbers))
    assert max(counts) < 60 and min(counts) >= 0.8 * max(counts)


def test_what_another_detector_has_begun_ends_before_the_stages_learn_of_this_one(bench, order):
    slow, fast = bench.slot.serving.detector, Several()
    put_all(bench, 1)
    bench.until(lambda: slow.begun == 3)
    bench.slot.use(fast)
    fast.go_on.set()
    time.sleep(0.02)
    assert not fast.begun
    slow.go_on.set()
    bench.until(lambda: len(order) == 4)
    assert slow.batches == [1] * 3 and fast.batches == [1]


def test_what_was_begun_is_published_before_the_worker_stops(bench, order):
    detector = bench.slot.serving.detector
    put_all(bench, 1)
    bench.until(lambda: detector.begun == 3)
    threading.Timer(0.05, detector.go_on.set).start()
    bench.worker.stop(5)
    assert len(order) == 3


def test_the_rate_is_that_of_each_camera(bench, order):
    bench.slot.serving.detector.go_on.set()
    bench.worker.apply(NodeParameters(max_rate_hz=0.1))
    put_all(bench, 1)
    bench.until(lambda: len(order) == 4)
    put_all(bench, 2)
    time.sleep(0.05)
    assert len(order) == 4


def test_frames_that_were_taken_for_a_detector_of_batches_run_one_by_one_in_another(bench, order):
    detector = bench.slot.serving.detector
    detector.go_on.set()
    bench.worker.stop(5)
    bench.answer({name: image(picture(), 1) for name in bench.cameras})
    assert detector.batches == [1] * 4 and len(order) == 4


@pytest.mark.parametrize('cameras, most, threads, wanted, resizing', [
    ('abcd', 8, 0, (4, 4), 1), ('abcd', 1, 0, (3, 1), 3), ('abcd', 1, 4, (4, 1), 4),
    ('abcd', 8, 2, (2, 2), 1), ('abc', 8, 0, (3, 3), 1), ('abcde', 8, 0, (5, 5), 1),
    ('abcdefgh', 8, 0, (5, 5), 1), ('abcde', 1, 0, (3, 1), 3)])
def test_every_core_is_taken_only_by_calls_that_run_at_once(monkeypatch, cameras, most, threads,
                                                            wanted, resizing):
    of_opencv = opencv_threads(monkeypatch, 5)
    monkeypatch.setattr(os, 'sched_getaffinity', lambda pid: range(4))
    monkeypatch.setattr(loading.Detector, 'from_weights', lambda *_, threads, concurrency, **__: (
        SimpleNamespace(threads=threads, concurrency=min(most, concurrency), class_names=(),
                        runtime='openvino', warm_up=lambda batch_size: None)))
    for _ in range(2):  # weights that are changed later change nothing of OpenCV's threads
        detector = loading.load_detector(NodeParameters(cameras=tuple(cameras), threads=threads))
        assert (detector.threads, detector.concurrency) == wanted
    assert of_opencv == [resizing]


def test_weights_that_fail_leave_the_threads_of_opencv_to_those_in_use(monkeypatch):
    of_opencv = opencv_threads(monkeypatch, 5)
    monkeypatch.setattr(loading.Detector, 'from_weights', lambda *_, **__: SimpleNamespace(
        threads=1, concurrency=2, class_names=(), runtime='openvino', warm_up=lambda size: 1 / 0))
    with pytest.raises(ZeroDivisionError):
        loading.load_detector(NodeParameters())
    assert not of_opencv


def opencv_threads(monkeypatch, count):
    """Let OpenCV have so many threads, and return the list of what is set later."""
    later = []
    monkeypatch.setattr(loading.cv2, 'setNumThreads', later.append)
    monkeypatch.setattr(loading.cv2, 'getNumThreads', lambda: [count, *later][-1])
    return later
