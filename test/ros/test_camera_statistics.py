"""For how long images have come and none was answered, whatever pauses and clocks do."""

from __future__ import annotations

import pytest

pytest.importorskip('rclpy')
from worker_bench import Bench  # noqa: E402

from ssd_perception.ros.diagnostics import CameraStatistics  # noqa: E402


def test_a_clock_that_goes_back_again_and_again_hides_nothing():
    now = [100.0]
    statistics = CameraStatistics(lambda: now[0])
    for _ in range(10):
        statistics.received(now[0])
        now[0] += 0.9
        statistics.clock_jumped()
        now[0] += 3.0
        assert statistics.unanswered_s() == 0, 'no image came since then'
        now[0] -= 3.0
    statistics.received(now[0])
    assert statistics.unanswered_s() == pytest.approx(9.0)
    statistics.clock_jumped()
    assert statistics.unanswered_s() == pytest.approx(9.0), 'jumps are more frequent than reports'
    statistics.answered({}, '')
    statistics.received(now[0])
    assert statistics.unanswered_s() == 0


def test_pauses_again_and_again_hide_nothing_and_are_not_counted():
    now = [100.0]
    statistics = CameraStatistics(lambda: now[0])
    for _ in range(5):
        statistics.received(now[0])
        now[0] += 1.0
        statistics.pause()
        now[0] += 60.0
        statistics.received(now[0])
        statistics.ignored()
        statistics.resume()
    assert statistics.unanswered_s() == pytest.approx(5.0)
    statistics.answered({}, '')
    statistics.received(now[0])
    now[0] += 0.03  # in work
    statistics.pause()
    statistics.resume()
    assert statistics.unanswered_s() == 0


@pytest.mark.parametrize('restart', [('stop', 'start', 'enable'), ('stop', 'enable', 'start'),
                                     ('stop', 'start', 'stop', 'start', 'enable')])
def test_the_time_while_disabled_or_inactive_is_not_counted(restart):
    now, bench = [100.0], Bench('a')
    statistics = bench.cameras['a'].statistics = CameraStatistics(lambda: now[0])
    bench.worker.start()
    statistics.received(now[0])
    now[0] += 5.0
    bench.worker.enable(False)
    for step in restart:
        {'stop': lambda: bench.worker.stop(5.0), 'start': bench.worker.start,
         'enable': lambda: bench.worker.enable(True)}[step]()
        unanswered_s = statistics.unanswered_s()
        now[0] += 60.0
    bench.worker.stop(5.0)
    assert unanswered_s == pytest.approx(5.0)
