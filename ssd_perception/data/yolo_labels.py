"""Find the label files of a folder in YOLO's layout, and parse their lines."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from ssd_perception.core.errors import DataError
from ssd_perception.core.safe_path import regular_file
from ssd_perception.core.text import printable
from ssd_perception.data.folder import files_below, images_below, split_of, without_prefix
from ssd_perception.data.sample import OTHER_SUFFIXES

# Case by case: a folder "Images" is beside "Labels".
_LABELS_FOR = {'images': 'labels', 'Images': 'Labels', 'IMAGES': 'LABELS'}
_MAX_SHARE = 2.0  # of an image; boxes reach over the edge, but pixels are larger
_MAX_POINT = 1.5  # of a polygon; a visible keypoint has a 2 behind it


def label_file(root: Path, image: Path) -> Path | None:
    """Return the file with an image's labels, or None.

    It lies in ``labels`` in place of the last ``images`` of the path, beside the image, or in a
    ``labels`` folder below or beside the image's folder.
    """
    return next((path for path in _label_places(root, image) if os.path.isfile(path)
                 and path.name != 'classes.txt' and path.is_relative_to(root)), None)


def _label_places(root: Path, image: Path) -> Iterator[Path]:
    parts = image.relative_to(root).with_suffix('.txt').parts
    at = next((at for at in range(len(parts) - 2, -1, -1) if parts[at] in _LABELS_FOR), None)
    if at is not None:
        yield Path(root, *parts[:at], _LABELS_FOR[parts[at]], *parts[at + 1:])
    yield image.with_suffix('.txt')
    yield image.parent / 'labels' / parts[-1]
    yield image.parent.parent / 'labels' / parts[-1]
    yield root / 'labels' / Path(*parts)


def labels_by_name(root: Path, images: Sequence[Path]) -> dict[Path, Path | None]:
    """Return image -> labels for files of labels in any folder of the image's split.

    For folders in which no image has labels in one of the usual places: "a.txt" or "a.jpg.txt"
    for "a.jpg", or Label Studio's "0123abcd-a.txt". None where several images or files have the
    name.

    Args:
        images: all of ``root``; a name that is unique in one split may be another split's too.
    """
    files: dict[tuple[str, str], list[Path]] = defaultdict(list)
    uploaded: dict[tuple[str, str], list[Path]] = defaultdict(list)
    for path in files_below(root, ('.txt',)):
        split, name = split_of(root, path), without_prefix(path.stem)
        files[split, path.stem].append(path)
        if name != path.stem:
            uploaded[split, name].append(path)
    wanted: dict[tuple[Path, ...], list[Path]] = defaultdict(list)
    for image in images:
        split = split_of(root, image)
        paths = files.get((split, image.stem)) or files.get((split, image.name)) \
            or uploaded.get((split, image.stem)) or []
        wanted[tuple(paths)].append(image)
    return {image: paths[0] if len(same) == len(paths) == 1 else None
            for paths, same in wanted.items() if any(map(_holds_labels, paths))
            for image in same}


def _holds_labels(path: Path) -> bool:
    """Return whether a text file's first line is one of labels."""
    try:
        with open(regular_file(path), 'rb') as file:
            words = file.readline(1000).split()
        return len(words) >= 5 and len([float(word) for word in words]) >= 5
    except (OSError, ValueError, DataError):
        return False


def without_image(root: Path, used: set[Path]) -> Iterator[DataError]:
    """Yield what is wrong with files of labels, in the folders of ``used`` ones, without image."""
    left = sorted(path for folder in {path.parent for path in used}
                  for path in folder.glob('*.txt') if path not in used)
    known: set[str] = set()
    others: dict[str, Path] = {}
    if left:
        known = {name for image in images_below(root) for name in (image.stem, image.name)}
        others = {path.stem: path for path in files_below(root, OTHER_SUFFIXES)}
    for path in left:
        if path.stem in known or not _holds_labels(path):
            continue
        if other := others.get(path.stem):
            yield DataError(f'{other}: {other.suffix[1:].upper()} is not read; convert it to JPEG '
                            'or PNG.', other, 'unreadable picture')
        else:
            yield DataError(f'{path}: no image for these labels; an image called {path.stem} is '
                            'expected.', path, 'missing picture')


def parse_object(words: list[str], keypoints: bool) -> tuple[list[float], int]:
    """Return an object's edges, from 0 to 1 of the image's width and height, and its class.

    Raises:
        ValueError: a part of a sentence: what was expected.
    """
    try:
        number, *values = map(float, words)
    except ValueError:
        raise ValueError('a class number and fractions of the image are expected, got '
                         f'"{printable(" ".join(words), 40)}"') from None
    if not number.is_integer() or number < 0:
        raise ValueError(f'the class must be a whole number from 0 on, got {words[0][:40]}')
    if not all(abs(value) <= _MAX_SHARE for value in values[:4 if keypoints else None]):
        raise ValueError('x, y, width and height must be fractions of the image, from 0 to 1, '
                         f'got "{printable(" ".join(words), 40)}"')
    if len(values) in (4, 5) or keypoints and len(values) > 4:  # a fifth is a score
        x, y, width, height = values[:4]
        return [x - width / 2, y - height / 2, x + width / 2, y + height / 2], int(number)
    if len(values) < 6 or len(values) % 2:
        raise ValueError('"class x y width height" or "class" and a polygon of at least three '
                         f'points is expected, got {len(words)} numbers')
    if max(values) > _MAX_POINT:
        raise ValueError('a polygon is expected to be in the image; keypoints need "kpt_shape" in '
                         'data.yaml')
    points = np.array(values).reshape(-1, 2)
    return [*points.min(0).tolist(), *points.max(0).tolist()], int(number)
