"""A Detector without a network: it finds the orange square of the recordings made for tests."""

from __future__ import annotations

import contextlib
from pathlib import Path

import numpy as np
import pytest

from ssd_perception.core.detections import Detections
from ssd_perception.core.postprocess import PostprocessSettings
from ssd_perception.inference.detector import DetectionResult, Detector, Timings

NAMES = ('cube', 'cone')


class OrangeDetector:
    """Everything around a Detector; each picture has a cone on the square and a weak cube.

    Attributes:
        edges: what is added to the square's edges, px.
        calls: pictures looked at.
        fail_at: at this one comes a Ctrl-C; None for never.
        asked: the score threshold of every call.
    """

    class_names, device, runtime, precision, threads = NAMES, 'cpu', 'none', 'fp32', None
    path, weights_hash, network_hash = Path('orange.safetensors'), '0' * 64, '1' * 64
    edges = (0.0, 0.0, 1.0, 1.0)

    def __init__(self, score_threshold):
        self.settings = PostprocessSettings(0.5 if score_threshold is None else score_threshold)
        self.calls, self.fail_at, self.asked = 0, None, []

    def describe(self):
        return 'orange (cube, cone)'

    def warm_up(self, batch_size=1):
        pass

    def score(self, left):
        """Return the score of a square whose first column is ``left``."""
        return 0.55 + 0.4 * (left % 7) / 7

    def __call__(self, images):
        return self.detect(images).detections

    def detect(self, images, settings=None):
        found, threshold = [], (settings or self.settings).score_threshold
        self.asked.append(threshold)
        for image in images:
            if self.calls == self.fail_at:
                raise KeyboardInterrupt
            self.calls += 1
            rows, columns = np.nonzero((image[..., 0] > 200) & (image[..., 2] < 80))
            square = np.array([columns.min(), rows.min(), columns.max(), rows.max()])
            weak = Detections([square + self.edges, [5, 5, 60, 60]],
                              [self.score(int(square[0])), 0.3], [1, 0])
            found.append(weak[weak.scores >= threshold])
        return DetectionResult(found, Timings(network=1.0))


def replace_network(monkeypatch, kind=OrangeDetector):
    """Let every Detector be a ``kind``; return the list of those made, in their order."""
    made = []

    def make(weights='', runtime='auto', precision='auto', score_threshold=None, **_):
        detector = kind(score_threshold)
        if runtime != 'auto':
            detector.runtime = runtime
        if precision != 'auto':
            detector.precision = precision
        made.append(detector)
        return detector

    monkeypatch.setattr(Detector, 'from_weights', make)
    return made


@contextlib.contextmanager
def interrupted(kind, at):
    """Let every ``kind`` meet with a Ctrl-C at its picture number ``at``."""
    answer = kind.detect

    def failing(self, images, settings=None):
        self.fail_at = at
        return answer(self, images, settings)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(kind, 'detect', failing)
        yield
