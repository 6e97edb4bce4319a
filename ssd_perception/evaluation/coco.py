"""COCO average precision, by pycocotools."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Sequence

import numpy as np
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from ssd_perception.core.detections import Detections
from ssd_perception.evaluation.voc import GroundTruth


def coco_ap(detections: Sequence[Detections], truths: Sequence[GroundTruth],
            class_names: Sequence[str]) -> dict[str, float]:
    """Return COCO's figures; one entry of ``detections`` and ``truths`` per image.

    Returns:
        ``coco_ap`` (mean over IoU 0.50 to 0.95), ``coco_ap50``, ``coco_ap75``,
        ``coco_ap_small``, ``_medium``, ``_large``; NaN where nothing is to be measured.
        Difficult objects count as crowd: neither missed nor false.
    """
    keys = ('coco_ap', 'coco_ap50', 'coco_ap75', 'coco_ap_small', 'coco_ap_medium',
            'coco_ap_large')
    annotations = []
    for image_id, truth in enumerate(truths):
        for label in range(len(class_names)):
            for box, difficult in zip(*truth.of_class(label)):
                x0, y0, x1, y1 = (float(v) for v in box)
                annotations.append({
                    'id': len(annotations) + 1, 'image_id': image_id, 'category_id': label,
                    'bbox': [x0, y0, x1 - x0, y1 - y0], 'area': (x1 - x0) * (y1 - y0),
                    'iscrowd': int(difficult)})
    results = [[image_id, x0, y0, x1 - x0, y1 - y0, score, label]
               for image_id, found in enumerate(detections)
               for (x0, y0, x1, y1), score, label
               in zip(found.xyxy, found.scores, found.labels)]
    if not annotations:
        return dict.fromkeys(keys, float('nan'))
    if not results:
        return dict.fromkeys(keys, 0.0)
    with contextlib.redirect_stdout(io.StringIO()):  # the library reports by print
        truth_set = COCO()
        truth_set.dataset = {
            'info': {}, 'images': [{'id': i} for i in range(len(truths))],
            'categories': [{'id': i, 'name': n} for i, n in enumerate(class_names)],
            'annotations': annotations}
        truth_set.createIndex()
        evaluation = COCOeval(truth_set, truth_set.loadRes(np.array(results, np.float64)), 'bbox')
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    # The library says -1 for "nothing to measure".
    return {key: float(value) if value >= 0 else float('nan')
            for key, value in zip(keys, evaluation.stats)}
