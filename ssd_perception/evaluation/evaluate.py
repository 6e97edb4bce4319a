"""Run a Detector over labelled pictures and report every figure in one dictionary."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import numpy as np
from tqdm import tqdm

from ssd_perception.core.detections import Detections
from ssd_perception.data.pictures import read_picture
from ssd_perception.data.voc import Sample, labels
from ssd_perception.evaluation.coco import coco_ap
from ssd_perception.evaluation.voc import GroundTruth, average_precision, mean_ap
from ssd_perception.inference.detector import Detector

# AP integrates over all scores, so it is measured far below the threshold a robot runs at;
# both values are the customary ones (torchvision's SSD, COCO's 100 detections).
SCORE_THRESHOLD = 0.01
MAX_DETECTIONS = 100


def ground_truth(sample: Sample, class_names: tuple[str, ...]) -> GroundTruth:
    """Return a sample's objects, labelled by ``class_names``."""
    return GroundTruth(sample.xyxy, labels(sample, class_names), sample.difficult)


def detect_samples(detector: Detector, samples: Sequence[Sample],
                   read: Callable[..., np.ndarray] = read_picture,
                   progress: bool = False) -> list[Detections]:
    """Detect in every sample, one picture at a time, at the evaluation's low threshold."""
    with at_low_threshold(detector):
        return [detector([read(sample.path)])[0]
                for sample in tqdm(samples, 'evaluate', unit='img', disable=not progress)]


@contextlib.contextmanager
def at_low_threshold(detector: Detector) -> Iterator[None]:
    """Lend the detector the thresholds that AP is measured at."""
    before = detector.settings
    detector.settings = replace(before, score_threshold=SCORE_THRESHOLD, class_thresholds=(),
                                classes=(), max_detections=MAX_DETECTIONS)
    try:
        yield
    finally:
        detector.settings = before


def report(detections: Sequence[Detections], truths: Sequence[GroundTruth],
           class_names: tuple[str, ...]) -> dict:
    """Return ``voc07_ap50``, ``voc10_ap50``, COCO's figures, ``per_class``, and counts."""
    per_class07 = average_precision(detections, truths, class_names, 'voc07')
    per_class10 = average_precision(detections, truths, class_names, 'voc10')
    figures = {'voc07_ap50': mean_ap(per_class07), 'voc10_ap50': mean_ap(per_class10),
               **coco_ap(detections, truths, class_names)}
    per_class = {name: {'voc07_ap50': per_class07[name], 'voc10_ap50': per_class10[name],
                        'objects': int(sum((np.asarray(t.labels) == i).sum() for t in truths))}
                 for i, name in enumerate(class_names)}
    return {**_plain(figures), 'per_class': {n: _plain(f) for n, f in per_class.items()},
            'images': len(truths)}


def _plain(figures: dict) -> dict:
    """Replace NaN, which is not JSON, by None, and round to what can be told apart."""
    return {key: None if value != value else round(value, 5) for key, value in figures.items()}


def evaluate(detector: Detector, samples: Sequence[Sample], progress: bool = False) -> dict:
    """Detect in ``samples`` and return their ``report``."""
    truths = [ground_truth(sample, detector.class_names) for sample in samples]
    return report(detect_samples(detector, samples, progress=progress), truths,
                  detector.class_names)
