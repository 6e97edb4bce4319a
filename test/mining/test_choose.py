"""Chosen frames are evenly spread over each camera, and no two look alike."""

from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from ssd_perception.imaging.encodings import to_rgb
from ssd_perception.mining.choose import LEAST_DIFFERENCE, choose_even
from ssd_perception.mining.thumbnails import SIZE, small_image, thumbnail


def looks(*levels):
    """Return thumbnails of one grey level each."""
    return np.repeat(np.array(levels, np.uint8)[:, None], 6, 1)


# Of 50 frames each differs from every other one in one of two areas.
DIFFERENT = np.array([(10 * (i % 25), 10 * (i // 25)) for i in range(50)], np.uint8)


@pytest.mark.parametrize('count, places', [
    (4, [0, 16, 33, 49]), (1, [0]), (50, list(range(50))), (1000, list(range(50)))])
def test_they_are_evenly_spread(count, places):
    assert choose_even(['camera'] * 50, DIFFERENT, count) == places


@pytest.mark.parametrize('levels, count, places', [
    # A robot that stood still at the beginning: its place counts once.
    ([0] * 8 + [50, 60, 70], 4, [0, 8, 9, 10]),
    ([0] * 11, 4, [0]),
    ([0, 50, 0, 50, 1, 51], 4, [0, 3]),  # the same places again, a little lighter
    ([], 4, [])])
def test_no_two_look_alike(levels, count, places):
    assert choose_even(['camera'] * len(levels), looks(*levels), count) == places


def test_every_camera_counts_though_their_frames_alternate():
    cameras = ['front', 'rear'] * 25
    places = choose_even(cameras, DIFFERENT, 4)  # every 16th of all are front's alone
    assert [cameras[place] for place in places].count('rear') == 2
    assert places == sorted(places)


def test_a_thumbnail_shows_a_step_aside_and_no_noise():
    rng = np.random.default_rng(0)
    scene = np.kron(rng.integers(40, 216, (8, 11, 3)), np.ones((60, 60, 1)))[:480, :640]
    noisy, aside = (np.clip(image + rng.normal(0, 10, (480, 640, 3)), 0, 255).astype(np.uint8)
                    for image in (scene, np.roll(scene, 20, axis=1)))
    seen, again, beside = (thumbnail(image).astype(int)
                           for image in (scene.astype(np.uint8), noisy, aside))
    assert np.abs(seen - again).max() < LEAST_DIFFERENCE / 2
    assert np.abs(seen - beside).max() > LEAST_DIFFERENCE


def test_a_thing_that_moves_before_a_camera_that_stands_still_is_seen():
    """By the mean over the image all frames looked alike, and one was chosen."""
    shown = []
    for step in range(8):
        image = np.full((480, 640, 3), 120, np.uint8)
        image[200:260, 60 * step:60 * step + 60] = 230, 90, 20
        shown.append(thumbnail(image))
    assert choose_even(['camera'] * 8, np.stack(shown), 8) == list(range(8))


@pytest.mark.parametrize('size', [(640, 480), (1280, 720), (322, 246)])
def test_a_jpeg_that_is_decoded_small_has_the_same_thumbnail(size):
    rng = np.random.default_rng(0)
    scene = cv2.resize(rng.integers(0, 256, (24, 32, 3), dtype=np.uint8), size)
    jpeg = cv2.imencode('.jpg', scene)[1].tobytes()
    message = SimpleNamespace(format='jpeg', data=jpeg)
    small = small_image(message)
    assert small.shape[1] >= SIZE[0] and (size[0] % 8 or small.shape[1] == size[0] / 8)
    difference = thumbnail(small).astype(int) - thumbnail(to_rgb(message))
    assert np.abs(difference).max() <= 1
