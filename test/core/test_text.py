"""Text from outside, before it goes into a log, a terminal, diagnostics or an answer."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ssd_perception.core.errors import DataError, SettingError, UserError
from ssd_perception.core.text import one_line, printable, quoted

ESCAPES = 'a\x1b[31m\r\udcff\nb'


@pytest.mark.parametrize('text, washed', [
    ('', ''), ('rgb8', 'rgb8'), ('Kegel über ß 锥', 'Kegel über ß 锥'),
    ('a\nERROR: b', 'a\\nERROR: b'), ('\x1b[31mred', '\\x1b[31mred'),
    ('\udcff.jpg', '\\udcff.jpg'), ('\u202egpj.exe', '\\u202egpj.exe'), (7, '7')])
def test_what_is_not_printable_becomes_an_escape(text, washed):
    assert printable(text) == washed


@given(st.text(st.characters(), max_size=400), st.integers(10, 300))
def test_it_is_printable_bounded_and_utf8(text, length):
    washed = printable(text, length)
    assert washed.isprintable() and len(washed) <= length
    washed.encode()


@pytest.mark.parametrize('error, line', [
    ('', ''), (ValueError(), 'ValueError'), ('a\n b', 'a b'), (ValueError('a\tb'), 'a b')])
def test_an_error_without_a_message_gives_its_kind(error, line):
    assert one_line(error) == line


def test_an_error_for_the_user_is_printable_wherever_it_is_shown():
    for kind in (UserError, DataError, SettingError):
        assert f'{kind(ESCAPES)}' == 'a\\x1b[31m\\r\\udcff\nb' and kind(ESCAPES).args == (ESCAPES,)


def test_ten_megabytes_are_not_looked_at():
    assert printable('\n' * 10_000_000, 20) == '\\n' * 8 + '\\...'
    assert len(quoted('x' * 10_000_000)) <= 200 and len(quoted(['y' * 10_000_000] * 1000)) <= 200


def test_a_short_list_is_quoted_whole():
    names = ['a class with a name of forty characters!', 'cube']
    assert quoted(names) == repr(names)


def test_no_value_is_walked_to_its_end():
    deep: list = []
    for _ in range(5000):
        deep = [deep]
    assert quoted(deep) == '[[[[[...]]]]]'
    assert len(quoted(10 ** 5000)) <= 80  # the words are Python's from 3.14 on
    assert len(quoted({str(i): ['x' * 1000] * 1000 for i in range(10 ** 4)})) <= 200
