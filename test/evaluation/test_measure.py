"""Running a detector over pictures: the bad ones among them, its thresholds, its times."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from cases import detections_of

from ssd_perception.core.errors import DataError
from ssd_perception.core.postprocess import PostprocessSettings
from ssd_perception.data.sample import Sample
from ssd_perception.evaluation.accuracy import detect_samples, evaluate, measure
from ssd_perception.inference.detector import DetectionResult, Timings

BOX = (2, 2, 12, 12)


class OneBox:
    """Finds one object in every picture, and remembers at which threshold it was asked."""

    class_names = ('x',)

    def __init__(self):
        self.settings = PostprocessSettings(0.5)
        self.asked = []

    def detect(self, images, settings=None):
        self.asked.append((settings or self.settings).score_threshold)
        return DetectionResult([detections_of([(BOX, 0.9, 0)]) for _ in images],
                               Timings(network=float(len(self.asked))))


def sample(name, kind='x'):
    return Sample(Path(name), np.array([BOX], np.float32), (kind,), np.zeros(1, bool))


def read(sample):
    if sample.path.name.startswith('bad'):
        raise DataError(f'{sample.path} is not an image that can be decoded.')
    return np.zeros((20, 20, 3), np.uint8)


def test_unreadable_pictures_are_named_and_left_out(capsys):
    detector = OneBox()
    samples = [sample('a'), sample('bad1'), sample('b'), sample('bad2')]
    measured = measure(detector, samples, read, skip_unreadable=True)
    assert [s.path.name for s in measured.samples] == ['a', 'b']
    assert len(measured.detections) == len(measured.truths) == 2
    assert measured.timings_ms['network'] == [1.0, 2.0]
    assert measured.skipped == ['bad1', 'bad2']
    assert 'Left out: bad1 is not an image' in capsys.readouterr().err
    assert detector.asked == [0.01, 0.01] and detector.settings.score_threshold == 0.5


def test_only_unreadable_pictures_are_an_error():
    with pytest.raises(DataError, match='None of the 2 images could be decoded.*bad1'):
        measure(OneBox(), [sample('bad1'), sample('bad2')], read, skip_unreadable=True)


def test_otherwise_one_unreadable_picture_is_an_error_and_thresholds_come_back():
    detector = OneBox()
    with pytest.raises(DataError, match='bad1'):
        detect_samples(detector, [sample('a'), sample('bad1')], read)
    assert detector.settings.score_threshold == 0.5


def test_a_class_the_detector_lacks_is_told_before_any_picture_is_opened():
    with pytest.raises(DataError, match='"y" is not one of x'):
        measure(OneBox(), [sample('bad1'), sample('a', 'y')], read)


def test_no_pictures():
    measured = measure(OneBox(), [], read)
    assert measured.detections == [] and measured.timings_ms == {}
    figures = evaluate(OneBox(), [])
    assert np.isnan(figures.voc10_ap50) and figures.images == figures.objects == 0
