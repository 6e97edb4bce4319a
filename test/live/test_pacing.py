"""Messages are prepared while there is time, and never at the cost of one that is due."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from ssd_perception.live import pacing
from ssd_perception.live.pacing import AHEAD, Pace, early


@pytest.fixture
def clock(monkeypatch):
    """A clock that only the test moves."""
    clock = SimpleNamespace(now=100.0)
    monkeypatch.setattr(pacing, 'time', SimpleNamespace(monotonic=lambda: clock.now))
    return clock


def records(*seconds):
    return [SimpleNamespace(stamp_ns=round(s * 1e9)) for s in seconds]


def test_due_times_follow_the_rate(clock):
    pace = Pace(2.0)
    assert [pace.due(r.stamp_ns) for r in records(5, 6, 9)] == [100, 100.5, 102]
    clock.now = 101.5
    assert pace.seconds() == 1.5


@pytest.mark.parametrize('stamps', [(), (1,), (1, 1, 1), tuple(range(30))])
def test_everything_comes_out_in_order(clock, stamps):
    pairs = [(r, i) for i, r in enumerate(records(*stamps))]
    pace = Pace(1.0)
    seen = []
    for record, number in early(iter(pairs), pace):
        pace.due(record.stamp_ns)
        seen.append(number)
    assert seen == list(range(len(stamps)))


def test_prepares_while_there_is_time_only(clock):
    prepared = []

    def source():
        for record in records(0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5):
            prepared.append(record)
            yield record, None

    pace = Pace(1.0)
    messages = early(source(), pace)
    pace.due(next(messages)[0].stamp_ns)
    assert len(prepared) == AHEAD
    next(messages)  # due now: nothing is prepared before it goes
    assert len(prepared) == AHEAD
    next(messages)  # a second away
    assert len(prepared) == AHEAD + 2
    clock.now = 200.0  # late: go on at once
    next(messages)
    assert len(prepared) == AHEAD + 2
