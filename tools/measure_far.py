"""Measure how small an object may be: recall by height on images shrunk into one of 640x480.

Few photographs show small objects that are clear; most are in rows, cut or blurred. So this
shrinks photographs into grids of 2x2, 3x3, 4x4 and 6x6, each grid one image, and counts the
objects that were large and clear before: not overlapped, not at the edge.

    python tools/measure_far.py --weights rover rover_far --data CONE_CUBE

It prints, for each class and height in the grid's pixels, how many objects the default
threshold finds, and how many false boxes the grids hold.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from ssd_perception.core.boxes import iou
from ssd_perception.core.detections import GroundTruth
from ssd_perception.core.errors import UserError
from ssd_perception.data.layout import read_split
from ssd_perception.data.sample import Sample
from ssd_perception.evaluation.accuracy import ground_truth
from ssd_perception.evaluation.voc import TRUE, match_class
from ssd_perception.inference.detector import Detector

HEIGHT, WIDTH = 480, 640
GRIDS = (2, 3, 4, 6)
BANDS = (0, 16, 24, 32, 48, 96, HEIGHT)  # heights, px
MIN_HEIGHT = 96  # of a large object, px in an image whose longer side is WIDTH
MAX_OVERLAP, MARGIN = 0.03, 3


@dataclass(frozen=True)
class Grid:
    """Images shrunk into one: uint8 (480, 640, 3) RGB, its objects, and which were clear."""

    image: np.ndarray
    truth: GroundTruth
    clear: np.ndarray


def is_clear(truth: GroundTruth, height: int, width: int) -> np.ndarray:
    """Return bool (n,): the objects that are large, alone and whole."""
    box = truth.xyxy
    overlapped = ((iou(box, box) - np.eye(len(box))) > MAX_OVERLAP).any(1)
    whole = ((box[:, :2] >= MARGIN) & (box[:, 2:] <= [width - MARGIN, height - MARGIN])).all(1)
    large = (box[:, 3] - box[:, 1]) * WIDTH / max(height, width) >= MIN_HEIGHT
    return whole & large & ~overlapped


def grids(samples: Sequence[Sample], class_names: tuple[str, ...], seed: int = 0
          ) -> Iterator[Grid]:
    """Give every image once in each size of grid; the last grid of a size is filled up."""
    order = np.random.default_rng(seed).permutation(len(samples))
    for side in GRIDS:
        for first in range(0, len(samples), side * side):
            cells = np.resize(np.roll(order, -first), side * side)
            yield _grid([samples[i] for i in cells], class_names, side)


def _grid(samples: Sequence[Sample], class_names: tuple[str, ...], side: int) -> Grid:
    height, width = HEIGHT // side, WIDTH // side
    canvas, boxes, labels, clear = np.zeros((HEIGHT, WIDTH, 3), np.uint8), [], [], []
    for cell, sample in enumerate(samples):
        image, truth = sample.image(), ground_truth(sample, class_names)
        y, x = cell // side * height, cell % side * width
        canvas[y:y + height, x:x + width] = cv2.resize(image, (width, height),
                                                       interpolation=cv2.INTER_AREA)
        scale = np.array([width / image.shape[1], height / image.shape[0]] * 2)
        boxes.append(truth.xyxy * scale + [x, y, x, y])
        labels.append(truth.labels)
        clear.append(is_clear(truth, *image.shape[:2]))
    return Grid(canvas, GroundTruth(np.concatenate(boxes), np.concatenate(labels)),
                np.concatenate(clear))


def measure(detector: Detector, made: Sequence[Grid]) -> list[str]:
    """Return a Markdown row for each class: found of all clear objects in each band."""
    detections = [detector(grid.image) for grid in made]
    rows = []
    for label, name in enumerate(detector.class_names):
        matches = match_class(detections, [grid.truth for grid in made], label)
        true = matches.outcome == TRUE
        found = set(zip(matches.image[true], matches.target[true]))
        bands = [[0, 0] for _ in BANDS[1:]]
        for i, grid in enumerate(made):
            for j in np.flatnonzero(grid.clear & (grid.truth.labels == label)):
                band = np.searchsorted(BANDS, grid.truth.xyxy[j, 3] - grid.truth.xyxy[j, 1],
                                       'right') - 1
                bands[band][0] += (i, j) in found
                bands[band][1] += 1
        if any(total for _, total in bands):
            rows.append(f'| {name} | ' + ' | '.join(f'{n} of {total}' for n, total in bands)
                        + f' | {np.count_nonzero(~true)} |')
    return rows


def main() -> None:
    """Print a table for each of the weights."""
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--weights', nargs='+', default=['rover', 'rover_far'])
    parser.add_argument('--data', type=Path, required=True, help='labelled images')
    parser.add_argument('--split', default='val')
    args = parser.parse_args()
    try:
        for weights in args.weights:
            detector = Detector(weights, device='cpu')
            made = list(grids(read_split(args.data, args.split, None), detector.class_names))
            print(f'{weights}, {len(made)} grids, threshold {detector.settings.score_threshold:g}')
            print('| class | ' + ' | '.join(f'{a} to {b} px' for a, b in zip(BANDS, BANDS[1:]))
                  + ' | false boxes |\n|' + '---|' * (len(BANDS) + 1))
            print(*measure(detector, made), sep='\n')
    except UserError as error:
        sys.exit(f'measure_far: {error}')


if __name__ == '__main__':
    main()
