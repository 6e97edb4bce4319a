"""Cameras are answered at once by a detector that runs several calls; no DDS needed."""

from __future__ import annotations

import threading
import time

import pytest

pytest.importorskip('vision_msgs')
from worker_bench import Bench, FakeDetector  # noqa: E402

from ssd_perception.core.detections import Detections  # noqa: E402
from ssd_perception.inference.detector import DetectionResult, Timings  # noqa: E402


class Several(FakeDetector):
    """Runs two calls at once; each waits until the other has begun."""

    concurrency = 2

    def __init__(self):
        super().__init__()
        self.both, self.most, self.now = threading.Barrier(2), 0, 0

    def detect(self, images, settings):
        self.now += 1
        self.most = max(self.most, self.now)
        if not self.both.broken:
            self.both.wait(5)
        time.sleep(0.005)
        self.now -= 1
        return super().detect(images, settings)


def test_cameras_are_answered_at_once_each_in_its_order_and_in_equal_parts():
    order = []
    bench = Bench('front', 'rear', 'left', stages=[
        lambda frame, found: order.append((frame.camera, frame.frame_id)) or found])
    detector = Several()
    bench.slot.use(detector)
    bench.worker.start()
    bench.put('front', 0)
    bench.put('rear', 0)
    bench.until(lambda: len(order) == 2)
    detector.both.abort()
    for number in range(1, 60):
        for name in bench.cameras:
            bench.put(name, number)
        time.sleep(0.002)
    bench.until(lambda: all(camera.answers[-1:] == ['camera_59']
                            for camera in bench.cameras.values()))
    bench.worker.stop(5)
    assert detector.most == 2 and set(detector.batches) == {1} and not bench.log
    for name, camera in bench.cameras.items():
        numbers = [int(frame_id.partition('_')[2]) for frame_id in camera.answers]
        assert numbers == sorted(set(numbers))
        assert [frame_id for one, frame_id in order if one == name] == camera.answers
    counts = [len(camera.answers) for camera in bench.cameras.values()]
    assert min(counts) >= 0.8 * max(counts)


def test_threads_follow_a_detector_that_runs_another_number_of_calls():
    bench = Bench('front', 'rear')
    bench.worker.start()
    detector = Several()
    detector.both.abort()
    for other, threads in ((detector, 2), (FakeDetector(), 1), (detector, 2)):
        bench.slot.use(other)
        bench.until(lambda n=threads: bench.worker.keep_alive() or n == sum(
            lane.thread.is_alive() for lane in bench.worker._lanes))
        bench.put('front', threads)
        bench.put('rear', threads)
        bench.until(lambda n=threads: all(camera.answers[-1:] == [f'camera_{n}']
                                          for camera in bench.cameras.values()))
    bench.worker.stop(5)
    assert not bench.log


def test_an_answer_of_a_detector_replaced_meanwhile_is_not_published():
    bench = Bench('front', 'rear', stages=[lambda frame, found: found])
    slow, begun, go_on = Several(), threading.Event(), threading.Event()
    slow.detect = lambda images, settings: begun.set() or go_on.wait(5) and DetectionResult(
        [Detections.empty()], Timings())
    bench.slot.use(slow)
    bench.worker.start()
    bench.put('front', 1)
    assert begun.wait(5)
    fast = Several()
    fast.both.abort()
    bench.slot.use(fast)
    bench.put('rear', 1)
    bench.until(lambda: bench.cameras['rear'].answers == ['camera_1'])
    go_on.set()
    bench.put('front', 2)
    bench.until(lambda: bench.cameras['front'].answers == ['camera_2'])
    bench.worker.stop(5)
    assert 'while the frame was in work' in bench.cameras['front'].statistics.report(
        bench.frames.counts('front'))[0] + str(bench.cameras['front'].statistics.report(
            bench.frames.counts('front'))[1])
