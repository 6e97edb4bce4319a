"""Small images of a data set's problems: the image with its boxes, or a pair side by side."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import cv2
import numpy as np

from ssd_perception.core.boxes import clip
from ssd_perception.core.detections import Detections, GroundTruth
from ssd_perception.core.errors import DataError
from ssd_perception.data.sample import Sample
from ssd_perception.datacheck.problems import Problem
from ssd_perception.viz.contact_sheet import PAPER, centred, fit
from ssd_perception.viz.drawing import draw_truth
from ssd_perception.viz.tiles import TILE, tile

_GREY = 150


def problem_tile(problem: Problem, samples: Mapping[Path, Sample],
                 class_names: tuple[str, ...]) -> np.ndarray | None:
    """Return uint8 RGB: the box with its surroundings, or the image, or the pair.

    Args:
        samples: by their image.

    Returns:
        None for a problem that is not about an image.
    """
    files = [file for file in (problem.file, problem.other) if file and file in samples]
    if not files:
        return None
    if problem.box is not None:
        sample = samples[files[0]]
        image = sample.image()
        boxes = clip(sample.xyxy, image.shape[1], image.shape[0])
        return tile(image, np.array(problem.box), Detections.empty(),
                    GroundTruth(boxes, np.zeros(len(boxes), int)), class_names)
    tiles = [labelled_image(samples[file], class_names, TILE, TILE) for file in files]
    return np.hstack([centred(image, TILE, TILE) for image in tiles])


def labelled_image(sample: Sample, class_names: tuple[str, ...], width: int,
                     height: int) -> np.ndarray:
    """Return the image fitted into ``width`` x ``height`` px, boxes and classes drawn.

    An image that cannot be decoded becomes a grey field with a note.
    """
    try:
        image = sample.image()
    except DataError:
        field = np.full((height, width, 3), PAPER, np.uint8)
        cv2.putText(field, 'cannot be decoded', (8, height // 2), cv2.FONT_HERSHEY_SIMPLEX, 0.5,
                    (_GREY,) * 3, 1, cv2.LINE_AA)
        return field
    small = fit(image, width, height)
    scale = np.array([small.shape[1] / image.shape[1], small.shape[0] / image.shape[0]] * 2)
    xyxy = clip(sample.xyxy.astype(np.float64) * scale, small.shape[1], small.shape[0])
    labels = np.array([class_names.index(name) for name in sample.names], np.int64)
    return draw_truth(small, GroundTruth(xyxy, labels), class_names)
