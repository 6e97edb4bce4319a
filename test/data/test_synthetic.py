"""Drawn negatives: of any colour, nearly black ones among them, without boxes, by seed alone."""

import numpy as np

from ssd_perception.data.synthetic import synthetic_negative


def draw(seed, size=(48, 64)):
    return synthetic_negative(*size, np.random.default_rng(seed))


def test_it_is_a_picture_without_objects():
    for seed in range(50):
        image, xyxy, labels = draw(seed)
        assert image.shape == (48, 64, 3) and image.dtype == np.uint8
        assert xyxy.shape == (0, 4) and labels.shape == (0,)


def test_the_seed_decides():
    np.testing.assert_array_equal(draw(3).image, draw(3).image)
    assert (draw(3).image != draw(4).image).any()


def test_covered_lenses_walls_and_blobs_occur():
    images = [draw(seed).image.astype(float) for seed in range(200)]
    dark = sum(image.mean() < 30 for image in images)
    plain = sum(image.reshape(-1, 3).std(0).max() < 15 for image in images)
    varied = sum(image.reshape(-1, 3).std(0).max() > 40 for image in images)
    assert dark > 20 and plain > 20 and varied > 50
    hues = {tuple(np.argsort(image.reshape(-1, 3).mean(0))) for image in images}
    assert len(hues) == 6  # every order of red, green and blue
