"""Read COCO's layout: one JSON file per split, images in a folder; Roboflow's form too."""

from __future__ import annotations

import json
import os
from collections import defaultdict
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from ssd_perception.core.errors import DataError
from ssd_perception.core.memory import available_bytes
from ssd_perception.core.safe_path import inside
from ssd_perception.core.text import printable, quoted
from ssd_perception.data.folder import SPLITS, WHOLE, canonical, read_bounded
from ssd_perception.data.sample import (
    MAX_OBJECTS,
    OnBad,
    Sample,
    class_name,
    make_sample,
    refuse,
)

MAX_JSON_BYTES = 2 * 2 ** 30  # COCO's own train2017 has 0.45 GiB
_BYTES_OF = {b',': 45, b'[': 80, b'{': 80, b':': 80, b'"': 30}  # parsed JSON, at most
ROBOFLOW = '_annotations.coco.json'
# Of a folder without splits: Roboflow's, and Label Studio's and other tools'.
_WHOLE_FILES = (ROBOFLOW, 'result.json', 'annotations.json')
_ROBOFLOW_NAMES = {'val': 'valid'}  # what other layouts call val


def annotation_files(root: str | os.PathLike, split: str) -> list[Path]:
    """Return where the split's JSON file may lie, whether it is there or not; best first."""
    root = Path(root).expanduser()
    names = dict.fromkeys((split, _ROBOFLOW_NAMES.get(split, split)))
    whole = [root / name for name in _WHOLE_FILES] if split == WHOLE else []
    return [root / 'annotations' / f'instances_{split}.json',
            *(root / name / ROBOFLOW for name in names),
            root / 'annotations' / f'{split}.json', root / f'{split}.json', *whole]


def splits(root: str | os.PathLike) -> list[str]:
    """Return the names of the splits that ``root`` has annotations of, sorted."""
    root = Path(root).expanduser()
    standard = (root / 'annotations').glob('instances_*.json')
    others = [*(root / 'annotations').glob('*.json'), *root.glob('*.json')]
    found = {path.stem.removeprefix('instances_') for path in standard}
    found |= {path.parent.name for path in root.glob(f'*/{ROBOFLOW}')}
    found |= {path.stem for path in others if canonical(path.stem) in SPLITS}
    whole = any((root / name).is_file() for name in _WHOLE_FILES)
    return sorted(found or ({WHOLE} if whole else set()))


def read_coco(root: str | os.PathLike, split: str, on_bad: OnBad | None = None) -> list[Sample]:
    """Read a split; images are not opened.

    Boxes (x, y, width, height, continuous from 0) become edges, ``iscrowd`` becomes difficult,
    categories are taken by name, images without annotations are negatives. The order is that
    of the file's ``images``. The categories are the classes that the set labels.

    Args:
        root: holds ``annotations/instances_SPLIT.json`` and the images in ``SPLIT``,
            ``images/SPLIT``, ``images`` or itself; or ``SPLIT/_annotations.coco.json`` with the
            images beside it (Roboflow; ``val`` finds its ``valid``); or ``SPLIT.json``, or one
            file for all (``annotation_files``).
        split: such as ``train2017``.
        on_bad: takes what is wrong with single entries; the image of a broken entry (only
            the object, if its box has no area) is left out and reading goes on. None raises
            at the first.

    Raises:
        DataError: naming the file, what is wrong and what was expected; with ``on_bad`` only
            when the file cannot be read as a whole.
    """
    root = Path(root).expanduser()
    candidates = annotation_files(root, split)
    path = next((path for path in candidates if path.is_file()), None)
    if path is None:
        raise DataError(f'{root} has no split "{split}" ({candidates[0]} is missing); splits '
                        f'there: {", ".join(splits(root)) or "none"}.', candidates[0])
    inside(root, path.relative_to(root).as_posix())
    data = _load(path)
    categories = _categories(path, data['categories'])
    folders = [path.parent, path.parent / 'images'] if path.name == ROBOFLOW else [
        root / split, root / 'images' / split, root / 'images', root]
    images = _images(path, data['images'], root, folders, on_bad)
    objects, broken = _objects(path, data['annotations'], categories, images, on_bad)
    labelled = tuple(dict.fromkeys(categories.values())) or None
    samples = []
    for key, (image, stated_hw) in images.items():
        if image is None or key in broken:
            continue
        if len(objects[key]) > MAX_OBJECTS:
            refuse(DataError(f'{path}: {image.name} has {len(objects[key])} objects, more than '
                             f'the {MAX_OBJECTS} that are read of one image.', path), on_bad)
            continue
        boxes, names, crowds = zip(*objects[key]) if objects[key] else ((), (), ())
        samples.append(make_sample(image, np.array(boxes, np.float64), names, crowds, path,
                                   stated_hw, on_bad, labelled))
    return samples


def _load(path: Path) -> dict:
    """Return the JSON object with its three lists."""
    try:
        text = read_bounded(path, MAX_JSON_BYTES, 'COCO annotations')
        need = 2 * len(text) + sum(each * text.count(mark) for mark, each in _BYTES_OF.items())
        if need > (free := available_bytes()):
            raise DataError(f'{path} may take {need / 1e9:.1f} GB of memory to read, and '
                            f'{free / 1e9:.1f} GB are free; divide it, or take "segmentation" '
                            'out.', path)
        data = json.loads(text)
        del text
    except DataError:
        raise
    except (ValueError, RecursionError) as error:
        raise DataError(f'{path} cannot be read as COCO annotations: '
                        f'{printable(str(error))}.', path) from error
    for key in ('images', 'annotations', 'categories'):
        if not isinstance(data, dict) or not isinstance(data.get(key), list):
            raise DataError(f'{path} lacks the list "{key}" that COCO annotations have.', path)
    if not data['images']:
        raise DataError(f'{path} lists no images.', path)
    return data


def _categories(path: Path, rows: list) -> dict[int | str, str]:
    """Return id -> name."""
    found: dict[int | str, str] = {}
    for row in rows:
        number, name = _get(row, 'id'), _get(row, 'name')
        if not _is_id(number) or not isinstance(name, str) or not name.strip():
            raise DataError(f'{path}: a category lacks its "id" or "name": {quoted(row, 60)}.',
                            path)
        if number in found:
            raise DataError(f'{path}: two categories have the id {quoted(number, 60)}: '
                            f'"{found[number]}" and "{printable(name.strip())}".', path)
        found[number] = class_name(name, path)
    return found


def _images(path: Path, rows: list, root: Path, folders: list[Path],
            on_bad: OnBad | None) -> dict[int | str, tuple[Path | None, tuple[int, int] | None]]:
    """Return id -> (image, stated height and width); an image that cannot be used is None."""
    found: dict[int | str, tuple[Path | None, tuple[int, int] | None]] = {}
    named: dict[int | str, str] = {}
    for row in rows:
        number, name = _get(row, 'id'), _get(row, 'file_name')
        if not _is_id(number) or not isinstance(name, str) or not name:
            refuse(DataError(f'{path}: an image lacks its "id" or "file_name": '
                             f'{quoted(row, 60)}.', path), on_bad)
            continue
        if number in named:
            same = named[number] == name
            more = 'it is listed twice' if same else 'neither is used'
            refuse(DataError(f'{path}: two images have the id {quoted(number, 60)}, '
                             f'{printable(named[number])} and {printable(name)}; {more}.',
                             path), on_bad)
            if not same:  # which of them the boxes were drawn on is not known
                found[number] = None, None
            continue
        named[number] = name
        image: Path | None
        try:
            image = _image(path, name, root, folders)
        except DataError as error:
            image = None
            refuse(error, on_bad)
        height, width = row.get('height'), row.get('width')
        stated = all(_is_number(side) and side >= 1 for side in (height, width))
        found[number] = image, (int(height), int(width)) if stated else None
    return found


def _image(path: Path, name: str, root: Path, folders: list[Path]) -> Path:
    names = dict.fromkeys((name, name.replace('\\', '/')))  # Windows writes "images\x.jpg"
    for written in names:
        pure = PurePosixPath(written)
        if pure.is_absolute() or '..' in pure.parts:
            raise DataError(f'{path}: the file_name "{printable(name)}" leaves the data folder; a '
                            'path below it is expected.', path)
    candidates = [folder / written for folder in folders for written in names]
    for candidate in candidates:
        if os.path.isfile(candidate):
            return inside(root, candidate.relative_to(root).as_posix())
    expected = [printable(folder / list(names)[-1]) for folder in folders]
    raise DataError(f'No image for "{printable(name)}" of {path}: expected '
                    f'{" or ".join(expected)}.', candidates[0], 'missing picture')


def _objects(path: Path, rows: list, categories: dict[int | str, str], images: dict,
             on_bad: OnBad | None) -> tuple[dict[int | str, list], set[int | str]]:
    """Return image id -> [(edges, name, crowd)], and the ids of images with a broken entry."""
    found: dict[int | str, list] = defaultdict(list)
    broken = set()
    for row in rows:
        image = _get(row, 'image_id')
        if not _is_id(image) or image not in images:
            refuse(DataError(f'{path}: annotation {quoted(_get(row, "id"), 60)} is for the image '
                             f'with id {quoted(image, 60)}, which "images" does not have.', path),
                   on_bad)
            continue
        box, category = row.get('bbox'), row.get('category_id')
        if not isinstance(box, list) or len(box) != 4 or not all(map(_is_number, box)):
            reason = f'needs "bbox": [x, y, width, height], got {quoted(box, 60)}'
        elif not _is_id(category) or category not in categories:
            reason = (f'has the category_id {quoted(category, 60)}, which "categories" does not '
                      'have')
        else:
            x, y, width, height = map(float, box)
            found[image].append(((x, y, x + width, y + height), categories[category],
                                 bool(row.get('iscrowd', 0))))
            continue
        broken.add(image)
        refuse(DataError(f'{path}: annotation {quoted(row.get("id"), 60)} of '
                         f'{images[image][0] or quoted(image, 60)} {reason}.', path), on_bad)
    return found, broken


def _get(row: Any, key: str) -> Any:
    return row.get(key) if isinstance(row, dict) else None


def _is_id(value: object) -> bool:
    # COCO's are integers; some tools write texts.
    return isinstance(value, (int, str)) and not isinstance(value, bool)


def _is_number(value: object) -> bool:
    # Bounded: JSON may hold integers that no float can.
    return isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) < 1e9
