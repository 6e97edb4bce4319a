"""The network's input size for a data set: what its images and their small objects need.

docs/training.md has the reason and the measurement behind each rule.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ssd_perception.core.errors import DataError
from ssd_perception.core.metadata import MAX_OUTPUTS
from ssd_perception.data.sample import Sample
from ssd_perception.imaging.files import image_size

GRID = 32  # px, of input sides
SHORTEST = 320  # px, long side of an input
LONGEST = 1600  # px
AREA = 512 ** 2  # px, of an input; time follows it
TINY_AREA = 1024 ** 2  # px, where small objects would otherwise be smaller than TINY_PX
SMALL_PX = 24.0  # what a small object should measure in the input: three cells of P3
TINY_PX = 12.0  # the least that is worth a larger input
THIN = 3  # widths that a long object counts as at most: at TINY_PX it is then as wide as training
# keeps (``sample.MIN_SIDE_PX``)
LOST_PX = 8.0  # one cell of P3: smaller objects are hardly found
SMALL_SHARE = 0.1  # of the objects that are smaller
_SAMPLED = 2000  # images that are looked at
_PER_PX = 9 * 4 / 3 / 8 ** 2  # anchors of an input, nine to a cell of P3 and coarser levels


@dataclass(frozen=True)
class Look:
    """Boxes and images of a data set.

    Attributes:
        boxes: per image float (n, 4), px.
        sizes: per image height and width, px.
    """

    boxes: list[np.ndarray]
    sizes: list[tuple[int, int]]

    @classmethod
    def at(cls, samples: Sequence[Sample]) -> Look:
        """Look at up to ``_SAMPLED`` samples; images whose size cannot be read are left out.

        Raises:
            DataError: when no image can be read, or there is no object.
        """
        step = max(1, len(samples) // _SAMPLED)
        boxes, sizes = [], []
        for sample in samples[::step]:
            try:
                sizes.append(sample.stated_hw or image_size(sample.path))
            except DataError:
                continue
            boxes.append(sample.xyxy)
        if not any(map(len, boxes)):
            raise DataError('The training images hold no object with a box that could be read; '
                            '`ssd_perception check_data` shows what is wrong.')
        return cls(boxes, sizes)

    def small(self) -> float:
        """Return the side of a small object, as a share of its image's long side.

        That is the root of its area, at most ``THIN`` times its shorter side.
        """
        shares = []
        for box, size in zip(self.boxes, self.sizes):
            sides = box[:, 2:] - box[:, :2]
            shares.append(np.minimum(np.sqrt(sides.prod(1)), THIN * sides.min(1)) / max(size))
        return float(np.quantile(np.concatenate(shares), SMALL_SHARE))


def input_size(look: Look, classes: int) -> tuple[tuple[int, int], str]:
    """Return height and width of the input for these images and so many classes, and why."""
    small = max(look.small(), 1e-4)
    longest = float(np.median([max(size) for size in look.sizes]))
    aspect = float(np.median([width / height for height, width in look.sizes]))
    narrow = min(aspect, 1 / aspect)
    # The planner may fit up to twice as many anchors.
    room = MAX_OUTPUTS / (2 * _PER_PX * (classes + 4))
    usual, largest = (min(LONGEST, math.sqrt(min(area, room) / narrow))
                      for area in (AREA, TINY_AREA))
    wanted = min(SMALL_PX / small, longest, max(usual, min(TINY_PX / small, largest)))
    # Down from the limit: rounding must not exceed it.
    side = GRID * max(SHORTEST // GRID, int(min(round(wanted / GRID), largest // GRID)))
    short = max(GRID * 2, GRID * round(side * narrow / GRID))
    hw = (short, side) if aspect >= 1 else (side, short)
    return hw, seen_as(look, hw)


def seen_as(look: Look, input_hw: tuple[int, int]) -> str:
    """Return a sentence on how large the small objects are in an input of this size."""
    small, longest = max(look.small(), 1e-4), float(np.median([max(size) for size in look.sizes]))
    aspect = float(np.median([width / height for height, width in look.sizes]))
    seen = small * max(input_hw)
    reason = (f'images of {aspect:.2f} width / height; a tenth of the objects are smaller than '
              f'{100 * small:.2g} % of the long side, {seen:.0f} px here')
    if seen < LOST_PX:
        part = 10 * max(1, round(math.sqrt(AREA) * small * longest / SMALL_PX / 10))
        reason += (', too small to be found. Cut the images into overlapping parts of about '
                   f'{part} x {part} px and label those; what is searched later has to be cut '
                   'likewise')
    return reason + '.'
