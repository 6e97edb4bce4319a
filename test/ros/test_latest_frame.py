"""The slots hand out the newest frame only, count what it replaced, and never block for good."""

from __future__ import annotations

import threading
import time

from ssd_perception.ros import latest_frame
from ssd_perception.ros.latest_frame import Counts, LatestFrames


def test_nothing_put_nothing_counted():
    frames = LatestFrames(['a'])
    assert frames.counts('a') == Counts(0, 0)
    frames.close()
    assert frames.take() == {}


def test_a_newer_frame_replaces_an_older_one_and_is_counted():
    frames = LatestFrames(['a'])
    for number in range(5):
        frames.put('a', number)
    assert frames.take() == {'a': 4}
    assert frames.counts('a') == Counts(received=5, replaced=4)
    frames.put('a', 5)
    assert frames.take() == {'a': 5}
    assert frames.counts('a') == Counts(received=6, replaced=4)


def test_cameras_do_not_replace_each_other():
    frames = LatestFrames(['a', 'b', 'c'])
    for camera in 'abba':
        frames.put(camera, camera)
    taken = frames.take()
    assert list(taken) == ['a', 'b'], 'first the one that waits longest'
    assert frames.counts('c') == Counts(0, 0)


def test_take_waits_for_a_frame_and_for_its_time():
    frames = LatestFrames(['a'])
    threading.Timer(0.05, frames.put, ('a', 1)).start()
    start = time.monotonic()
    assert frames.take(lambda camera: start + 0.2) == {'a': 1}
    assert time.monotonic() - start >= 0.2


def test_a_wait_ends_when_what_it_waits_for_changes(monkeypatch):
    monkeypatch.setattr(latest_frame, 'LONGEST_WAIT_S', 1000.0)
    frames, not_before = LatestFrames(['a']), [time.monotonic() + 1000]
    frames.put('a', 1)

    def change():
        not_before[0] = 0.0
        frames.wake()
    threading.Timer(0.05, change).start()
    assert frames.take(lambda camera: not_before[0]) == {'a': 1}


def test_a_wait_longer_than_the_system_can_wait_is_no_error():
    frames = LatestFrames(['a'])
    frames.put('a', 1)
    threading.Timer(0.1, frames.close).start()
    assert frames.take(lambda camera: 1e300) == {}


def test_close_wakes_a_waiting_worker_and_open_forgets():
    frames = LatestFrames(['a'])
    threading.Timer(0.05, frames.close).start()
    assert frames.take() == {}
    frames.put('a', 'late')
    frames.open()
    threading.Timer(0.05, frames.put, ('a', 'new')).start()
    assert frames.take() == {'a': 'new'}


def test_no_frame_is_lost_or_doubled_between_threads():
    frames = LatestFrames(['a'])
    taken = []

    def work():
        while batch := frames.take():
            taken.extend(batch.values())

    worker = threading.Thread(target=work)
    worker.start()
    for number in range(5000):
        frames.put('a', number)
    while frames.counts('a').replaced + len(taken) < 5000:
        time.sleep(0.001)
    frames.close()
    worker.join(5)
    assert taken == sorted(set(taken)) and taken[-1] == 4999
