"""Depth images: units by encoding, what is no measurement, and the value inside a box."""

import numpy as np
import pytest

from ssd_perception.scene.depth import DepthError, depth_in_box, depth_in_metres


@pytest.mark.parametrize(('values', 'encoding', 'expected'), [
    (np.array([[0, 1500, 65535]], np.uint16), '16UC1', [[np.nan, 1.5, 65.535]]),
    (np.array([[0, 1.5, np.nan, np.inf, -np.inf, -2]], np.float32), '32FC1',
     [[np.nan, 1.5, np.nan, np.nan, np.nan, np.nan]])])
def test_the_encoding_says_the_unit_and_what_is_no_measurement(values, encoding, expected):
    np.testing.assert_allclose(depth_in_metres(values, encoding), expected, rtol=1e-6)


def test_another_encoding_is_refused():
    with pytest.raises(DepthError, match='"rgb8"'):
        depth_in_metres(np.zeros((2, 2), np.uint8), 'rgb8')


def test_the_median_ignores_holes_and_background():
    depth = np.full((100, 100), 5.0, np.float32)
    depth[20:80, 30:70] = 2.0
    depth[40:50, 40:50] = np.nan
    depth[25:30, :] = 5.0
    value, spread = depth_in_box(depth, np.array([30.0, 20.0, 70.0, 80.0]))
    assert value == 2.0 and spread < 0.01


@pytest.mark.parametrize('box', [
    (10.0, 10.0, 60.0, 60.0), (10.0, 10.0, 12.0, 12.0), (90.0, 90.0, 140.0, 160.0)])
def test_without_enough_measurements_there_is_none(box):
    depth = np.full((100, 100), np.nan, np.float32)
    depth[10:14, 10:60] = 1.0
    assert depth_in_box(depth, np.array(box)) is None
