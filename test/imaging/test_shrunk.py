"""A JPEG decoded shrunk is the whole picture made smaller, and never too small."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ssd_perception.core.detections import Detections
from ssd_perception.core.placement import Placement
from ssd_perception.imaging import compressed
from ssd_perception.imaging.compressed import decode, decode_shrunk


def scene(height: int, width: int) -> np.ndarray:
    """Return smooth colours, uint8 (H, W, 3) RGB, as a lens gives them."""
    rng = np.random.default_rng(height * width)
    small = rng.integers(0, 256, (max(2, height // 24), max(2, width // 24), 3), np.uint8)
    return cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC)


def blob(rgb: np.ndarray, extension: str = '.jpg') -> np.ndarray:
    return cv2.imencode(extension, rgb[..., ::-1].copy())[1].reshape(-1)


def seen(height, width):
    placement = Placement.of((height, width), (320, 320), 'letterbox')
    return placement.height, placement.width


@pytest.mark.parametrize('height, width, factor', [
    (480, 640, 1),  # twice what is seen: not far larger
    (720, 1280, 2), (1080, 1920, 4), (2160, 3840, 8),
    (1081, 1920, 1), (1080, 1922, 2)])  # what does not divide
def test_the_factor_of_usual_cameras(height, width, factor):
    data = blob(scene(height, width))
    rgb, found = decode_shrunk(data, seen)
    assert found == factor and rgb.shape == (height // factor, width // factor, 3)
    whole = decode(data)
    small = cv2.resize(whole, rgb.shape[1::-1], interpolation=cv2.INTER_AREA)
    assert np.abs(small.astype(int) - rgb).mean() < 1.5
    assert np.abs(small.astype(int) - rgb).max() < 24


def test_without_opencvs_own_rgb_the_pixels_are_the_same(monkeypatch):
    data = blob(scene(1080, 1920))
    expected = decode(data), decode_shrunk(data, seen)[0]
    monkeypatch.setattr(compressed, '_RGB', 0)  # OpenCV before 4.11
    for mine, theirs in zip((decode(data), decode_shrunk(data, seen)[0]), expected):
        np.testing.assert_array_equal(mine, theirs)


def test_png_and_grey_jpeg():
    rgb = scene(1080, 1920)
    assert decode_shrunk(blob(rgb, '.png'), seen)[1] == 1
    grey = cv2.imencode('.jpg', rgb[..., 0])[1].reshape(-1)
    found, factor = decode_shrunk(grey, seen)
    assert factor == 4 and found.shape == (270, 480, 3)


@settings(max_examples=60, deadline=None)
@given(st.integers(8, 400), st.integers(8, 400), st.integers(1, 200), st.integers(1, 200),
       st.sampled_from([1.0, 1.5, 2.0]))
def test_never_fewer_pixels_than_are_wanted(height, width, seen_height, seen_width, least):
    data = blob(np.zeros((height, width, 3), np.uint8))
    rgb, factor = decode_shrunk(data, lambda h, w: (seen_height, seen_width), least)
    assert (rgb.shape[0] * factor, rgb.shape[1] * factor) == (height, width)
    if factor > 1:
        assert rgb.shape[0] >= least * seen_height and rgb.shape[1] >= least * seen_width


@pytest.mark.parametrize('detections', [
    Detections.empty(), Detections([[1, 2, 3.5, 4], [0, 0, 9, 9]], [0.9, 0.5], [0, 1])])
def test_detections_scale_to_the_whole_picture(detections):
    scaled = detections.scaled(4)
    np.testing.assert_array_equal(scaled.xyxy, detections.xyxy * 4)
    np.testing.assert_array_equal(scaled.scores, detections.scores)
    np.testing.assert_array_equal(scaled.labels, detections.labels)
    assert detections.scaled(1) is detections
