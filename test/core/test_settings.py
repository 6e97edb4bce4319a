"""A setting is declared once: checks, sentences and the command line follow from the field."""

from __future__ import annotations

import argparse
from dataclasses import dataclass, fields

import pytest

from ssd_perception.core.errors import SettingError
from ssd_perception.core.settings import add_arguments, check, expected, from_arguments, setting


@dataclass(frozen=True)
class Options:
    name: str = setting('rover', 'which one')
    kind: str = setting('auto', 'of what kind', choices=('auto', 'fast'))
    count: int = setting(3, 'how many', limits=(1, 9))
    rate_hz: float = setting(0.0, 'how often', limits=(0.1, 1000.0), also=(0.0,))
    share: float | None = setting(None, 'how much', limits=(0.0, 1.0))
    sides: tuple[float, ...] = setting((), 'of what size', limits=(0.25, 4.0))
    loud: bool = setting(False, 'whether to be heard')

    def __post_init__(self):
        check(self, 'part.')


@pytest.mark.parametrize('values, says', [
    ({'kind': 'slow'}, '"part.kind" must be one of auto, fast, got \'slow\'.'),
    ({'count': 0}, '"part.count" must be a whole number from 1 to 9, got 0.'),
    ({'rate_hz': 1e-300}, '"part.rate_hz" must be 0.0 or a number from 0.1 to 1000.0, got 1e-300'),
    ({'rate_hz': float('nan')}, 'got nan'), ({'rate_hz': -1.0}, 'got -1.0'),
    ({'share': 1.1}, '"part.share" must be a number from 0.0 to 1.0, got 1.1.'),
    ({'sides': (1.0, 5.0)}, '"part.sides" must be a list of numbers from 0.25 to 4.0, got [1'),
])
def test_what_is_out_of_range_is_one_sentence(values, says):
    with pytest.raises(SettingError) as caught:
        Options(**values)
    assert says in str(caught.value)


def test_what_is_in_range_is_taken():
    for values in ({}, {'rate_hz': 0.1}, {'rate_hz': 0.0}, {'share': 0.0}, {'sides': (0.25, 4.0)}):
        Options(**values)


def test_the_command_line_follows(capsys):
    parser = argparse.ArgumentParser()
    add_arguments(parser, Options, 'name', 'kind', 'count', 'rate_hz', 'share', 'loud')
    assert from_arguments(Options, parser.parse_args([])) == Options()
    words = '--name b1 --kind fast --count 9 --rate-hz 0.5 --share 1 --loud'
    assert from_arguments(Options, parser.parse_args(words.split())) == Options(
        'b1', 'fast', 9, 0.5, 1.0, (), True)
    with pytest.raises(SettingError, match='from 1 to 9'):
        from_arguments(Options, parser.parse_args(['--count', '10']))
    parser.print_help()
    shown = capsys.readouterr().out
    assert 'how many (default: 3)' in ' '.join(shown.split()) and '{auto,fast}' in shown


def test_a_field_says_what_it_takes():
    words = {spec.name: expected(Options, spec, 'a number with a point')
             for spec in fields(Options)}
    assert words['rate_hz'] == '0.0 or a number with a point from 0.1 to 1000.0'
    assert words['loud'] == 'true or false' and words['name'] == 'a string'
