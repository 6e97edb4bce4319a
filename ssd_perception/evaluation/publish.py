"""The use-case behind ``ssd_perception publish``: measured weights with their card."""

from __future__ import annotations

import dataclasses
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ssd_perception.bags.frames import labelled_frames
from ssd_perception.core.detections import GroundTruth
from ssd_perception.core.errors import SettingError
from ssd_perception.core.format import format_number
from ssd_perception.core.metadata import Metadata
from ssd_perception.data.layout import read_split
from ssd_perception.data.sample import Sample
from ssd_perception.evaluation.accuracy import accuracy, low_threshold
from ssd_perception.evaluation.model_card import (
    copy_curves,
    write_card,
    write_failures,
    write_plots,
)
from ssd_perception.evaluation.weights_metrics import (
    SetMetrics,
    WeightsMetrics,
    measure_for_metadata,
)
from ssd_perception.inference.detector import Detector
from ssd_perception.inference.exported import cache_in
from ssd_perception.inference.trial import ensure_tried
from ssd_perception.model.weights import load_model, save_weights

RECORDING = 'recording'  # its name among the measured sets; demo compares with this one


@dataclass(frozen=True)
class NamedData:
    """Labelled images, and the name that the card gives them."""

    name: str
    folder: Path
    split: str = 'val'


@dataclass(frozen=True)
class PublishOptions:
    """What to publish, and what to measure it on.

    Attributes:
        weights: file to publish; ``out`` is the published file, with its card NAME.md beside it.
        data: what to measure on, at least one.
        negatives: images that hold none of the classes, whatever their annotations name.
        choose_on: names of ``data`` that choose the default score threshold, each with the same
            weight; empty for the first one.
        max_false_boxes: most false boxes an image of ``negatives`` that the threshold may leave;
            None: their number does not count.
        images: folder for the images of the card; None writes none.
        failures: name of ``data`` whose failures are shown there; empty for none.
        recording: rosbag2 with ground truth to measure on.
        attribution: whose data the weights were trained on.
        input_hw: height and width, px, multiples of 32, of another input for the same parameters:
            the network is fully convolutional and its anchors are in input pixels, so a larger
            input finds smaller objects, in more time. None keeps the weights' own.
    """

    weights: Path
    out: Path
    data: Sequence[NamedData]
    negatives: Sequence[NamedData] = ()
    choose_on: Sequence[str] = ()
    max_false_boxes: float | None = None
    images: Path | None = None
    failures: str = ''
    recording: Path | None = None
    attribution: str = ''
    input_hw: tuple[int, int] | None = None

    def __post_init__(self) -> None:
        names = [each.name for each in (*self.data, *self.negatives)]
        if repeated := [name for name in names if names.count(name) > 1]:
            raise SettingError(f'Two sets of images are named "{repeated[0]}"; give each its own '
                               'name.')
        known = [each.name for each in self.data]
        for option, name in (('--failures', self.failures), *(
                ('--choose-on', name) for name in self.choose_on)):
            if name and name not in known:
                raise SettingError(f'{option} must be one of {", ".join(known)}, got "{name}".')


def publish(options: PublishOptions,
            log: Callable[[str], object] = lambda line: None) -> Metadata:
    """Measure, choose the default threshold, write the file, in fp16, and its card.

    Args:
        log: called with a line about each thing that is not as expected.

    Returns:
        The metadata of the published file.

    Raises:
        UserError: for weights, data or a recording that cannot be used.
    """
    sets, negatives = _read(options.data), _read(options.negatives)
    ensure_tried(options.weights, 'torch')
    model, metadata = load_model(options.weights)
    if options.input_hw:
        metadata = dataclasses.replace(metadata, architecture=dataclasses.replace(
            metadata.architecture, input_hw=options.input_hw))
    with tempfile.TemporaryDirectory() as folder, cache_in(folder):
        # What is measured is what will be stored.
        stored = save_weights(Path(folder, options.weights.name), model, metadata, half=True)
        detector = Detector.from_weights(stored)
        measured = measure_for_metadata(
            detector, sets, negatives, options.choose_on, corruptions=True,
            max_false_boxes=options.max_false_boxes)
        metrics = measured.to_json()
        if options.recording:
            metrics[RECORDING] = _measure_recording(detector, options.recording).to_json()
    if options.images:
        _write_images(options.images, options, measured, log)
    metadata = dataclasses.replace(metadata, metrics=metrics, score_threshold=measured.threshold,
                                   attribution=options.attribution)
    save_weights(options.out, model, metadata, half=True)
    write_card(options.out.with_suffix('.md'), metadata)
    return metadata


def _read(data: Sequence[NamedData]) -> dict[str, list[Sample]]:
    # one_based None: as evaluate decides
    return {each.name: read_split(each.folder, each.split, one_based=None) for each in data}


def _write_images(folder: Path, options: PublishOptions, measured: WeightsMetrics,
                  log: Callable[[str], object]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    write_plots(folder, measured.measured[options.data[0].name][1])
    if not copy_curves(folder, options.weights):
        log(f'There are no training curves: {options.weights.parent / "curves.png"} does not '
            'exist.')
    if options.failures:
        write_failures(folder / 'failures.jpg', *measured.measured[options.failures])


def _measure_recording(detector: Detector, path: Path) -> SetMetrics:
    """Detect in every frame of a bag and compare with its ground-truth topic."""
    from tqdm import tqdm

    low = low_threshold(detector.settings)
    detections, truths = [], []
    for frame in tqdm(labelled_frames(path, detector.class_names), 'recording', unit='frame'):
        detections.append(detector.detect([frame.image], low).detections[0])
        truths.append(GroundTruth(frame.xyxy, frame.labels))
    return SetMetrics(accuracy(detections, truths, detector.class_names))


def describe(metrics: Mapping[str, dict], threshold: float) -> list[str]:
    """Return a line about each measured set of ``Metadata.metrics``."""
    rows = {name: SetMetrics.from_json(row, threshold) for name, row in metrics.items()}
    return [f'{name}: ' + (
        row.negatives.describe() if row.negatives else
        f'VOC10 AP50 {format_number(row.accuracy.voc10_ap50, digits=5)}, '
        f'COCO AP {format_number(row.accuracy.coco_ap, digits=5)}'
        if row.accuracy else 'not measured') for name, row in rows.items()]
