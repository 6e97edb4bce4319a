"""The use-case behind ``ssd_perception evaluate``: measure weights on labelled images."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ssd_perception import __version__
from ssd_perception.core.errors import DataError, SettingError
from ssd_perception.core.result_folder import check_replaceable, result_folder
from ssd_perception.core.text import listed
from ssd_perception.data.layout import read_split, taken
from ssd_perception.data.sample import Sample, as_negatives, class_names, renamed
from ssd_perception.evaluation.accuracy import measure, of_classes
from ssd_perception.evaluation.analysis import Evaluation, analyse
from ssd_perception.evaluation.corruptions import under_corruptions
from ssd_perception.evaluation.failures import count_false_boxes
from ssd_perception.evaluation.latency import Latency, conditions, stage_times
from ssd_perception.inference.detector import Detector
from ssd_perception.inference.options import DetectorOptions

# Pascal VOC's name of a class -> COCO's, where they differ.
VOC_IN_COCO = {'aeroplane': 'airplane', 'diningtable': 'dining table', 'motorbike': 'motorcycle',
               'pottedplant': 'potted plant', 'sofa': 'couch', 'tvmonitor': 'tv'}
MARK = 'report.json'  # a folder with this file is an earlier report, and may be replaced


@dataclass(frozen=True)
class EvaluateOptions:
    """What to measure on what.

    Attributes:
        data: folder of labelled images, in one of the layouts of docs/data.md; ``split`` of it.
        detector: what to measure; its score threshold is that of the operating point.
        one_based: whether VOC's boxes are whole pixels from 1; None decides by the annotations.
        negatives: the images hold none of the classes, whatever their annotations name.
        corruptions: measure on corrupted images, too; takes fifteen times as long.
        report: folder for report.html and report.json; None writes nothing.
        names: the data's name of a class -> the weights' name. Where it is not None, classes of
            the weights that the images do not have are left out.
    """

    data: Path
    split: str = 'val'
    detector: DetectorOptions = field(default_factory=DetectorOptions)
    one_based: bool | None = None
    negatives: bool = False
    corruptions: bool = False
    report: Path | None = None
    names: Mapping[str, str] | None = None


def run(options: EvaluateOptions,
        log: Callable[[str], object] = lambda line: None) -> Evaluation:
    """Measure, and write the report where one is asked for.

    An image that cannot be decoded is named on stderr and left out.

    Args:
        log: called with a line that describes the detector before the measurement.

    Raises:
        UserError: for data, weights or options that cannot be used, before the measurement
            where it is known by then.
    """
    if options.negatives and options.corruptions:
        raise SettingError('--corruptions needs images with objects, and --negatives '
                           'images without; give one of the two.')
    if options.report:
        check_replaceable(options.report.expanduser().absolute(), MARK, [options.data])
    samples = read_split(options.data, options.split, options.one_based)
    log(f'Measuring on {taken(options.data, options.split)}: {len(samples)} images.')
    detector = options.detector.load()
    if options.negatives:
        samples = as_negatives(samples)
    if options.names is not None:
        samples = renamed(samples, options.names)
    _check_classes(options.data, samples, detector)
    log(detector.describe())
    return evaluate_detector(detector, samples, options.data, options.split, options.report,
                             options.corruptions,
                             None if options.names is None else class_names(samples))


def evaluate_detector(detector: Detector, samples: Sequence[Sample], data: Path, split: str,
                      report: Path | None = None, corruptions: bool = False,
                      classes: tuple[str, ...] | None = None) -> Evaluation:
    """Measure a detector that is loaded on samples that are read; see ``run``.

    Args:
        data, split: where the samples come from; they are named in the report.
        classes: what to measure; None for all that the detector has.
    """
    names = detector.class_names if not classes else tuple(
        name for name in detector.class_names if name in classes)
    detector.warm_up()  # or the first image would be the slow one
    measured = of_classes(
        measure(detector, samples, progress=True, skip_unreadable=True, classes=names),
        detector.class_names, names)
    threshold = detector.settings.score_threshold
    analysis = analyse(measured.detections, measured.truths, names, threshold)
    empty = not analysis.accuracy.objects and not analysis.accuracy.difficult
    evaluation = Evaluation(
        analysis, Latency(stage_times(measured.timings_ms), conditions(detector)),
        measured.skipped, _described(data, split, detector),
        count_false_boxes(measured.detections, threshold) if empty else None,
        under_corruptions(detector, measured.samples, True, names) if corruptions else None)
    if report:
        from ssd_perception.evaluation.report import write_report  # alone needs matplotlib

        title = f'{_stem(detector)} on {data.resolve().name} {split}'
        with result_folder(report, MARK) as folder:
            write_report(folder, measured, evaluation, title)
    return evaluation


def _check_classes(data: Path, samples: Sequence[Sample], detector: Detector) -> None:
    """Name at once every class that the data have and the weights have not."""
    unknown = [name for name in class_names(samples) if name not in detector.class_names]
    if unknown:
        raise DataError(
            f'{detector.path and detector.path.name} cannot be measured on {data}: it detects '
            f'{listed(detector.class_names, 20)}, but the images have {listed(unknown, 5)}; give '
            'weights trained on these classes, --names where they have other names, or '
            '--negatives if the images hold none of them.')


def _stem(detector: Detector) -> str:
    assert detector.path is not None  # from_weights
    return detector.path.stem


def _described(data: Path, split: str, detector: Detector) -> dict[str, str]:
    """Return the names of the weights and of the data, without paths of this machine."""
    assert detector.path is not None  # from_weights
    return {'weights': detector.path.name, 'weights SHA-256': detector.weights_hash,
            'recipe hash': detector.metadata.recipe_hash or 'none',
            'data': data.resolve().name, 'split': split,
            'measured by': f'ssd_perception {__version__}'}
