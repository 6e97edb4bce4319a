"""Read a data folder in whichever layout it has: one of ``LAYOUTS``."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from ssd_perception.core.errors import DataError
from ssd_perception.core.safe_path import did_you_mean, inside, regular_file
from ssd_perception.core.safe_yaml import YamlError, read_yaml
from ssd_perception.core.text import printable
from ssd_perception.data import coco, voc, yolo
from ssd_perception.data.archive import SUFFIXES, unpacked
from ssd_perception.data.division import Division, divide, stored
from ssd_perception.data.folder import HIDDEN, SPLITS, canonical, files_below
from ssd_perception.data.other_formats import describe
from ssd_perception.data.sample import (
    IMAGE_SUFFIXES,
    OTHER_SUFFIXES,
    OnBad,
    Sample,
    class_name,
    refuse,
)

LABELLED_FILE = 'dataset.yaml'  # its "classes" are those that the folder labels
_MADE = ('val', 'valid', 'validation')  # names of a split that is made where there is none
_MAX_NESTED = 3  # folders that hold nothing but one folder, as archives unpack to
_ABOUT = ('readme', 'license', 'licence')  # files beside the data
_PARTS = ('annotations', 'images', 'imagesets', 'jpegimages', 'labels')  # of a data set


class Layout(NamedTuple):
    """A way in which folders hold annotations.

    Attributes:
        name: for people.
        looked_for: what a folder of this layout has, with SPLIT for the split's name.
        has: root, split -> whether the split is there, by exactly this name.
        splits: root -> the names of all splits there, sorted; empty for another layout.
        read: root, split, one_based, on_bad -> samples; see ``read_split``.
    """

    name: str
    looked_for: str
    has: Callable[[Path, str], bool]
    splits: Callable[[Path], list[str]]
    read: Callable[[Path, str, bool | None, OnBad | None], list[Sample]]


# The first that has a split is taken.
LAYOUTS = (
    Layout('Pascal VOC', 'ImageSets/Main/SPLIT.txt',
           lambda root, split: voc.listing(root, split).is_file(), voc.splits, voc.read_voc),
    Layout('COCO', 'annotations/instances_SPLIT.json or SPLIT/_annotations.coco.json',
           lambda root, split: any(path.is_file() for path in coco.annotation_files(root, split)),
           coco.splits,
           lambda root, split, one_based, on_bad: coco.read_coco(root, split, on_bad)),
    Layout('YOLO', 'data.yaml, obj.data, or images with labels and classes.txt',
           lambda root, split: split in yolo.splits(root), yolo.splits,
           lambda root, split, one_based, on_bad: yolo.read_yolo(root, split, on_bad)),
    Layout('Pascal VOC without lists', 'XML files beside the images or in annotations/',
           lambda root, split: split in voc.loose_splits(root), voc.loose_splits,
           voc.read_loose_voc),
)


class Found(NamedTuple):
    """Where the annotations of a split were found.

    Attributes:
        root: the folder that holds them: the one that was given, or one inside of it.
        layout: how.
        split: its name there.
    """

    root: Path
    layout: Layout
    split: str

    def __str__(self) -> str:
        files = f', {yolo.describe_files(self.root)}' if self.layout.name == 'YOLO' else ''
        return (f'{printable(self.root, 1000)}, split "{printable(self.split)}" '
                f'({self.layout.name}{files})')


def read_split(root: str | os.PathLike, split: str, one_based: bool | None = False,
               on_bad: OnBad | None = None) -> list[Sample]:
    """Read every annotation of a split; images are not decoded.

    Where a folder has no validation split, ``val`` is what ``division.divide`` sets aside of its
    training split, and once that is written down, ``train`` is the rest.

    Args:
        root: a folder in one of ``LAYOUTS``, or a zip archive of one.
        split: its name, such as ``train``; see ``find_split`` for other names.
        one_based: whether VOC's boxes count from 1; None finds out. All others count from 0.
        on_bad: takes what is wrong with single files or entries, which are left out; a box
            without area costs its object, anything else its image. None raises at the first.

    Raises:
        DataError: naming what is wrong and what was looked for; with ``on_bad`` only when the
            split cannot be read as a whole, or nothing of it is left.
    """
    folder = data_root(root)
    if split.lower() in _MADE and not _has_on_disk(folder, split):
        if _find(folder, 'train'):
            division = read_divided(folder, 'train', one_based, on_bad or (lambda error: None))
            if division.val:
                return division.val
        find_split(root, split)  # raises
    found = find_split(root, split)
    samples = _read(found, one_based, on_bad)
    if canonical(split) == 'train' and stored(folder, found.split) is not None \
            and not _has_on_disk(folder, 'val'):
        return divide(folder, found.split, samples).train
    return samples


def read_divided(root: str | os.PathLike, split: str = 'train', one_based: bool | None = False,
                 on_bad: OnBad | None = None) -> Division:
    """Read a training split and set a part of it aside for validation; see ``read_split``."""
    found = find_split(root, split)
    return divide(found.root, found.split, _read(found, one_based, on_bad))


def _read(found: Found, one_based: bool | None, on_bad: OnBad | None) -> list[Sample]:
    """Read a split as it is on disk."""
    first: DataError | None = None  # alone: a million of them would take gigabytes
    count = 0

    def collect(error: DataError) -> None:
        nonlocal first, count
        first, count = first or error, count + 1
        refuse(error, on_bad)

    samples = found.layout.read(found.root, found.split, one_based, collect)
    if not samples:
        if count and not holds_images(found.root):
            raise DataError(describe(found.root) or f'{found.root} holds no images.', found.root,
                            'missing picture')
        failed = '1 file' if count == 1 else f'{count} files or entries'
        more = f', the first is: {first}' if first else '.'
        raise DataError(f'Nothing of the split "{found.split}" of {found.root} can be used: '
                        f'{failed} failed{more}',
                        *((first.file, first.problem) if first else ()))
    labelled = labelled_classes(found.root)
    return [replace(sample, labelled=labelled) for sample in samples] if labelled else samples


def holds_images(folder: Path) -> bool:
    """Return whether there is an image of any format below ``folder``."""
    return next(files_below(folder, (*IMAGE_SUFFIXES, *OTHER_SUFFIXES)), None) is not None


def find_split(root: str | os.PathLike, split: str) -> Found:
    """Return where the annotations of a split are.

    A split that has no such name on disk is found by what it is for: ``val`` finds ``valid`` and
    ``val2017``. ``train`` finds the one split of a folder that has none called train, val or test.

    Raises:
        DataError: when there is no such split; the message names what was looked for.
    """
    folder = data_root(root)
    found = _find(folder, split)
    if found:
        return found
    if folder.exists() and not folder.is_dir():
        raise DataError(f'{folder} is one file; a folder of images and labels, or a zip archive '
                        'of one, is expected.', folder)
    if not folder.is_dir():
        raise DataError(f'There is no folder {folder}.{did_you_mean(folder)}', folder)
    if there := _on_disk(folder):
        raise DataError(f'{folder} has no split "{split}"; splits there: {", ".join(there)}; '
                        'name one of them with --split.', folder)
    given = Path(root).expanduser()
    if other := describe(given if given.is_dir() else folder):
        raise DataError(other, folder)
    looked = '; '.join(f'{layout.looked_for.replace("SPLIT", split)} ({layout.name})'
                       for layout in LAYOUTS)
    raise DataError(f'{folder} has no split "{split}": looked for {looked}; splits there: none.',
                    folder)


def _find(folder: Path, split: str) -> Found | None:
    for layout in LAYOUTS:
        if layout.has(folder, split):
            return Found(folder, layout, split)
    for layout in LAYOUTS:
        names = layout.splits(folder)
        alike = [name for name in names if canonical(name) == canonical(split)]
        if len(alike) > 1:
            raise DataError(f'{folder} has several splits that "{split}" may mean: '
                            f'{", ".join(alike)}; name one of them.', folder)
        if not alike and len(names) == 1 and canonical(split) == 'train' \
                and canonical(names[0]) not in SPLITS:
            alike = names
        if alike:
            return Found(folder, layout, alike[0])
    return None


def _on_disk(folder: Path) -> list[str]:
    """Return the names of all splits but those that are made."""
    return next((found for layout in LAYOUTS if (found := layout.splits(folder))), [])


def has_split(root: str | os.PathLike, split: str) -> bool:
    """Return whether ``root`` has a split of that name or meaning, on disk or written down.

    A VOC folder whose list of the split is empty has none of it: annotation tools write such
    lists for splits that were not asked for.
    """
    folder = data_root(root)
    return _has_on_disk(folder, split) or (
        split.lower() in _MADE and bool(stored(folder)))


def taken(root: str | os.PathLike, split: str) -> str:
    """Return where ``read_split`` takes a split from, for people."""
    folder = data_root(root)
    if is_made(folder, split):
        return f'{find_split(folder, "train")}: the images set aside for validation'
    return str(find_split(folder, split))


def is_made(root: str | os.PathLike, split: str) -> bool:
    """Return whether ``read_split`` gives a part of the training split for ``split``."""
    folder = data_root(root)
    return split.lower() in _MADE and not _has_on_disk(folder, split) \
        and _find(folder, 'train') is not None


def _has_on_disk(folder: Path, split: str) -> bool:
    try:
        found = _find(folder, split)
    except DataError:  # several
        return True
    if found is None:
        return False
    listing = voc.listing(found.root, found.split)
    return not listing.is_file() or bool(listing.read_bytes().strip())


def splits(root: str | os.PathLike) -> list[str]:
    """Return the names of all splits of ``root``, sorted; empty where it has no known layout."""
    folder = data_root(root)
    found = _on_disk(folder)
    if found and stored(folder) and not _has_on_disk(folder, 'val'):
        whole = find_split(folder, 'train').split
        return sorted({*found, 'train', 'val'} - {whole} | {'train'})
    return found


def separate_splits(root: str | os.PathLike) -> list[str]:
    """Return ``splits``, training first, without those that only join others (trainval)."""
    folder = data_root(root)
    images = {}
    for name in voc.splits(folder):
        try:
            images[name] = set(voc.listed(folder, name))
        except DataError:
            images[name] = set()  # the error comes up when the split is read

    def joins(name: str) -> bool:
        parts = [other for other in images.values() if other and other < images.get(name, set())]
        return len(parts) > 1 and set().union(*parts) == images[name]

    return sorted((name for name in splits(folder) if not joins(name)), key=_training_first)


def _training_first(split: str) -> tuple[bool, str]:
    return canonical(split) != 'train' and not split.startswith('train'), split


def data_root(root: str | os.PathLike) -> Path:
    """Return the folder in which a data set lies: ``root``, or the one folder inside of it.

    ``root`` may also be a zip archive, which is unpacked, or a YOLO data set's data.yaml.
    """
    folder = Path(root).expanduser()
    if folder.suffix.lower() == '.zip' and folder.is_file():
        folder = unpacked(folder)
    if folder.suffix.lower() in ('.yaml', '.yml') and folder.is_file():
        yolo.check_given(folder)
        folder = folder.parent
    for _ in range(_MAX_NESTED):
        below = list(filter(_is_data, folder.iterdir())) if folder.is_dir() else []
        if len(below) != 1 or not below[0].is_dir() or below[0].name.lower() in _PARTS \
                or canonical(below[0].name) in SPLITS:
            break
        folder = below[0]
    return folder


def _is_data(path: Path) -> bool:
    """Return whether a file or folder may be a part of a data set, by its name."""
    name = path.name.lower()
    return not path.name.startswith(HIDDEN) and (
        path.is_dir() or name.endswith(SUFFIXES) and name.split('.')[0] not in _ABOUT)


def labelled_classes(root: Path) -> tuple[str, ...] | None:
    """Return the classes labelled in a folder, from its ``dataset.yaml``; None without a list.

    Raises:
        DataError: when the file cannot be read, or its ``classes`` are no list of names.
    """
    path = root / LABELLED_FILE
    if not path.is_file():
        return None
    try:
        data = read_yaml(regular_file(inside(root, LABELLED_FILE)), as_texts=True,
                         max_bytes=1_000_000)
    except (OSError, YamlError) as error:
        raise DataError(f'{path} {error}; YAML is expected.', path) from error
    names = data.get('classes') if isinstance(data, dict) else None
    if names is None:
        return None
    if not isinstance(names, list) or not names or not all(isinstance(n, str) for n in names):
        raise DataError(f'{path}: "classes" must be a list of class names, the classes that are '
                        'labelled in this folder.', path)
    return tuple(dict.fromkeys(class_name(name, path) for name in names))
