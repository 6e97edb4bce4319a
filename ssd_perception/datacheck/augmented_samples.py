"""A sheet of samples: each image with its boxes, and what training makes of it."""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from collections.abc import Sequence

import cv2
import numpy as np

from ssd_perception.core.detections import GroundTruth
from ssd_perception.core.text import printable
from ssd_perception.data.sample import Sample
from ssd_perception.datacheck.tiles import labelled_image
from ssd_perception.training.dataset import TrainingImages
from ssd_perception.training.recipe import Recipe
from ssd_perception.viz.contact_sheet import PAPER, spread
from ssd_perception.viz.drawing import draw_truth

ROWS, VERSIONS = 6, 4
_TILE, _GAP, _CAPTION, _INK = 300, 8, 26, 225


def augmented_samples(samples: Sequence[Sample], class_names: tuple[str, ...],
                      recipe: Recipe) -> np.ndarray | None:
    """Return uint8 RGB: in each row a sample as on disk, and ``VERSIONS`` of it as in training.

    The versions come from the class that training uses, at the recipe's input size; the last
    one is from the part of a run that has no mosaic.

    Args:
        samples: images that can be decoded, with classes among ``class_names``; those with
            objects are preferred. None is returned when there are none.
    """
    chosen = [s for s in samples if len(s.xyxy)] or list(samples)
    chosen = list({s.path: s for s in chosen}.values())  # one may be in several splits
    chosen = [chosen[i] for i in spread(len(chosen), ROWS)]
    if not chosen:
        return None
    # An epoch of these images shows each once; the last epochs of a run have no mosaic.
    share = dataclasses.replace(recipe.augmentation, mosaic_off=1 / VERSIONS)
    images = TrainingImages(chosen, class_names, dataclasses.replace(
        recipe, iterations=VERSIONS * len(chosen), batch_size=1, accumulate=1,
        augmentation=share))
    versions: dict[str, list[np.ndarray]] = defaultdict(list)
    for index in range(len(images)):
        item, origin = images[index]
        scale = _TILE / max(item.image.shape[:2])
        small = cv2.resize(item.image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        versions[origin.name].append(draw_truth(
            small, GroundTruth(item.xyxy * scale, item.labels), class_names))
    rows = [[labelled_image(sample, class_names, _TILE, _TILE), *versions[str(sample.path)]]
            for sample in chosen]
    return _sheet(rows, [printable(sample.path.name, 40) for sample in chosen])


def _sheet(rows: Sequence[Sequence[np.ndarray]], names: Sequence[str]) -> np.ndarray:
    heights = [min(_TILE, max(len(tile) for tile in row)) for row in rows]
    step = _TILE + _GAP
    sheet = np.full((_GAP + sum(heights) + _CAPTION * len(rows), _GAP + step * (VERSIONS + 1), 3),
                    PAPER, np.uint8)
    y = _GAP
    for row, height, name in zip(rows, heights, names):
        for j, tile in enumerate(row):
            x = _GAP + j * step
            tile = tile[:_TILE, :_TILE]
            sheet[y:y + tile.shape[0], x:x + tile.shape[1]] = tile
            caption = name if j == 0 else 'in training' + (
                ', without mosaic' if j == VERSIONS else '')
            cv2.putText(sheet, caption, (x + 2, y + height + 16), cv2.FONT_HERSHEY_SIMPLEX, 0.45,
                        (_INK,) * 3, 1, cv2.LINE_AA)
        y += height + _CAPTION
    return sheet
