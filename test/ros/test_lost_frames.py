"""Frames that get lost on the way are noticed, said with the remedy, and avoided."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

pytest.importorskip('rclpy')
pytest.importorskip('vision_msgs')
from diagnostic_msgs.msg import DiagnosticArray  # noqa: E402
from ros_environment import ROOT  # noqa: E402

from ssd_perception.ros import lost_frames  # noqa: E402
from ssd_perception.ros.dds import PROFILE_VARIABLES  # noqa: E402
from ssd_perception.ros.lost_frames import LossWatch, missing  # noqa: E402
from ssd_perception.ros.missing_images import losses  # noqa: E402

MS = 10 ** 6


def stamps(kept, period_ms=100.0, jitter_ms=0.0):
    """Return the stamps in ns of the frames whose numbers are ``kept``."""
    rng = np.random.default_rng(1)
    return [round((1000 + n * period_ms + rng.uniform(-1, 1) * jitter_ms) * MS) for n in kept]


def random_numbers(count, share):
    rng = np.random.default_rng(2)
    return [n for n in range(count) if rng.random() < share]


@pytest.mark.parametrize('kept, jitter_ms, share', [
    ([], 0, 0), ([3], 0, 0), ([3, 4], 0, 0),
    (range(20), 0, 0), (range(20), 5, 0),
    ([0, 1, 3, 4, 6, 7, 9, 10], 0, 3 / 11), ([0, 1, 3, 4, 6, 7, 9, 10], 4, 3 / 11),
    # 89 of 195, and 32 of 200: what a first-time user saw
    (random_numbers(195, 89 / 195), 3, 0.55), (random_numbers(200, 0.16), 3, 0.84)])
def test_the_period_of_the_stamps_shows_what_is_missing(kept, jitter_ms, share):
    assert missing(stamps(kept, jitter_ms=jitter_ms)) == pytest.approx(share, abs=0.03)


@pytest.mark.parametrize('at', [
    [1, 1, 1, 1, 1], [5, 4, 3, 2, 1], [1, 2, 3, 1, 2, 3],  # no clock, or one that jumps
    [0, 10, 33, 41, 90, 93, 120, 155, 160, 210, 222]])  # triggered whenever something moves
def test_without_a_steady_rate_nothing_is_known_to_be_missing(at):
    assert missing([value * 10 * MS for value in at]) == 0


def test_a_camera_that_goes_to_half_its_rate_in_the_dark_loses_nothing():
    watch = LossWatch(0.0)
    numbers = [*range(90), *range(90, 210, 2)]
    for number, stamp in zip(numbers, stamps(numbers, period_ms=33.3)):
        watch.arrived(stamp)
        watch.check(number / 30)
        assert watch.share == 0


@pytest.mark.parametrize('counted', [True, False])
def test_losses_are_said_when_they_last_and_until_they_are_over(counted):
    watch, seen = LossWatch(0.0), []
    watch.counted = counted
    for number in range(400):  # 10 Hz; frames 100 to 199 lose two of three
        if not 100 <= number < 200 or number % 3 == 0 or number % 9 == 1:
            watch.arrived(round(number * 1e8))
        elif counted:
            watch.lost(1)
        watch.check(number / 10)
        seen.append(watch.share)
    assert not any(seen[:100])
    assert all(0.4 < share < 0.75 for share in seen[160:200])
    assert not any(seen[280:])


def test_a_middleware_that_counts_is_believed_more_than_stamps():
    watch = LossWatch(0.0)
    watch.counted = True
    for number in stamps(random_numbers(200, 0.5)):
        watch.arrived(number)
    watch.check(20.0)
    watch.check(40.0)
    assert watch.share == 0, 'the driver leaves frames out; none is lost on the way'


@pytest.mark.parametrize('rmw', ['rmw_fastrtps_cpp', 'rmw_cyclonedds_cpp', 'rmw_zenoh_cpp'])
def test_the_count_of_fast_dds_alone_is_complete(monkeypatch, rmw):
    monkeypatch.setattr(lost_frames, 'middleware', lambda: rmw)
    node = SimpleNamespace(create_subscription=lambda *_, **options: options)
    watch = LossWatch(0.0)
    options = lost_frames.subscribe(node, watch, DiagnosticArray, '/image', print)
    assert options['event_callbacks'].message_lost and watch.counted == (rmw == 'rmw_fastrtps_cpp')


def test_the_remedy_depends_on_the_size():
    large, small = losses('/i', 0.54, 900_000, True), losses('/i', 0.54, 35_000, False)
    assert large.startswith('54% of the frames on /i are lost on the way: start the PUBLISHER')
    assert Path(large.partition('FILE=')[2].partition(' (')[0]).is_file()
    assert 'start the PUBLISHER' in losses('/i', 1.0, 0, True), 'none is small enough to arrive'
    assert 'or never sent' in small and 'qos_overrides./i.subscription.reliability' in small


@pytest.fixture
def camera():
    """Start a camera without the profile for large images, as users do."""
    environment = {name: value for name, value in os.environ.items()
                   if name not in PROFILE_VARIABLES}
    started = []

    def start(topic, kinds):
        started.append(subprocess.Popen(
            [sys.executable, str(ROOT / 'test' / 'ros' / 'lossy_camera.py'), topic, kinds],
            env={**environment, 'PYTHONPATH': os.pathsep.join([str(ROOT), *sys.path])}))
    yield start
    for process in started:
        process.kill()
        process.wait()


def test_frames_lost_over_dds_are_in_log_and_diagnostics_with_the_remedy(peer, node_process,
                                                                         weights, camera):
    node = node_process('-p', f'weights:={weights}')
    statuses = peer.listen(DiagnosticArray, '/diagnostics')
    camera('/image', 'raw')
    node.wait_for('% of the frames on /image are lost on the way: start the PUBLISHER with FAST')
    assert peer.until(lambda: any('are lost on the way' in s.message and s.level == b'\x01'
                                  for m in statuses for s in m.status), 10)
    assert node.log.count('are lost on the way') == 1, 'once, not every second'


def test_auto_takes_compressed_images_where_raw_ones_get_lost(peer, node_process, weights, camera):
    node = node_process('-p', f'weights:={weights}')
    detections = peer.listen_to_detections()
    statuses = peer.listen(DiagnosticArray, '/diagnostics')
    camera('/image', 'raw compressed')
    node.wait_for('Meanwhile /image/compressed is used.')
    detections.clear()
    assert peer.until(lambda: len(detections) > 20, 10)
    statuses.clear()
    assert peer.until(lambda: any(v.value == '/image/compressed' for m in statuses
                                  for v in m.status[1].values), 10)
    statuses.clear()
    peer.spin(1.5)
    assert all(s.level == b'\x00' for m in statuses for s in m.status), 'it stays there'
