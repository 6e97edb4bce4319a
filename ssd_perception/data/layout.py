"""Read a data folder in whichever layout it has: one of ``LAYOUTS``."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from ssd_perception.core.errors import DataError
from ssd_perception.data import coco, voc
from ssd_perception.data.sample import OnBad, Sample, refuse


class Layout(NamedTuple):
    """A way in which folders hold annotations.

    Attributes:
        name: for people.
        places: root, split -> the files one of which a folder of this layout has; best first.
        splits: root -> the names of all splits there, sorted; empty for another layout.
        read: root, split, one_based, on_bad -> samples; see ``read_split``.
    """

    name: str
    places: Callable[[Path, str], list[Path]]
    splits: Callable[[Path], list[str]]
    read: Callable[[Path, str, bool | None, OnBad | None], list[Sample]]


# The first that has a split is taken.
LAYOUTS = (
    Layout('Pascal VOC', lambda root, split: [voc.listing(root, split)], voc.splits, voc.read_voc),
    Layout('COCO, Roboflow', coco.annotation_files, coco.splits,
           lambda root, split, one_based, on_bad: coco.read_coco(root, split, on_bad)),
)


def read_split(root: str | os.PathLike, split: str, one_based: bool | None = False,
               on_bad: OnBad | None = None) -> list[Sample]:
    """Read every annotation of a split; pictures are not opened.

    Args:
        root: a folder in one of ``LAYOUTS``.
        split: its name, such as ``train``.
        one_based: whether VOC's boxes count from 1; None finds out. All others count from 0.
        on_bad: takes what is wrong with single files or entries, which are left out; a box
            without area costs its object, anything else its picture. None raises at the first.

    Raises:
        DataError: naming what is wrong and what was looked for; with ``on_bad`` only when the
            split cannot be read as a whole, or nothing of it is left.
    """
    errors: list[DataError] = []

    def collect(error: DataError) -> None:
        errors.append(error)
        refuse(error, on_bad)

    root = Path(root).expanduser()
    samples = _layout(root, split).read(root, split, one_based, collect)
    if not samples:
        count = '1 file' if len(errors) == 1 else f'{len(errors)} files or entries'
        raise DataError(f'Nothing of the split "{split}" of {root} can be used: {count} '
                        f'failed, the first is: {errors[0]}', errors[0].file, errors[0].problem)
    return samples


def has_split(root: str | os.PathLike, split: str) -> bool:
    """Tell whether ``root`` has annotations of ``split`` in any layout.

    A VOC folder whose list of the split is empty has none of it: annotation tools write such
    lists for splits that were not asked for.
    """
    root = Path(root).expanduser()
    listing = voc.listing(root, split)
    if listing.is_file() and not listing.read_bytes().strip():
        return False
    return _layout_or_none(root, split) is not None


def splits(root: str | os.PathLike) -> list[str]:
    """Return the names of all splits of ``root``, sorted; empty where it has no known layout."""
    root = Path(root).expanduser()
    return next((found for layout in LAYOUTS if (found := layout.splits(root))), [])


def separate_splits(root: str | os.PathLike) -> list[str]:
    """Return ``splits``, training first, without those that only join others (trainval)."""
    root = Path(root).expanduser()
    if not voc.splits(root):
        return sorted(splits(root), key=_training_first)
    pictures = {}
    for name in voc.splits(root):
        try:
            pictures[name] = set(voc.listed(root, name))
        except DataError:
            pictures[name] = set()  # whoever reads it is told

    def joins(name: str) -> bool:
        parts = [other for other in pictures.values() if other and other < pictures[name]]
        return len(parts) > 1 and set().union(*parts) == pictures[name]

    return sorted((name for name in pictures if not joins(name)), key=_training_first)


def _training_first(split: str) -> tuple[bool, str]:
    return not split.startswith('train'), split


def _layout_or_none(root: Path, split: str) -> Layout | None:
    return next((layout for layout in LAYOUTS
                 if any(path.is_file() for path in layout.places(root, split))), None)


def _layout(root: Path, split: str) -> Layout:
    found = _layout_or_none(root, split)
    if found:
        return found
    if not root.is_dir():
        raise DataError(f'There is no folder {root}.', root)
    looked = ', '.join(str(path.relative_to(root)) for layout in LAYOUTS
                       for path in layout.places(root, split))
    there = f'splits there: {", ".join(splits(root)) or "none"}'
    raise DataError(f'{root} has no split "{split}": looked for {looked} '
                    f'({", ".join(layout.name for layout in LAYOUTS)}); {there}.', root)
