"""The figures inside a weights file: measured by train and publish, read by the model card."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ssd_perception.core.errors import SettingError
from ssd_perception.core.format import from_json, to_json
from ssd_perception.core.metadata import MetadataError
from ssd_perception.core.text import one_line
from ssd_perception.data.sample import Sample, as_negatives
from ssd_perception.evaluation.accuracy import (
    Accuracy,
    Measurement,
    detect_samples,
    measure,
)
from ssd_perception.evaluation.analysis import Analysis, analyse, point_to_json
from ssd_perception.evaluation.calibration import Calibration
from ssd_perception.evaluation.corruptions import CorruptedAccuracy, under_corruptions
from ssd_perception.evaluation.failures import FalseBoxes, count_false_boxes
from ssd_perception.evaluation.thresholds import OperatingPoint, best_threshold, least_threshold
from ssd_perception.evaluation.voc import precision_recall
from ssd_perception.inference.detector import Detector


@dataclass(frozen=True)
class SetMetrics:
    """The figures of a weights file on one set of images: either accuracy or false boxes.

    Attributes:
        accuracy: None for images without objects.
        negatives: only for images without objects.
        chose_threshold: whether the default threshold was chosen on this set, perhaps with
            others.
        at_default_threshold: of all classes together.
        best_f1: class name -> operating point at the class's own best threshold.
        calibration: its error at the default threshold.
        corruptions: measured on the first set alone, as they take eighteen times as long.
        max_false_boxes: most false boxes an image of ``negatives`` that the default threshold
            was allowed to leave; None where their number did not count.
    """

    accuracy: Accuracy | None = None
    negatives: FalseBoxes | None = None
    chose_threshold: bool = False
    at_default_threshold: OperatingPoint | None = None
    best_f1: Mapping[str, OperatingPoint] = field(default_factory=dict)
    calibration: Calibration | None = None
    corruptions: Sequence[CorruptedAccuracy] = ()
    max_false_boxes: float | None = None

    def to_json(self) -> dict[str, Any]:
        """Return this set's entry of ``Metadata.metrics``."""
        if self.accuracy is None:
            limit = {} if self.max_false_boxes is None else {
                'max_false_boxes': self.max_false_boxes}
            return {'negatives': to_json(self.negatives), **limit}
        row = to_json(self.accuracy)
        for name, point in self.best_f1.items():
            row['per_class'][name]['best_f1'] = to_json(point)
        if self.at_default_threshold is not None:
            row['at_default_threshold'] = point_to_json(self.at_default_threshold)
        if self.chose_threshold:
            row['chose_threshold'] = True
        if self.calibration is not None:
            row['calibration'] = to_json(self.calibration)
        if self.corruptions:
            row['corruptions'] = to_json(self.corruptions)
        return row

    @classmethod
    def from_json(cls, row: Mapping[str, Any], threshold: float) -> SetMetrics:
        """Read an entry of ``Metadata.metrics``, also one of an earlier version.

        Args:
            threshold: the default threshold of the weights.

        Raises:
            MetadataError: when it is no such entry.
        """
        try:
            if 'negatives' in row:
                limit = row.get('max_false_boxes')
                return cls(negatives=from_json(FalseBoxes, row['negatives']),
                           max_false_boxes=None if limit is None else float(limit))
            point, bins = row.get('at_default_threshold'), row.get('calibration')
            return cls(
                from_json(Accuracy, row), chose_threshold=row.get('chose_threshold', False),
                at_default_threshold=None if point is None else from_json(OperatingPoint, {
                    'threshold': threshold, **point}),
                best_f1={name: from_json(OperatingPoint, each['best_f1'])
                         for name, each in row['per_class'].items() if each.get('best_f1')},
                calibration=None if bins is None else from_json(Calibration, bins),
                corruptions=[from_json(CorruptedAccuracy, each)
                             for each in row.get('corruptions', ())])
        except (TypeError, ValueError, OverflowError, KeyError, AttributeError) as error:
            raise MetadataError(f'"metrics" of the weights are not those of this package '
                                f'({one_line(error, 200)}); measure the weights again with '
                                'publish.') from error


@dataclass(frozen=True)
class WeightsMetrics:
    """The default threshold of weights, and the figures of each set of images at it.

    Attributes:
        threshold: see ``thresholds.best_threshold``.
        sets: name -> its figures.
        measured: name -> what was detected, and its analysis at ``threshold``; not for
            negatives.
    """

    threshold: float
    sets: Mapping[str, SetMetrics]
    measured: Mapping[str, tuple[Measurement, Analysis]]

    def to_json(self) -> dict[str, Any]:
        """Return ``Metadata.metrics``."""
        return {name: row.to_json() for name, row in self.sets.items()}


def measure_for_metadata(
        detector: Detector, sets: Mapping[str, Sequence[Sample]],
        negatives: Mapping[str, Sequence[Sample]] | None = None, choose_on: Sequence[str] = (),
        corruptions: bool = False, max_false_boxes: float | None = None,
        skip_unreadable: bool = False) -> WeightsMetrics:
    """Choose the default threshold of weights and measure all figures of their file.

    Args:
        sets: name -> labelled images, at least one set.
        negatives: name -> images that hold none of the classes, whatever their annotations name.
        choose_on: names of ``sets`` that choose the threshold, each with the same weight; the
            first set where none is named.
        corruptions: measure under corruptions on the first set, too.
        max_false_boxes: most false boxes an image of any of ``negatives`` that the threshold may
            leave; None: their number does not count.
        skip_unreadable: leave out images of ``sets`` that cannot be decoded.

    Raises:
        SettingError: when ``choose_on`` names an unknown set.
        DataError: see ``accuracy.measure``.
    """
    choose_on = list(choose_on) or list(sets)[:1]
    if unknown := [name for name in choose_on if name not in sets]:
        raise SettingError(f'The threshold can be chosen on {", ".join(sets)}, got '
                           f'"{unknown[0]}"; name one of these.')
    names = detector.class_names
    found = {name: measure(detector, samples, progress=True, skip_unreadable=skip_unreadable)
             for name, samples in sets.items()}
    empty = {name: detect_samples(detector, as_negatives(samples), progress=True)
             for name, samples in (negatives or {}).items()}
    threshold = best_threshold(
        [[precision_recall(found[name].detections, found[name].truths, label)
          for label in range(len(names))] for name in choose_on],
        max((least_threshold(each, max_false_boxes) for each in empty.values()), default=0.0)
        if max_false_boxes is not None else 0.0)
    analyses = {name: analyse(m.detections, m.truths, names, threshold)
                for name, m in found.items()}
    rows = {name: SetMetrics(
        a.accuracy, chose_threshold=name in choose_on, at_default_threshold=a.operating_point,
        best_f1={label: c.best_f1 for label, c in a.classes.items() if c.best_f1},
        calibration=a.calibration, corruptions=under_corruptions(
            detector, found[name].samples, progress=True) if corruptions and not i else ())
        for i, (name, a) in enumerate(analyses.items())}
    for name, each in empty.items():
        rows[name] = SetMetrics(negatives=count_false_boxes(each, threshold),
                                max_false_boxes=max_false_boxes)
    return WeightsMetrics(threshold, rows,
                          {name: (found[name], analyses[name]) for name in sets})
