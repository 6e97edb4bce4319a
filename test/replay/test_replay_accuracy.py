"""A replay is as accurate as evaluate measures, and does everything once."""

from __future__ import annotations

import collections
import json
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip('av')
pytest.importorskip('torch')
from ssd_perception.__main__ import main  # noqa: E402
from ssd_perception.bags.frames import labelled_frames  # noqa: E402
from ssd_perception.bags.types import MESSAGES  # noqa: E402
from ssd_perception.bags.writer import BagWriter  # noqa: E402
from ssd_perception.core.detections import GroundTruth  # noqa: E402
from ssd_perception.data.layout import read_split  # noqa: E402
from ssd_perception.evaluation.accuracy import accuracy, evaluate, low_threshold  # noqa: E402
from ssd_perception.inference.detector import Detector  # noqa: E402
from ssd_perception.replay import annotated_images, scan  # noqa: E402

ROOT = Path(__file__).parents[2]
RECORDING = ROOT / 'demo' / 'recording'
PHOTOGRAPHS = ROOT.parent / 'shared' / 'datasets' / 'cone_cube'
SAME = ('voc07_ap50', 'voc10_ap50', 'coco_ap')

pytestmark = pytest.mark.slow


def replayed(bag, out, *words) -> dict:
    assert main(['replay', str(bag), '--out', str(out), *words]) == 0
    return json.loads((out / 'summary.json').read_text())


@pytest.mark.skipif(not RECORDING.is_dir(), reason='no data')
def test_ap_and_detections_on_the_recording_are_the_detectors(tmp_path):
    figures = replayed(RECORDING, tmp_path / 'out', '--ground-truth', '/ground_truth/detections')
    detector = Detector.from_weights()
    frames = list(labelled_frames(RECORDING, detector.class_names))
    low = low_threshold(detector.settings)
    found = [detector.detect([frame.image], low).detections[0] for frame in frames]
    expected = accuracy(found, [GroundTruth(f.xyxy, f.labels) for f in frames],
                      detector.class_names)
    for name in SAME:
        assert figures['ground_truth'][name] == pytest.approx(getattr(expected, name), abs=0.001)
    lines = (tmp_path / 'out' / 'detections.jsonl').read_text().splitlines()
    for line, frame in zip(lines, frames, strict=True):
        published, = detector([frame.image])
        assert [d['score'] for d in json.loads(line)['detections']] == pytest.approx(
            published.scores.tolist(), abs=1e-4)


@pytest.mark.skipif(not PHOTOGRAPHS.is_dir(), reason='no data')
def test_ap_on_photographs_is_evaluates(tmp_path):
    samples = read_split(PHOTOGRAPHS, 'val', None)
    with BagWriter(tmp_path / 'photographs') as bag:
        for index, sample in enumerate(samples):
            stamp_ns = 10 ** 18 + index * 10 ** 8
            bag.write('/camera/image/compressed', stamp_ns, MESSAGES.jpeg_message(
                MESSAGES.header(stamp_ns, 'camera'),
                np.frombuffer(sample.path.read_bytes(), np.uint8)))
    figures = replayed(tmp_path / 'photographs', tmp_path / 'out',
                       '--ground-truth', f'{PHOTOGRAPHS}:val')
    expected = evaluate(Detector.from_weights(), samples)
    assert figures['ground_truth']['images'] == len(samples)
    for name in SAME:
        assert figures['ground_truth'][name] == pytest.approx(getattr(expected, name), abs=0.001)


@pytest.mark.skipif(not RECORDING.is_dir(), reason='no data')
def test_nothing_is_decoded_drawn_or_detected_twice(tmp_path, monkeypatch):
    """A replay takes little more time than its network; `ssd_perception benchmark` measures it."""
    counts = collections.Counter()

    def counted(owner, name, number=lambda *arguments: 1):
        inner = getattr(owner, name)

        def call(*arguments, **options):
            counts[name] += number(*arguments)
            return inner(*arguments, **options)
        monkeypatch.setattr(owner, name, call)

    counted(scan, 'decode_record')
    counted(annotated_images, 'draw_detections')
    # Warming up gives no settings.
    counted(Detector, 'detect',
            lambda detector, images, settings=None: len(images) if settings else 0)
    frames = replayed(RECORDING, tmp_path / 'out')['frames']
    assert counts == {'decode_record': frames, 'draw_detections': frames, 'detect': frames}
