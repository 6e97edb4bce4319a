"""Read a folder in Pascal VOC layout: JPEGImages, Annotations, ImageSets/Main."""

from __future__ import annotations

import os
import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ssd_perception.core.errors import DataError
from ssd_perception.data.sample import PICTURE_SUFFIXES, OnBad, Sample, make_sample, refuse

MAX_XML_BYTES = 10_000_000  # a picture with ten thousand objects has 3 MB
_SIDES = ('xmin', 'ymin', 'xmax', 'ymax')
_ORIGINAL = re.compile(r'The VOC20\d\d Database')
_WHOLE_SHARE = 0.95  # VOC2012 itself has a few boxes with decimals


def _text(item: ElementTree.Element, path: str) -> str:
    text = item.findtext(path)
    if not text:
        raise ValueError(f'no {path}')
    return text


class _Annotation(NamedTuple):
    """One file as it is written: edges not yet shifted, pictures not yet looked for."""

    path: Path
    name: str
    edges: np.ndarray  # float64 (n, 4)
    names: list[str]
    difficult: list[bool]
    stated_hw: tuple[int, int] | None
    database: str


def read_voc(root: str | os.PathLike, split: str, one_based: bool | None = False,
             on_bad: OnBad | None = None) -> list[Sample]:
    """Read every annotation of a split; pictures are not opened.

    Args:
        root: the folder that holds ``JPEGImages``, ``Annotations`` and ``ImageSets``.
        split: file name in ``ImageSets/Main`` without ``.txt``.
        one_based: True for the original VOC sets, whose whole pixels count from 1 and are
            inclusive: edge = value - 1 at the low side, value at the high side. None decides
            by what only the original sets have.
        on_bad: takes what is wrong with single files; the file (or a box without area) is left
            out and reading goes on. None raises at the first.

    Raises:
        DataError: naming the file, what is wrong and what was expected; with ``on_bad`` only
            when the split cannot be read at all.
    """
    root = Path(root).expanduser()
    found = []
    for name in listed(root, split):
        try:
            found.append(_read_annotation(root / 'Annotations' / f'{name}.xml', name))
        except DataError as error:
            refuse(error, on_bad)
    if one_based is None:
        one_based = _counts_from_one(found)
    samples = []
    for item in found:
        try:
            picture = _picture(root, item.name)
        except DataError as error:
            refuse(error, on_bad)
            continue
        edges = item.edges - np.array([1, 1, 0, 0]) if one_based else item.edges
        samples.append(make_sample(picture, edges, item.names, item.difficult, item.path,
                                   item.stated_hw, on_bad))
    return samples


def splits(root: Path) -> list[str]:
    """Return the names that ``ImageSets/Main`` lists pictures under, sorted.

    The original sets also list them per class (``cat_train.txt``); those are left out.
    """
    there = {path.stem for path in (root / 'ImageSets' / 'Main').glob('*.txt')}
    return sorted(name for name in there if name.rpartition('_')[2] not in there - {name})


def listing(root: Path, split: str) -> Path:
    """Return where the list of the split's pictures lies, whether it is there or not."""
    return root / 'ImageSets' / 'Main' / f'{split}.txt'


def listed(root: Path, split: str) -> list[str]:
    """Return the names of the split's pictures, in the file's order.

    Raises:
        DataError: when there is no such split, or nothing in it.
    """
    path = listing(root, split)
    try:
        lines = [line.strip() for line in path.read_text(encoding='utf-8').splitlines()]
    except FileNotFoundError as error:
        raise DataError(f'{root} has no split "{split}" ({path} is missing); splits there: '
                        f'{", ".join(splits(root)) or "none"}.', path) from error
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f'{path} cannot be read as a list of pictures: {error}.',
                        path) from error
    # The second column of the original per-class lists is not part of the name.
    names = [re.sub(r'\s+-?[01]$', '', line) for line in lines if line]
    if not names:
        raise DataError(f'{path} lists no pictures.', path)
    return names


def _read_annotation(path: Path, name: str) -> _Annotation:
    try:
        if path.stat().st_size > MAX_XML_BYTES:
            raise DataError(f'{path} has {path.stat().st_size} bytes, more than a VOC annotation '
                            f'may have ({MAX_XML_BYTES}).', path)
        tree = ElementTree.parse(path).getroot()
    except (OSError, ElementTree.ParseError, UnicodeError, LookupError) as error:
        raise DataError(f'{path} cannot be read as a VOC annotation: {error}.', path) from error
    boxes, names, difficult = [], [], []
    for item in tree.findall('object'):
        try:
            boxes.append([float(_text(item, f'bndbox/{side}')) for side in _SIDES])
            names.append(_text(item, 'name').strip())
        except ValueError as error:
            raise DataError(f'{path}: an object lacks its name or one of bndbox/xmin, ymin, '
                            'xmax, ymax as numbers.', path) from error
        if not names[-1]:
            raise DataError(f'{path}: an object lacks its name.', path)
        difficult.append((item.findtext('difficult') or '0').strip() == '1')
    return _Annotation(path, name, np.array(boxes, np.float64).reshape(-1, 4), names, difficult,
                       _stated_hw(tree), tree.findtext('source/database') or '')


def _stated_hw(tree: ElementTree.Element) -> tuple[int, int] | None:
    """Return the picture's height and width if the annotation gives both, above 0."""
    try:
        height, width = (int(float(tree.findtext(f'size/{side}') or 0))
                         for side in ('height', 'width'))
    except (ValueError, OverflowError):
        return None
    return (height, width) if height > 0 and width > 0 else None


def _counts_from_one(annotations: Sequence[_Annotation]) -> bool:
    """Tell whether boxes count from 1, by what only the original VOC sets have together.

    Every annotation names "The VOC20xx Database", (nearly) all edges are whole, and none is
    below 1, which would prove the contrary. Everything else counts from 0 here; a set made
    from VOC by a tool that kept the name but not the numbers usually has decimals or a 0.
    """
    edges = np.concatenate([item.edges for item in annotations] or [np.zeros((0, 4))])
    return (len(edges) > 0
            and all(_ORIGINAL.fullmatch(item.database.strip()) for item in annotations)
            and bool((edges >= 1).all()) and float((edges % 1 == 0).mean()) >= _WHOLE_SHARE)


def _picture(root: Path, name: str) -> Path:
    candidates = [root / 'JPEGImages' / (name + suffix) for lower in PICTURE_SUFFIXES
                  for suffix in (lower, lower.upper())]
    for path in candidates:
        if path.is_file():
            return path
    raise DataError(f'No picture for "{name}": expected {candidates[0]} (or .jpeg, .png).',
                    candidates[0], 'missing picture')
