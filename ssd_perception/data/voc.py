"""Read a folder in Pascal VOC layout: JPEGImages, Annotations, ImageSets/Main."""

from __future__ import annotations

import os
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

PICTURE_SUFFIXES = ('.jpg', '.jpeg', '.png')


class DataError(ValueError):
    """A data folder or a file in it cannot be used; the message names it."""


@dataclass(frozen=True)
class Sample:
    """One picture on disk and the objects in it.

    Attributes:
        path: the picture.
        xyxy: float32 (n, 4), continuous edges in the picture's pixels, from 0.
        names: n class names.
        difficult: bool (n,), VOC's flag: kept in training, ignored in evaluation.
    """

    path: Path
    xyxy: np.ndarray
    names: tuple[str, ...]
    difficult: np.ndarray


def read_voc(root: str | os.PathLike, split: str, one_based: bool = False) -> list[Sample]:
    """Read every annotation of a split; pictures are not opened.

    Args:
        root: the folder that holds ``JPEGImages``, ``Annotations`` and ``ImageSets``.
        split: file name in ``ImageSets/Main`` without ``.txt``.
        one_based: True for the original VOC sets, whose whole pixels count from 1 and are
            inclusive: edge = value - 1 at the low side, value at the high side.

    Raises:
        DataError: naming the file, what is wrong and what was expected.
    """
    root = Path(root).expanduser()
    listing = root / 'ImageSets' / 'Main' / f'{split}.txt'
    if not listing.is_file():
        there = sorted(p.stem for p in listing.parent.glob('*.txt'))
        raise DataError(f'{root} has no split "{split}" ({listing} is missing); '
                        f'splits there: {", ".join(there) or "none"}.')
    # The second column of the original per-class lists is not part of the name.
    names = [line.split()[0] for line in listing.read_text().splitlines() if line.strip()]
    if not names:
        raise DataError(f'{listing} lists no pictures.')
    return [_read_sample(root, name, one_based) for name in names]


def _read_sample(root: Path, name: str, one_based: bool) -> Sample:
    annotation = root / 'Annotations' / f'{name}.xml'
    try:
        tree = ElementTree.parse(annotation).getroot()
    except (OSError, ElementTree.ParseError) as error:
        raise DataError(f'{annotation} cannot be read as a VOC annotation: {error}.') from error
    boxes, names, difficult = [], [], []
    for item in tree.findall('object'):
        try:
            box = [float(item.find('bndbox').find(side).text)
                   for side in ('xmin', 'ymin', 'xmax', 'ymax')]
            names.append(item.find('name').text.strip())
        except (AttributeError, TypeError, ValueError) as error:
            raise DataError(f'{annotation}: an object lacks its name or one of bndbox/xmin, ymin, '
                            'xmax, ymax as numbers.') from error
        boxes.append(box)
        difficult.append((item.findtext('difficult') or '0').strip() == '1')
    xyxy = np.array(boxes, np.float32).reshape(-1, 4)
    if one_based:
        xyxy[:, :2] -= 1
    if not np.isfinite(xyxy).all() or (xyxy[:, 2:] <= xyxy[:, :2]).any():
        raise DataError(f'{annotation}: a box has no area (xmin < xmax and ymin < ymax needed).')
    return Sample(_picture(root, name), xyxy, tuple(names), np.array(difficult, bool))


def _picture(root: Path, name: str) -> Path:
    candidates = [root / 'JPEGImages' / (name + suffix) for suffix in PICTURE_SUFFIXES]
    for path in candidates:
        if path.is_file():
            return path
    raise DataError(f'No picture for "{name}": expected {candidates[0]} (or .jpeg, .png).')


def class_names(samples: Iterable[Sample]) -> tuple[str, ...]:
    """Return the names that occur, sorted: the class list when a recipe gives none."""
    return tuple(sorted({name for sample in samples for name in sample.names}))


def labels(sample: Sample, names: tuple[str, ...]) -> np.ndarray:
    """Return int64 (n,) indices of the sample's names into ``names``.

    Raises:
        DataError: naming the picture and the class that ``names`` lacks.
    """
    for name in sample.names:
        if name not in names:
            raise DataError(f'{sample.path}: class "{name}" is not one of {", ".join(names)}.')
    return np.array([names.index(name) for name in sample.names], np.int64)
