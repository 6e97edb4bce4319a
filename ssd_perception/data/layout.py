"""Read a data folder in whichever layout it has: Pascal VOC or COCO."""

from __future__ import annotations

import os
from pathlib import Path

from ssd_perception.data import coco, voc
from ssd_perception.data.sample import DataError, OnBad, Sample, refuse


def read_split(root: str | os.PathLike, split: str, one_based: bool | None = False,
               on_bad: OnBad | None = None) -> list[Sample]:
    """Read every annotation of a split; pictures are not opened.

    Args:
        root: a folder in VOC layout (``data.voc.read_voc``) or COCO's (``data.coco.read_coco``).
        split: its name, such as ``train``.
        one_based: whether VOC's boxes count from 1; None finds out. COCO's count from 0.
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

    samples = (coco.read_coco(root, split, collect) if _layout(root, split) == 'coco'
               else voc.read_voc(root, split, one_based, collect))
    if not samples:
        count = '1 file' if len(errors) == 1 else f'{len(errors)} files or entries'
        raise DataError(f'Nothing of the split "{split}" of {Path(root)} can be used: {count} '
                        f'failed, the first is: {errors[0]}', errors[0].file, errors[0].problem)
    return samples


def has_split(root: str | os.PathLike, split: str) -> bool:
    """Tell whether ``root`` has annotations of ``split`` in either layout.

    A VOC folder whose list of the split is empty has none of it: annotation tools write such
    lists for splits that were not asked for.
    """
    listing = _voc_listing(Path(root).expanduser(), split)
    if listing.is_file() and not listing.read_bytes().strip():
        return False
    return _layout_or_none(root, split) is not None


def splits(root: str | os.PathLike) -> list[str]:
    """Return the names of all splits of ``root``, sorted; empty where it has no known layout."""
    root = Path(root).expanduser()
    return voc.splits(root) or coco.splits(root)


def separate_splits(root: str | os.PathLike) -> list[str]:
    """Return ``splits``, training first, without those that only join others (trainval)."""
    root = Path(root).expanduser()
    if not voc.splits(root):
        return sorted(coco.splits(root), key=_training_first)
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


def _voc_listing(root: Path, split: str) -> Path:
    return root / 'ImageSets' / 'Main' / f'{split}.txt'


def _layout_or_none(root: str | os.PathLike, split: str) -> str | None:
    root = Path(root).expanduser()
    if _voc_listing(root, split).is_file():
        return 'voc'
    return 'coco' if any(path.is_file() for path in coco.annotation_files(root, split)) else None


def _layout(root: str | os.PathLike, split: str) -> str:
    found = _layout_or_none(root, split)
    if found:
        return found
    root = Path(root).expanduser()
    if not root.is_dir():
        raise DataError(f'There is no folder {root}.', root)
    places = [_voc_listing(root, split), *coco.annotation_files(root, split)]
    looked = ', '.join(str(path.relative_to(root)) for path in places)
    there = f'splits there: {", ".join(splits(root)) or "none"}'
    raise DataError(f'{root} has no split "{split}": looked for {looked} (Pascal VOC, COCO, '
                    f'Roboflow); {there}.', root)
