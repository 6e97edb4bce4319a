"""COCO average precision, by pycocotools."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from ssd_perception.core.boxes import area
from ssd_perception.core.detections import Detections, GroundTruth

# Bounds of COCO's size buckets, in square pixels of the source image.
SIZES = {'small': (0, 32 ** 2), 'medium': (32 ** 2, 96 ** 2), 'large': (96 ** 2, np.inf)}


@dataclass(frozen=True)
class CocoFigures:
    """COCO's average precisions, in [0, 1]; NaN where there is no object to find.

    Attributes:
        ap: mean over IoU 0.50 to 0.95 and over the classes; ``ap50``, ``ap75`` at one IoU.
        ap_small, ap_medium, ap_large: of objects of each of ``SIZES``.
        per_class: class name -> AP.
    """

    ap: float
    ap50: float
    ap75: float
    ap_small: float
    ap_medium: float
    ap_large: float
    per_class: Mapping[str, float]


def coco_figures(detections: Sequence[Detections], truths: Sequence[GroundTruth],
                 class_names: Sequence[str]) -> CocoFigures:
    """Measure as COCO does; one entry of ``detections`` and ``truths`` per image.

    pycocotools gets difficult objects as crowds: they are neither missed nor false, however
    often they are found. pycocotools divides the overlap with a crowd by the detection's own
    area. So a small box inside a difficult object is ignored here, and VOC counts it as false.
    The 100 best detections of each class in an image count.
    """
    annotations = [
        {'image_id': image, 'category_id': int(label), 'bbox': _xywh(box),
         'area': float(area(box)), 'iscrowd': int(difficult)}
        for image, truth in enumerate(truths)
        for box, label, difficult in zip(truth.boxes(), truth.labels, truth.flags())]
    results = [
        {'image_id': image, 'category_id': int(label), 'bbox': _xywh(box),
         'area': float(area(box)), 'score': float(score)}
        for image, found in enumerate(detections)
        for box, score, label in zip(_exact(found.xyxy), found.scores, found.labels)]
    with contextlib.redirect_stdout(io.StringIO()):  # the library reports by print
        evaluation = COCOeval(_dataset(annotations, len(truths), class_names),
                              _dataset(results, len(truths), class_names), 'bbox')
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    # (IoU, recall, class, size, most detections): all IoUs, any size, 100 detections.
    precision = evaluation.eval['precision'][:, :, :, 0, -1]
    ap, ap50, ap75, small, medium, large = map(_measured, evaluation.stats[:6])
    return CocoFigures(ap, ap50, ap75, small, medium, large, {
        name: _measured(precision[:, :, label].mean()) for label, name in enumerate(class_names)})


def size_of(areas: np.ndarray) -> np.ndarray:
    """Return (...,) indices into ``SIZES`` of areas in square pixels.

    A bound itself belongs to the larger bucket; the library counts it in both.
    """
    return np.searchsorted([high for _, high in SIZES.values()][:-1], areas, side='right')


def _exact(xyxy: np.ndarray) -> np.ndarray:
    # A function for the sake of mypy: numpy 2.2 types the rows of a float64 array as numbers.
    return xyxy.astype(np.float64)


def _xywh(box: np.ndarray) -> list[float]:
    x0, y0, x1, y1 = (float(v) for v in box)
    return [x0, y0, x1 - x0, y1 - y0]


def _dataset(annotations: list[dict], images: int, class_names: Sequence[str]) -> COCO:
    """Return what pycocotools would have read from a file, for ground truth or results alike.

    Its own ``loadRes`` refuses an empty list of results, and no detection at all is a normal
    outcome. Ids begin with 1, because 0 means "not matched" there.
    """
    data = COCO()
    data.dataset = {
        'info': {}, 'images': [{'id': i} for i in range(images)],
        'categories': [{'id': i, 'name': n} for i, n in enumerate(class_names)],
        'annotations': [{'id': i, 'iscrowd': 0, **a} for i, a in enumerate(annotations, 1)]}
    data.createIndex()
    return data


def _measured(value: float) -> float:
    """Replace pycocotools' -1, "nothing to measure", by NaN."""
    return float(value) if value >= 0 else float('nan')
