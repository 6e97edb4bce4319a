"""Lines over time show what is there, and nothing where nothing is."""

import re

import pytest

pytest.importorskip('matplotlib')
from ssd_perception.viz.plot_style import BLUE  # noqa: E402
from ssd_perception.viz.timeline import over_time  # noqa: E402


@pytest.mark.parametrize('values, dots, strokes', [
    ([], 0, 0), ([None, None], 0, 0), ([1], 1, 0), ([1, 2, 3], 0, 2), ([0, 0], 0, 1),
    ([1, None, 2, None, 3, 4], 2, 1), ([None, 5.5, None], 1, 0)])
def test_gaps_stay_gaps_and_a_value_between_two_is_a_dot(values, dots, strokes):
    drawn = over_time([i / 10 for i in range(len(values))], {'age': values}, 'ms', 'Age')
    assert drawn.startswith('<svg role="img" aria-label="Age"')
    assert len(re.findall(rf'<use [^>]*fill: {BLUE}', drawn)) == dots
    line = re.search(rf'<path d="([^"]*)"[^>]*fill: none; stroke: {BLUE}', drawn)
    assert (line[1].count('L ') if line else 0) == strokes
