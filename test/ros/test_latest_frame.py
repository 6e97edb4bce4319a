"""The slots hand out the newest frame only, count what it replaced, and never block for good."""

from __future__ import annotations

import threading
import time

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
    assert list(taken) == ['b', 'a'], 'served in the order of arrival'
    assert frames.counts('c') == Counts(0, 0)


def test_take_waits_for_a_frame_and_for_its_time():
    frames = LatestFrames(['a'])
    threading.Timer(0.05, frames.put, ('a', 1)).start()
    start = time.monotonic()
    assert frames.take(lambda camera: start + 0.2) == {'a': 1}
    assert 0.2 <= time.monotonic() - start < 2


def test_a_wait_ends_when_what_it_waits_for_changes():
    frames, not_before = LatestFrames(['a']), [time.monotonic() + 1000]
    frames.put('a', 1)

    def change():
        not_before[0] = 0.0
        frames.wake()
    start = time.monotonic()
    threading.Timer(0.05, change).start()
    assert frames.take(lambda camera: not_before[0]) == {'a': 1}
    assert time.monotonic() - start < 0.9, 'woken, not by the longest wait'


def test_a_wait_longer_than_the_system_can_wait_is_no_error():
    frames = LatestFrames(['a'])
    frames.put('a', 1)
    threading.Timer(0.1, frames.close).start()
    assert frames.take(lambda camera: 1e300) == {}


def test_the_camera_served_longest_ago_comes_first_and_one_in_work_waits():
    frames, one = LatestFrames('abc'), lambda: 1
    order = []
    for _ in range(6):
        for camera in 'abc':  # all of them faster than they are served
            frames.put(camera, camera)
        order += frames.take(most=one, taker=2)
    assert order == list('abcabc')
    frames.put('c', 'newer')
    assert frames.take(most=one, taker=1) == {'a': 'a'}
    frames.put('a', 'newest')
    assert frames.take(most=one, taker=2) == {'b': 'b'}
    # Not a, whose last frame is in work: its answers would change places.
    assert frames.take(taker=2) == {'c': 'newer'}
    threading.Timer(0.05, frames.release, (1,)).start()
    assert frames.take(most=one, taker=2) == {'a': 'newest'}, 'its taker does not come back'
    assert frames.take(most=lambda: 0) == {}


def test_close_wakes_a_waiting_worker_and_open_forgets():
    frames = LatestFrames(['a'])
    threading.Timer(0.05, frames.close).start()
    assert frames.take() == {}
    frames.put('a', 'late')
    frames.open()
    threading.Timer(0.05, frames.put, ('a', 'new')).start()
    assert frames.take() == {'a': 'new'}


def test_no_frame_is_lost_doubled_or_overtaken_between_threads():
    frames, names = LatestFrames('abc'), 'abc'
    taken = {name: [] for name in names}

    def work(taker):
        while batch := frames.take(most=lambda: 1, taker=taker):
            for name, number in batch.items():
                taken[name].append(number)

    workers = [threading.Thread(target=work, args=(taker,)) for taker in range(2)]
    for worker in workers:
        worker.start()
    for number in range(2000):
        for name in names:
            frames.put(name, number)
    for name in names:
        while frames.counts(name).replaced + len(taken[name]) < 2000:
            time.sleep(0.001)
    frames.close()
    for worker in workers:
        worker.join(5)
        assert not worker.is_alive()
    for numbers in taken.values():
        assert numbers == sorted(set(numbers)) and numbers[-1] == 1999
