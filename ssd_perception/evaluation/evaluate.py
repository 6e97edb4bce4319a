"""Run a Detector over labelled pictures and report every figure in one dictionary."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from tqdm import tqdm

from ssd_perception.core.detections import Detections, GroundTruth
from ssd_perception.core.errors import DataError
from ssd_perception.core.postprocess import PostprocessSettings
from ssd_perception.data.sample import Sample, labels
from ssd_perception.evaluation.coco import coco_figures
from ssd_perception.evaluation.voc import Curve, mean_ap, precision_recall
from ssd_perception.imaging.files import read_picture
from ssd_perception.inference.detector import Detector

# AP integrates over all scores, so it is measured far below the threshold a robot runs at;
# both values are the customary ones (torchvision's SSD, COCO's 100 detections).
SCORE_THRESHOLD = 0.01
MAX_DETECTIONS = 100


@dataclass(frozen=True)
class Measurement:
    """What a Detector found in labelled pictures.

    Attributes:
        samples: the pictures that could be decoded.
        truths, detections: one entry per sample.
        timings_ms: stage -> one time per sample, see ``inference.detector.Timings``.
        skipped: file names of the pictures that could not be decoded.
    """

    samples: list[Sample]
    truths: list[GroundTruth]
    detections: list[Detections]
    timings_ms: dict[str, list[float]]
    skipped: list[str]


def ground_truth(sample: Sample, class_names: tuple[str, ...]) -> GroundTruth:
    """Return a sample's objects, labelled by ``class_names``."""
    return GroundTruth(sample.xyxy, labels(sample, class_names), sample.difficult)


def measure(detector: Detector, samples: Sequence[Sample],
            read: Callable[..., np.ndarray] = read_picture, progress: bool = False,
            skip_unreadable: bool = False) -> Measurement:
    """Detect in every sample, one picture at a time, at the evaluation's low threshold.

    Args:
        skip_unreadable: go on after a picture that cannot be decoded, naming it on stderr.

    Raises:
        DataError: for a class that the detector does not know (before any picture is opened),
            for a picture that cannot be decoded, or when none could be.
    """
    truths = [ground_truth(sample, detector.class_names) for sample in samples]
    result, first_error = Measurement([], [], [], {}, []), None
    settings = low_threshold(detector.settings)
    for sample, truth in zip(tqdm(samples, 'evaluate', unit='img', disable=not progress), truths):
        try:
            image = read(sample.path)
        except DataError as error:
            if not skip_unreadable:
                raise
            tqdm.write(f'Left out: {error}', file=sys.stderr)
            result.skipped.append(sample.path.name)
            first_error = first_error or error
            continue
        found = detector.detect([image], settings)
        result.samples.append(sample)
        result.truths.append(truth)
        result.detections.extend(found.detections)
        for stage, milliseconds in vars(found.timings).items():
            result.timings_ms.setdefault(stage, []).append(milliseconds)
    if samples and not result.samples:
        raise DataError(f'None of the {len(samples)} pictures could be decoded; the first one: '
                        f'{first_error}')
    return result


def detect_samples(detector: Detector, samples: Sequence[Sample],
                   read: Callable[..., np.ndarray] = read_picture,
                   progress: bool = False) -> list[Detections]:
    """Return the detections of ``measure``, one per sample."""
    return measure(detector, samples, read, progress).detections


def low_threshold(settings: PostprocessSettings) -> PostprocessSettings:
    """Return the settings that AP is measured with: a low threshold, all classes."""
    return replace(settings, score_threshold=SCORE_THRESHOLD, class_thresholds=(), classes=(),
                   max_detections=MAX_DETECTIONS)


def report(detections: Sequence[Detections], truths: Sequence[GroundTruth],
           class_names: tuple[str, ...]) -> dict:
    """Return ``voc07_ap50``, ``voc10_ap50``, COCO's figures, ``per_class``, and counts.

    Average precisions are in [0, 1], or None where there is no object to find. ``objects``
    counts what AP is measured on; ``difficult`` the objects left out of it.
    """
    curves = {name: precision_recall(detections, truths, label)
              for label, name in enumerate(class_names)}
    coco, coco_per_class = coco_figures(detections, truths, class_names)
    figures = {'voc07_ap50': mean_ap(_aps(curves, 'voc07')),
               'voc10_ap50': mean_ap(_aps(curves, 'voc10')), **coco}
    per_class = {name: {'voc07_ap50': c.ap('voc07'), 'voc10_ap50': c.ap('voc10'),
                        'coco_ap': coco_per_class[name], 'objects': c.objects}
                 for name, c in curves.items()}
    return {**_plain(figures), 'per_class': {n: _plain(f) for n, f in per_class.items()},
            'images': len(truths), 'objects': sum(c.objects for c in curves.values()),
            'difficult': int(sum(truth.flags().sum() for truth in truths))}


def _aps(curves: dict[str, Curve], method: str) -> dict[str, float]:
    return {name: curve.ap(method) for name, curve in curves.items()}


def _plain(figures: dict) -> dict:
    """Replace NaN, which is not JSON, by None, and round to what can be told apart."""
    return {key: None if value != value else round(value, 5) for key, value in figures.items()}


def evaluate(detector: Detector, samples: Sequence[Sample], progress: bool = False) -> dict:
    """Detect in ``samples`` and return their ``report``."""
    measured = measure(detector, samples, progress=progress)
    return report(measured.detections, measured.truths, detector.class_names)
