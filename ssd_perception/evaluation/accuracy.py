"""Run a Detector over labelled images, and measure the average precision of what it found."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from tqdm import tqdm

from ssd_perception.core.detections import Detections, GroundTruth
from ssd_perception.core.errors import DataError
from ssd_perception.core.postprocess import PostprocessSettings
from ssd_perception.data.sample import Sample, labels
from ssd_perception.evaluation.coco import coco_figures
from ssd_perception.evaluation.voc import mean_ap, precision_recall
from ssd_perception.inference.detector import Detector

# AP integrates over all scores, so it is measured far below the threshold a robot runs at;
# both values are the customary ones (torchvision's SSD, COCO's 100 detections).
SCORE_THRESHOLD = 0.01
MAX_DETECTIONS = 100


@dataclass(frozen=True)
class ClassAccuracy:
    """Average precisions of one class, as in ``Accuracy``, and its number of objects."""

    voc07_ap50: float
    voc10_ap50: float
    coco_ap: float
    objects: int


@dataclass(frozen=True)
class Accuracy:
    """How good detections are at all score thresholds together.

    Average precisions are in [0, 1], rounded to 5 digits, and NaN where there is no object to
    find. Those of all classes are means over the classes with objects.

    Attributes:
        voc07_ap50, voc10_ap50: Pascal VOC's at IoU 0.5, by the rules of 2007 and of 2010.
        coco_ap: COCO's, mean over IoU 0.50 to 0.95; ``coco_ap50``, ``coco_ap75`` at one IoU.
        coco_ap_small, coco_ap_medium, coco_ap_large: of objects of each of ``coco.SIZES``.
        per_class: class name -> its figures.
        images: how many there are.
        objects: what AP is measured on.
        difficult: objects that do not count, see ``GroundTruth``.
    """

    voc07_ap50: float
    voc10_ap50: float
    coco_ap: float
    coco_ap50: float
    coco_ap75: float
    coco_ap_small: float
    coco_ap_medium: float
    coco_ap_large: float
    per_class: Mapping[str, ClassAccuracy]
    images: int
    objects: int
    difficult: int


@dataclass(frozen=True)
class Measurement:
    """What a Detector found in labelled images.

    Attributes:
        samples: the images that could be decoded.
        truths, detections: one entry per sample.
        timings_ms: stage -> one time per sample, see ``inference.detector.Timings``.
        skipped: file names of the images that could not be decoded.
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
            read: Callable[[Sample], np.ndarray] = Sample.image, progress: bool = False,
            skip_unreadable: bool = False, classes: tuple[str, ...] = ()) -> Measurement:
    """Detect in every sample, one image at a time, at ``SCORE_THRESHOLD``.

    Args:
        classes: what to detect; empty for all.
        skip_unreadable: name an image that cannot be decoded on stderr and go on.

    Raises:
        DataError: for a class that the detector does not know (before any image is opened),
            for an image that cannot be decoded, or when none could be.
    """
    truths = [ground_truth(sample, detector.class_names) for sample in samples]
    result, first_error = Measurement([], [], [], {}, []), None
    settings = replace(low_threshold(detector.settings), classes=classes)
    for sample, truth in zip(tqdm(samples, 'evaluate', unit='img', disable=not progress), truths):
        try:
            image = read(sample)
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
        raise DataError(f'None of the {len(samples)} images could be decoded; the first one: '
                        f'{first_error}')
    return result


def of_classes(measured: Measurement, names: tuple[str, ...],
               wanted: tuple[str, ...]) -> Measurement:
    """Return what was found of some classes, with their labels: indices into ``wanted``.

    Args:
        names: that the labels index into now.
        wanted: some of ``names``, in the same order; every object's class is among them.
    """
    if wanted == names:
        return measured
    place = np.array([wanted.index(name) if name in wanted else -1 for name in names])
    found = []
    for detections in measured.detections:
        kept = detections[place[detections.labels] >= 0]
        found.append(Detections(kept.xyxy, kept.scores, place[kept.labels]))
    return replace(measured, detections=found, truths=[
        replace(truth, labels=place[np.asarray(truth.labels, np.int64)])
        for truth in measured.truths])


def detect_samples(detector: Detector, samples: Sequence[Sample],
                   read: Callable[[Sample], np.ndarray] = Sample.image,
                   progress: bool = False) -> list[Detections]:
    """Return the detections of ``measure``, one per sample."""
    return measure(detector, samples, read, progress).detections


def low_threshold(settings: PostprocessSettings) -> PostprocessSettings:
    """Return the settings that AP is measured with: a low threshold, all classes."""
    return replace(settings, score_threshold=SCORE_THRESHOLD, class_thresholds=(), classes=(),
                   max_detections=MAX_DETECTIONS)


def accuracy(detections: Sequence[Detections], truths: Sequence[GroundTruth],
             class_names: tuple[str, ...]) -> Accuracy:
    """Measure detections; ``detections`` and ``truths`` have one entry per image.

    Args:
        detections: found at a low threshold, such as ``SCORE_THRESHOLD``.
    """
    curves = {name: precision_recall(detections, truths, label)
              for label, name in enumerate(class_names)}
    coco = coco_figures(detections, truths, class_names)
    per_class = {
        name: ClassAccuracy(_rounded(c.ap('voc07')), _rounded(c.ap('voc10')),
                            _rounded(coco.per_class[name]), c.objects)
        for name, c in curves.items()}
    voc07, voc10 = (_rounded(mean_ap({name: c.ap(method) for name, c in curves.items()}))
                    for method in ('voc07', 'voc10'))
    return Accuracy(
        voc07_ap50=voc07, voc10_ap50=voc10, coco_ap=_rounded(coco.ap),
        coco_ap50=_rounded(coco.ap50), coco_ap75=_rounded(coco.ap75),
        coco_ap_small=_rounded(coco.ap_small), coco_ap_medium=_rounded(coco.ap_medium),
        coco_ap_large=_rounded(coco.ap_large), per_class=per_class, images=len(truths),
        objects=sum(c.objects for c in curves.values()),
        difficult=int(sum(truth.flags().sum() for truth in truths)))


def _rounded(value: float) -> float:
    return round(float(value), 5)


def evaluate(detector: Detector, samples: Sequence[Sample], progress: bool = False) -> Accuracy:
    """Detect in ``samples`` and return the accuracy."""
    measured = measure(detector, samples, progress=progress)
    return accuracy(measured.detections, measured.truths, detector.class_names)
