"""Turns are fair, figures are what was timed, and the page says what the JSON does."""

from __future__ import annotations

import numpy as np
import pytest

from ssd_perception.benchmark.entries import Entry
from ssd_perception.benchmark.figures import entry, percentiles, ratios
from ssd_perception.benchmark.images import load_pictures
from ssd_perception.benchmark.rounds import Times, ratio, run_rounds

PICTURES = [np.zeros((2, 2, 3), np.uint8), np.ones((2, 2, 3), np.uint8)]


def contestant(name, log, kind='own', **fields):
    def call(picture):
        log.append((name, int(picture[0, 0, 0])))
        return {'network': 1.0, 'call': float(len(log))}
    return Entry(name, kind, call, **fields)


def test_everybody_has_a_turn_on_the_same_picture_in_every_round():
    log, turns = [], []
    both = [contestant('a', log), contestant('b', log)]
    times = run_rounds(both, PICTURES, 6, 2, turns.append)
    rounds = [log[i:i + 6] for i in range(0, len(log), 6)]  # two of 1 untimed and 2 timed calls
    assert [sorted(one) for one in rounds] == [
        sorted([('a', n % 2)] * 3 + [('b', n % 2)] * 3) for n in range(6)]
    assert len({tuple(one[::3]) for one in rounds}) > 2, 'the order never changed'
    assert len(turns) == 12
    for one in times:
        assert len(one.stages['call']) == 12 and sorted(one.rounds) == list(range(6))


def test_the_first_call_of_a_turn_is_not_timed():
    log = []
    times, = run_rounds([contestant('a', log)], PICTURES, 1, 2)
    assert times.stages['call'] == [2.0, 3.0]


def test_the_slow_rest_while_others_go_on():
    log = []
    times = run_rounds([contestant('slow', log, every=3), contestant('fast', log)], PICTURES, 7, 1)
    assert sorted(times[0].rounds) == [0, 3, 6] and len(times[1].rounds) == 7


@pytest.mark.parametrize('finished', [0, 2])
def test_ctrl_c_leaves_what_was_timed_once_everybody_had_a_turn(finished):
    turns, log = [], []

    def stop(name):
        turns.append(name)
        if len(turns) > 2 * finished:
            raise KeyboardInterrupt
    both = [contestant('a', log), contestant('b', log)]
    if not finished:
        with pytest.raises(KeyboardInterrupt):
            run_rounds(both, PICTURES, 9, 1, stop)
    else:
        times = run_rounds(both, PICTURES, 9, 1, stop)
        assert min(len(one.rounds) for one in times) == finished


def test_a_ratio_compares_within_rounds():
    # The machine is ten times slower in round 1; only what both did in a round counts.
    assert ratio({0: 1.0, 1: 10.0, 2: 1.2}, {0: 2.0, 1: 20.0, 3: 500.0}) == 0.5


def about(weights, runtime, precision):
    return {'weights': weights, 'runtime': runtime, 'precision': precision}


def test_ratios_compare_what_can_be_compared():
    def make(name, kind, ms, network_ms=None, **facts):
        return (Entry(name, kind, None, facts),
                Times({'call': [ms], 'network': [network_ms]}, {0: ms},
                      {0: network_ms} if network_ms else {}))
    found = ratios(*zip(
        make('fp32', 'own', 20.0, 18.0, **about('rover', 'openvino', 'fp32')),
        make('int8', 'own', 10.0, 8.0, **about('rover', 'openvino', 'int8')),
        make('other', 'own', 50.0, 48.0, **about('b1', 'openvino', 'fp32')),
        make('ssd', 'peer', 100.0, **about('', 'torch', 'fp32')),
        make('yolo', 'network', 36.0, 36.0, **about('', 'openvino', 'fp32')),
        make('product', 'peak', 1.0)))
    rows = {(row['of'], row['to']): (row['what'], row['ratio']) for row in found}
    assert rows == {
        ('fp32', 'ssd'): ('call', 0.2), ('fp32', 'yolo'): ('network', 0.5),
        ('int8', 'fp32'): ('call', 0.5), ('int8', 'ssd'): ('call', 0.1),
        ('other', 'ssd'): ('call', 0.5), ('other', 'yolo'): ('network', 1.333)}
    assert [row['of_fastest'] for row in found] == [row['ratio'] for row in found]


def test_figures_of_an_entry():
    found = entry(Entry('a', 'own', None, {'gflop': 2.0}),
                  Times({'network': [10.0, 20.0, 30.0], 'call': [20.0, 40.0, 60.0]},
                        batch=[100.0]))
    assert found['ms']['call']['p50'] == 40 and found['images_per_s'] == {'1': 25.0, '8': 80.0}
    assert found['gflop_per_s'] == 100.0  # of the network's 20 ms
    assert percentiles([1.0, 2.0, 3.0, 4.0, 100.0])['p50'] == 3.0


def test_pictures(tmp_path):
    assert {picture.shape for picture in load_pictures(None)} == {(480, 640, 3)}
    with pytest.raises(FileNotFoundError, match='has no .jpg'):
        load_pictures(tmp_path)
