"""Read a data folder in whichever layout it has: one of ``LAYOUTS``."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from ssd_perception.core.errors import DataError
from ssd_perception.core.plain_yaml import read_yaml
from ssd_perception.data import coco, voc, yolo
from ssd_perception.data.folder import HIDDEN, SPLITS, canonical
from ssd_perception.data.sample import OnBad, Sample, class_name, refuse

LABELLED_FILE = 'dataset.yaml'  # its "classes" are those that the folder labels
_MAX_NESTED = 3  # folders that hold nothing but one folder, as archives unpack to
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
        return f'{self.root}, split "{self.split}" ({self.layout.name}{files})'


def read_split(root: str | os.PathLike, split: str, one_based: bool | None = False,
               on_bad: OnBad | None = None) -> list[Sample]:
    """Read every annotation of a split; images are not decoded.

    Args:
        root: a folder in one of ``LAYOUTS``.
        split: its name, such as ``train``; ``find_split`` says which other names serve.
        one_based: whether VOC's boxes count from 1; None finds out. All others count from 0.
        on_bad: takes what is wrong with single files or entries, which are left out; a box
            without area costs its object, anything else its image. None raises at the first.

    Raises:
        DataError: naming what is wrong and what was looked for; with ``on_bad`` only when the
            split cannot be read as a whole, or nothing of it is left.
    """
    errors: list[DataError] = []

    def collect(error: DataError) -> None:
        errors.append(error)
        refuse(error, on_bad)

    found = find_split(root, split)
    samples = found.layout.read(found.root, found.split, one_based, collect)
    if not samples:
        count = '1 file' if len(errors) == 1 else f'{len(errors)} files or entries'
        first = f', the first is: {errors[0]}' if errors else '.'
        raise DataError(f'Nothing of the split "{split}" of {root} can be used: {count} '
                        f'failed{first}', *((errors[0].file, errors[0].problem) if errors else ()))
    labelled = labelled_classes(found.root)
    return [replace(sample, labelled=labelled) for sample in samples] if labelled else samples


def find_split(root: str | os.PathLike, split: str) -> Found:
    """Return where the annotations of a split are.

    A split that has no such name on disk is found by what it is for: ``val`` finds ``valid`` and
    ``val2017``. ``train`` finds the one split of a folder that has none called train, val or test.

    Raises:
        DataError: when there is no such split; the message says what was looked for.
    """
    folder = data_root(root)
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
    if not folder.is_dir():
        raise DataError(f'There is no folder {folder}.', folder)
    looked = '; '.join(f'{layout.looked_for.replace("SPLIT", split)} ({layout.name})'
                       for layout in LAYOUTS)
    raise DataError(f'{folder} has no split "{split}": looked for {looked}; splits there: '
                    f'{", ".join(splits(folder)) or "none"}.', folder)


def has_split(root: str | os.PathLike, split: str) -> bool:
    """Return whether ``root`` has annotations of ``split`` in any layout.

    A VOC folder whose list of the split is empty has none of it: annotation tools write such
    lists for splits that were not asked for.
    """
    try:
        found = find_split(root, split)
    except DataError:
        return False
    listing = voc.listing(found.root, found.split)
    return not listing.is_file() or bool(listing.read_bytes().strip())


def splits(root: str | os.PathLike) -> list[str]:
    """Return the names of all splits of ``root``, sorted; empty where it has no known layout."""
    folder = data_root(root)
    return next((found for layout in LAYOUTS if (found := layout.splits(folder))), [])


def separate_splits(root: str | os.PathLike) -> list[str]:
    """Return ``splits``, training first, without those that only join others (trainval)."""
    folder = data_root(root)
    if not voc.splits(folder):
        return sorted(splits(folder), key=_training_first)
    images = {}
    for name in voc.splits(folder):
        try:
            images[name] = set(voc.listed(folder, name))
        except DataError:
            images[name] = set()  # the error comes up when the split is read

    def joins(name: str) -> bool:
        parts = [other for other in images.values() if other and other < images[name]]
        return len(parts) > 1 and set().union(*parts) == images[name]

    return sorted((name for name in images if not joins(name)), key=_training_first)


def _training_first(split: str) -> tuple[bool, str]:
    return canonical(split) != 'train' and not split.startswith('train'), split


def data_root(root: str | os.PathLike) -> Path:
    """Return the folder in which a data set lies: ``root``, or the one folder inside of it.

    ``root`` may also be the data.yaml of a YOLO data set.
    """
    folder = Path(root).expanduser()
    if folder.suffix.lower() in ('.yaml', '.yml') and folder.is_file():
        folder = folder.parent
    for _ in range(_MAX_NESTED):
        below = [path for path in folder.iterdir() if not path.name.startswith(HIDDEN)
                 ] if folder.is_dir() else []
        if len(below) != 1 or not below[0].is_dir() or below[0].name.lower() in _PARTS \
                or canonical(below[0].name) in SPLITS:
            break
        folder = below[0]
    return folder


def labelled_classes(root: Path) -> tuple[str, ...] | None:
    """Return the classes that ``dataset.yaml`` says the folder labels; None without such a list.

    Raises:
        DataError: when the file cannot be read, or its ``classes`` are no list of names.
    """
    path = root / LABELLED_FILE
    if not path.is_file():
        return None
    try:
        data = read_yaml(path, as_texts=True)
    except (OSError, ValueError) as error:
        raise DataError(f'{path} cannot be read as YAML: {error}.', path) from error
    names = data.get('classes') if isinstance(data, dict) else None
    if names is None:
        return None
    if not isinstance(names, list) or not names or not all(isinstance(n, str) for n in names):
        raise DataError(f'{path}: "classes" must be a list of class names, the classes that are '
                        'labelled in this folder.', path)
    return tuple(dict.fromkeys(class_name(name, path) for name in names))
