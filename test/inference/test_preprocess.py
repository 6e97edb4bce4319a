"""Resizing by halves is area averaging, and the picture lies where its Placement says."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from ssd_perception.core.metadata import Preprocessing
from ssd_perception.inference.preprocess import place, resize


def noise(height: int, width: int) -> np.ndarray:
    return np.random.default_rng(height + width).integers(0, 256, (height, width, 3), np.uint8)


@pytest.mark.parametrize('height, width', [
    (480, 640), (720, 1280), (1080, 1920), (2160, 3840), (960, 1280), (240, 320), (481, 640),
    (600, 800), (180, 320), (1, 1), (1081, 1921)])
def test_resized_pixels_are_those_of_one_average(height, width):
    image = noise(height, width)
    canvas = np.empty((320, 320, 3), np.uint8)
    placed = place(image, canvas, Preprocessing())
    shrinks = placed.width <= width and placed.height <= height
    slowly = cv2.resize(image.astype(np.float64), (placed.width, placed.height),
                        interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)
    found = canvas[:placed.height, :placed.width]
    # Each halving rounds by up to a half; a 4K frame is halved twice before the last step.
    assert np.abs(found - slowly).max() <= (1.51 if shrinks else 2.0)
    assert (canvas[placed.height:] == 127).all() and (canvas[:, placed.width:] == 127).all()


def test_the_picture_itself_is_not_changed():
    image = noise(720, 1280)
    before = image.copy()
    resize(image, 320, 180, 'area')
    np.testing.assert_array_equal(image, before)
