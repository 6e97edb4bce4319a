"""Stamps become nanoseconds and back, without loss and for every value a message can carry."""

from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ssd_perception.core.interface import ns_to_stamp, stamp_to_ns


@pytest.mark.parametrize('sec, nanosec, ns', [
    (0, 0, 0), (1, 5, 1_000_000_005), (-1, 999_999_999, -1), (-2147483648, 0, -2147483648 * 10**9),
    (2147483647, 4294967295, 2147483647 * 10**9 + 4294967295)])
def test_a_stamp_is_nanoseconds(sec, nanosec, ns):
    assert stamp_to_ns(SimpleNamespace(sec=sec, nanosec=nanosec)) == ns


@given(st.integers(-2**31, 2**31 - 1), st.integers(0, 10**9 - 1))
def test_nanoseconds_become_the_same_stamp_again(sec, nanosec):
    assert ns_to_stamp(stamp_to_ns(SimpleNamespace(sec=sec, nanosec=nanosec))) == (sec, nanosec)
