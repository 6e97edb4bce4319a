"""Chosen frames are evenly spread over each camera, and no two look alike."""

import numpy as np
import pytest

from ssd_perception.core.detections import Detections
from ssd_perception.mining.choose import LEAST_DIFFERENCE, choose_even
from ssd_perception.mining.thumbnails import thumbnail
from ssd_perception.replay.work_folder import FrameResult


def frames(count, topic='/camera', broken=()):
    return [FrameResult(i, topic, i, i, 'camera', 64, 48, Detections.empty(),
                        'broken' if i in broken else '') for i in range(count)]


def looks(*levels):
    """Return thumbnails of one grey level each."""
    return np.repeat(np.array(levels, np.uint8)[:, None], 6, 1)


# Of 50 frames each differs from every other one in one of two areas.
DIFFERENT = np.array([(10 * (i % 25), 10 * (i // 25)) for i in range(50)], np.uint8)


@pytest.mark.parametrize('count, places', [
    (4, [0, 16, 33, 49]), (1, [0]), (50, list(range(50))), (1000, list(range(50)))])
def test_they_are_evenly_spread(count, places):
    assert choose_even(frames(50), DIFFERENT, count) == places


@pytest.mark.parametrize('levels, count, places', [
    # A robot that stood still at the beginning: its place counts once.
    ([0] * 8 + [50, 60, 70], 4, [0, 8, 9, 10]),
    ([0] * 11, 4, [0]),
    ([0, 50, 0, 50, 1, 51], 4, [0, 3]),  # the same places again, a little lighter
    ([], 4, [])])
def test_no_two_look_alike(levels, count, places):
    assert choose_even(frames(len(levels)), looks(*levels), count) == places


def test_frames_that_could_not_be_decoded_are_never_chosen():
    assert choose_even(frames(4, broken=(0, 3)), looks(0, 50, 100, 150), 4) == [1, 2]
    assert choose_even(frames(1, broken=(0,)), looks(0), 4) == []


def test_every_camera_counts_though_their_frames_alternate():
    results = [frame for pair in zip(frames(25, '/front'), frames(25, '/rear')) for frame in pair]
    places = choose_even(results, DIFFERENT, 4)  # every 16th of all are /front's alone
    assert [results[place].topic for place in places].count('/rear') == 2
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
    assert choose_even(frames(8), np.stack(shown), 8) == list(range(8))
