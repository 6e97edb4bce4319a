"""Resizing is nearly area averaging, and the picture lies where its Placement says."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from ssd_perception.core.metadata import Preprocessing
from ssd_perception.imaging.placing import place, resize

PHOTOGRAPH_LIKE = Path(__file__).resolve().parents[2] / 'demo/rendered_val/JPEGImages'


def noise(height: int, width: int) -> np.ndarray:
    return np.random.default_rng(height + width).integers(0, 256, (height, width, 3), np.uint8)


def slowly(image: np.ndarray, width: int, height: int) -> np.ndarray:
    """Return one exact average, where the picture shrinks, as float64."""
    shrinks = width <= image.shape[1] and height <= image.shape[0]
    return cv2.resize(image.astype(np.float64), (width, height),
                      interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)


@pytest.mark.parametrize('height, width', [
    (480, 640), (720, 1280), (960, 1280), (240, 320), (180, 320), (1, 1)])
def test_halves_are_averages_to_the_last_grey(height, width):
    image = noise(height, width)
    canvas = np.empty((320, 320, 3), np.uint8)
    placed = place(image, canvas, Preprocessing())
    found = canvas[:placed.height, :placed.width]
    # Each halving rounds by up to a half, and linear sampling by up to two.
    shrinks = placed.width <= width
    expected = slowly(image, placed.width, placed.height)
    assert np.abs(found - expected).max() <= (1.51 if shrinks else 2.0)
    assert (canvas[placed.height:] == 127).all() and (canvas[:, placed.width:] == 127).all()


@pytest.mark.parametrize('height, width', [
    (480, 640), (1080, 1920), (2160, 3840), (481, 640), (600, 800), (1081, 1921), (480, 848)])
@pytest.mark.parametrize('rows, columns', [(256, 320), (256, 256), (320, 320)])
def test_any_size_looks_like_an_average(height, width, rows, columns):
    picture = cv2.imread(str(PHOTOGRAPH_LIKE / 'val_0001.jpg'))
    image = cv2.resize(picture, (width, height), interpolation=cv2.INTER_CUBIC)
    difference = np.abs(resize(image, columns, rows, 'area') - slowly(image, columns, rows))
    assert difference.mean() < 2.0


@pytest.mark.parametrize('height, width', [(1080, 1920), (481, 1000)])
def test_no_thin_line_vanishes(height, width):
    # Linear sampling in one step, from one pixel in four, would lose most of these.
    for x in range(width // 2, width // 2 + 8):
        image = np.zeros((height, width, 3), np.uint8)
        image[:, x] = 255
        assert resize(image, 320, 256, 'area').max() > 5


def test_the_picture_itself_is_not_changed():
    image = noise(720, 1280)
    before = image.copy()
    resize(image, 320, 180, 'area')
    np.testing.assert_array_equal(image, before)


@pytest.mark.parametrize('height, width', [(480, 640), (90, 333), (1, 7), (320, 320)])
def test_pixels_that_are_not_rounded_are_those_of_torch(height, width):
    torch = pytest.importorskip('torch')
    image = noise(height, width)
    canvas = np.empty((320, 320, 3), np.float32)
    place(image, canvas, Preprocessing('stretch', 'linear', pixel_type='float32'))
    wanted = torch.nn.functional.interpolate(
        torch.from_numpy(image).permute(2, 0, 1)[None].float(), (320, 320), mode='bilinear',
        align_corners=False)[0].permute(1, 2, 0)
    # torch places the samples in float32, which noise makes visible
    np.testing.assert_allclose(canvas, wanted, atol=0.02)
