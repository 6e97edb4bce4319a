"""Corruptions: what each does to a picture, the same each time, and rows for every strength."""

import numpy as np
import pytest

from ssd_perception.core.detections import Detections
from ssd_perception.data.sample import Sample
from ssd_perception.evaluation.corruptions import CORRUPTIONS, corrupt, under_corruptions
from ssd_perception.inference.detector import DetectionResult, Timings

EVERY = [(name, strength) for name, (*_, strengths) in CORRUPTIONS.items()
         for strength in strengths]
RNG = np.random.default_rng(0)
PICTURE = np.clip(RNG.normal(120, 40, (120, 640, 1)).repeat(3, 2) + [30, 0, -30], 0,
                  255).astype(np.uint8)


@pytest.mark.parametrize('name, strength', EVERY)
def test_the_same_picture_is_corrupted_the_same_way(name, strength):
    once, again = (corrupt(PICTURE, name, strength, 'a.jpg') for _ in range(2))
    assert once.shape == PICTURE.shape and once.dtype == np.uint8
    assert np.array_equal(once, again) and not np.array_equal(once, PICTURE)


@pytest.mark.parametrize('name', CORRUPTIONS)
def test_a_stronger_one_changes_more(name):
    changes = [np.abs(corrupt(PICTURE, name, strength, 'a').astype(float) - PICTURE).mean()
               for strength in CORRUPTIONS[name][2]]
    assert changes == sorted(changes) and changes[0] < changes[-1]


@pytest.mark.parametrize('name', sorted(CORRUPTIONS.keys() - {'hue'}))
def test_channels_keep_their_order_and_blur_its_brightness(name):
    red = np.zeros((64, 64, 3), np.uint8)
    red[...] = 200, 60, 20
    means = corrupt(red, name, CORRUPTIONS[name][2][0], 'a').reshape(-1, 3).mean(0)
    assert means[0] > means[1] > means[2]
    if name in ('motion blur', 'JPEG', 'noise'):
        assert means == pytest.approx([200, 60, 20], abs=4)


@pytest.mark.parametrize('degrees, colour', [(120, (20, 200, 60)), (240, (60, 20, 200)),
                                             (360, (200, 60, 20))])
def test_colours_are_turned_and_grey_stays(degrees, colour):
    image = np.array([[[200, 60, 20], [90, 90, 90]]], np.uint8)
    turned = corrupt(image, 'hue', degrees, 'a').astype(float)
    assert turned[0, 0] == pytest.approx(colour, abs=4) and (turned[0, 1] == 90).all()


def test_a_point_is_smeared_into_a_line_of_the_told_length():
    point = np.zeros((101, 640, 3), np.uint8)
    point[50, 320] = 255
    smeared = corrupt(point, 'motion blur', 19, 'a')[..., 0]
    rows, columns = np.nonzero(smeared)
    length = np.hypot(np.ptp(rows), np.ptp(columns)) + 1
    assert 16 <= length <= 22


class Stub:
    """Finds the one object of a picture, unless the picture is darker than it was."""

    class_names = ('cone',)

    def __init__(self):
        from ssd_perception.core.postprocess import PostprocessSettings
        self.settings = PostprocessSettings()

    def detect(self, images, settings=None):
        seen = images[0].mean() > 100
        return DetectionResult([Detections([(0, 0, 50, 50)], [0.9], [0]) if seen
                                else Detections.empty()], Timings())


def test_there_is_a_row_for_each_and_it_is_of_the_corrupted_picture(tmp_path, monkeypatch):
    monkeypatch.setattr(Sample, 'image', lambda sample: PICTURE)
    sample = Sample(tmp_path / 'a.jpg', np.array([[0, 0, 50, 50]], np.float32), ('cone',),
                    np.zeros(1, bool))
    rows = under_corruptions(Stub(), [sample])
    assert [(row.corruption, row.strength) for row in rows] == EVERY
    found = {(row.corruption, row.strength): row.voc10_ap50 for row in rows}
    assert found['JPEG', 40] == 1.0 and found['bright', 0.3] == 1.0 and found['dark', 4.0] == 0.0
