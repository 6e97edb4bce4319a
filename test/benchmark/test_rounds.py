"""Every entry is timed alike in every round, and figures are made of those times."""

from __future__ import annotations

import numpy as np
import pytest

from ssd_perception.benchmark.entries import Entry
from ssd_perception.benchmark.figures import percentiles, ratios, row_of
from ssd_perception.benchmark.images import load_images
from ssd_perception.benchmark.results import Facts
from ssd_perception.benchmark.rounds import Times, ratio, run_rounds
from ssd_perception.core.errors import SettingError

IMAGES = [np.zeros((2, 2, 3), np.uint8), np.ones((2, 2, 3), np.uint8)]


def entry(name, log, kind='own', **fields):
    def call(image):
        log.append((name, int(image[0, 0, 0])))
        return {'network': 1.0, 'call': float(len(log))}
    return Entry(name, kind, call, Facts('torch', 'fp32'), **fields)


def test_every_entry_gets_the_same_image_in_every_round():
    log, timed = [], []
    both = [entry('a', log), entry('b', log)]
    times = run_rounds(both, IMAGES, 6, 2, timed.append)
    rounds = [log[i:i + 6] for i in range(0, len(log), 6)]  # two of 1 untimed and 2 timed calls
    assert [sorted(one) for one in rounds] == [
        sorted([('a', n % 2)] * 3 + [('b', n % 2)] * 3) for n in range(6)]
    assert len({tuple(one[::3]) for one in rounds}) > 2, 'the order never changed'
    assert len(timed) == 12
    for one in times:
        assert len(one.stages['call']) == 12 and sorted(one.rounds) == list(range(6))


def test_the_first_call_in_a_round_is_not_timed():
    log = []
    times, = run_rounds([entry('a', log)], IMAGES, 1, 2)
    assert times.stages['call'] == [2.0, 3.0]


def test_slow_entries_take_part_in_some_rounds():
    log = []
    times = run_rounds([entry('slow', log, every=3), entry('fast', log)], IMAGES, 7, 1)
    assert sorted(times[0].rounds) == [0, 3, 6] and len(times[1].rounds) == 7


@pytest.mark.parametrize('finished', [0, 2])
def test_ctrl_c_returns_the_times_when_every_entry_has_run_once(finished):
    timed, log = [], []

    def stop(name):
        timed.append(name)
        if len(timed) > 2 * finished:
            raise KeyboardInterrupt
    both = [entry('a', log), entry('b', log)]
    if not finished:
        with pytest.raises(KeyboardInterrupt):
            run_rounds(both, IMAGES, 9, 1, stop)
    else:
        times = run_rounds(both, IMAGES, 9, 1, stop)
        assert min(len(one.rounds) for one in times) == finished


def test_a_ratio_compares_within_rounds():
    # The machine is ten times slower in round 1; only what both did in a round counts.
    assert ratio({0: 1.0, 1: 10.0, 2: 1.2}, {0: 2.0, 1: 20.0, 3: 500.0}) == 0.5


def test_ratios_compare_what_can_be_compared():
    def make(name, kind, ms, network_ms, facts):
        return (Entry(name, kind, None, facts),
                Times({'call': [ms], 'network': [network_ms]}, {0: ms},
                      {0: network_ms} if network_ms else {}))
    found = ratios(*zip(
        make('fp32', 'own', 20.0, 18.0, Facts('openvino', 'fp32', weights='rover')),
        make('int8', 'own', 10.0, 8.0, Facts('openvino', 'int8', weights='rover')),
        make('other', 'own', 50.0, 48.0, Facts('openvino', 'fp32', weights='b1')),
        make('ssd', 'baseline', 100.0, None, Facts('torch', 'fp32')),
        make('yolo', 'network', 36.0, 36.0, Facts('openvino', 'fp32')),
        make('product', 'peak', 1.0, None, Facts('torch', 'fp32'))))
    rows = {(row.of, row.to): (row.what, row.ratio) for row in found}
    assert rows == {
        ('fp32', 'ssd'): ('call', 0.2), ('fp32', 'yolo'): ('network', 0.5),
        ('int8', 'fp32'): ('call', 0.5), ('int8', 'ssd'): ('call', 0.1),
        ('other', 'ssd'): ('call', 0.5), ('other', 'yolo'): ('network', 1.333)}
    assert [row.of_fastest for row in found] == [row.ratio for row in found]


def test_figures_of_an_entry():
    found = row_of(Entry('a', 'own', None, Facts('torch', 'fp32', gflop=2.0)),
                   Times({'network': [10.0, 20.0, 30.0], 'call': [20.0, 40.0, 60.0]},
                         batch=[100.0]))
    assert found.ms['call'].p50 == 40
    assert found.images_per_s == 25.0 and found.images_per_s_batch == 80.0
    assert found.gflop_per_s == 100.0  # of the network's 20 ms
    assert percentiles([1.0, 2.0, 3.0, 4.0, 100.0]).p50 == 3.0


def test_images(tmp_path):
    assert {image.shape for image in load_images(None)} == {(480, 640, 3)}
    with pytest.raises(SettingError, match='has no .jpg'):
        load_images(tmp_path)
