"""Read COCO's layout: one JSON file per split, images in a folder; Roboflow's form too."""

from __future__ import annotations

import json
import os
import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import unquote

import numpy as np

from ssd_perception.core.errors import DataError
from ssd_perception.core.memory import available_bytes
from ssd_perception.core.safe_path import inside, regular_file
from ssd_perception.core.text import printable, quoted
from ssd_perception.data.folder import (
    HIDDEN,
    SPLITS,
    WHOLE,
    canonical,
    parts_of,
    read_bounded,
    split_of,
    without_prefix,
)
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
_MAX_OTHER_FILES = 20  # JSON files of a folder that are opened to find COCO's
_PROBED_BYTES = 100_000  # of them, at both ends
_PROBES = 100  # images that are looked for to find out how their names begin


def annotation_files(root: str | os.PathLike, split: str) -> list[Path]:
    """Return where the split's JSON file may lie, whether it is there or not; best first."""
    root = Path(root).expanduser()
    names = dict.fromkeys((split, _ROBOFLOW_NAMES.get(split, split)))
    whole = [root / name for name in _WHOLE_FILES] if split == WHOLE else []
    usual = [root / 'annotations' / f'instances_{split}.json',
             *(root / name / ROBOFLOW for name in names),
             root / 'annotations' / f'{split}.json', root / f'{split}.json', *whole]
    return usual if _usual_splits(root) else [*usual, *_other_files(root).get(split, [])]


def splits(root: str | os.PathLike) -> list[str]:
    """Return the names of the splits that ``root`` has annotations of, sorted."""
    root = Path(root).expanduser()
    return sorted(_usual_splits(root) or _other_files(root))


def _usual_splits(root: Path) -> set[str]:
    standard = (root / 'annotations').glob('instances_*.json')
    others = [*(root / 'annotations').glob('*.json'), *root.glob('*.json')]
    found = {path.stem.removeprefix('instances_') for path in standard}
    found |= {path.parent.name for path in root.glob(f'*/{ROBOFLOW}')}
    found |= {path.stem for path in others if canonical(path.stem) in SPLITS}
    whole = any((root / name).is_file() for name in _WHOLE_FILES)
    return found or ({WHOLE} if whole else set())


def _other_files(root: Path) -> dict[str, list[Path]]:
    """Return split -> COCO files of other names, such as ``labels.json`` or ``val/coco.json``.

    A word of the name or a folder says which split it is of; of several files for one split,
    each is a split of its own name.
    """
    if not root.is_dir():
        return {}
    folders = [path for path in sorted(root.iterdir()) if path.is_dir()]
    found: dict[str, list[Path]] = defaultdict(list)
    for folder in [root, *(path for path in folders if not path.name.startswith(HIDDEN))]:
        paths = sorted(folder.glob('*.json'))
        # More are annotations of single images.
        for path in paths if len(paths) <= _MAX_OTHER_FILES else ():
            if _holds_coco(path):
                words = [word for word in re.split(r'[^A-Za-z0-9]+', path.stem)
                         if canonical(word) in SPLITS]
                found[words[0] if words else split_of(root, path)].append(path)
    stems = Counter(path.stem for paths in found.values() for path in paths)
    return {split if len(paths) == 1 else path.stem if stems[path.stem] == 1
            else f'{path.parent.name}_{path.stem}': [path]
            for split, paths in found.items() for path in paths}


def _holds_coco(path: Path) -> bool:
    """Return whether the beginning and the end of a JSON file are those of COCO's."""
    try:
        with open(regular_file(path), 'rb') as file:
            text = file.read(_PROBED_BYTES)
            file.seek(max(file.tell(), os.fstat(file.fileno()).st_size - _PROBED_BYTES))
            text += file.read()
    except (OSError, DataError):
        return False
    keys = sum(f'"{key}"'.encode() in text for key in ('images', 'annotations', 'categories'))
    return keys >= 2 and not re.search(rb'"items"\s*:', text)  # Datumaro's


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
    images = _images(path, data['images'], root, _image_folders(root, split, path), on_bad)
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


def _image_folders(root: Path, split: str, path: Path) -> list[Path]:
    """Return the folders in which the images of an annotation file may be, best first."""
    beside = [path.parent, path.parent / 'images', path.parent / 'data']
    if path.name == ROBOFLOW:
        return beside
    named = [folder / name for folder in (root, root / 'images') if folder.is_dir()
             for name in dict.fromkeys((split, *sorted(
                 each.name for each in folder.iterdir() if canonical(each.name) in SPLITS
                 and canonical(each.name) == canonical(split))))]
    own = beside if path.parent not in (root, root / 'annotations') else []
    folders = dict.fromkeys([*own, *named, root / 'images', root / 'data', root])
    return [folder for folder in folders if folder.is_dir()]


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
            other = "; Datumaro's own format is not read, export as COCO" if isinstance(
                data, dict) and 'items' in data else ''
            raise DataError(f'{path} lacks the list "{key}" that COCO annotations have{other}.',
                            path)
    if not data['images']:
        raise DataError(f'{path} lists no images.', path)
    return data


def _categories(path: Path, rows: list) -> dict[int | str, str]:
    """Return id -> name."""
    found: dict[int | str, str] = {}
    for row in rows:
        number, name = _id(_get(row, 'id')), _get(row, 'name')
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
    prefix = _prefix(rows, folders)
    for row in rows:
        number, name = _id(_get(row, 'id')), _get(row, 'file_name')
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
            image = _image(path, name, prefix, root, folders)
        except DataError as error:
            image = None
            refuse(error, on_bad)
        height, width = _number(row.get('height')), _number(row.get('width'))
        stated = height is not None and width is not None and min(height, width) >= 1
        found[number] = image, (int(height), int(width)) if stated else None  # type: ignore
    by_image: dict[Path | None, dict[str, int | str]] = defaultdict(dict)
    for number, (image, _) in found.items():
        by_image[image][named[number]] = number
    for image, numbers in by_image.items():
        if image and len(numbers) > 1:
            refuse(DataError(f'{path}: {image.name} would be taken for several images, '
                             f'{" and ".join(map(printable, [*numbers][:2]))}; give each its own '
                             'name.', path), on_bad)
            found.update(dict.fromkeys(numbers.values(), (None, None)))
    return found


def _prefix(rows: list, folders: Sequence[Path]) -> str:
    """Return how the names of the images begin that are paths on another computer.

    It is looked for where no image is found as it is named: such as ``/home/me/set/images/``, or
    ``../../data/media/upload/1/`` of Label Studio.
    """
    names = [_plain(name) for row in rows[:_PROBES]
             if isinstance(name := _get(row, 'file_name'), str) and '\0' not in name]
    if any(_found(folders, name) for name in names if '..' not in name and name[:1] != '/'):
        return ''
    for name in names:
        parts = parts_of(name)
        for start in range(len(parts)):
            end = '/'.join(parts[start:])
            there = _found(folders, end) or _found(folders, without_prefix(end))
            if there and name.endswith(end):
                return name[:-len(end)]
    return ''


def _plain(name: str) -> str:
    return name.replace('\\', '/')  # Windows writes "images\x.jpg"


def _found(folders: Sequence[Path], name: str) -> Path | None:
    return next((path for folder in folders if os.path.isfile(path := folder / name)), None)


def _image(path: Path, name: str, prefix: str, root: Path, folders: list[Path]) -> Path:
    plain = _plain(name)
    names = [each.removeprefix(prefix) for each in dict.fromkeys(
        (name, plain, unquote(plain), without_prefix(plain)))]
    for written in names:
        pure = PurePosixPath(written)
        if pure.is_absolute() or '..' in pure.parts:
            raise DataError(f'{path}: the file_name "{printable(name)}" leaves the data folder; a '
                            'path below it is expected.', path)
        if image := _found(folders, written):
            return inside(root, image.relative_to(root).as_posix())
    expected = folders[0] / names[1 if len(names) > 1 else 0]
    raise DataError(f'No image for "{printable(name)}" of {path}: expected '
                    f'{printable(expected)}, or in another folder of images.', expected,
                    'missing picture')


def _objects(path: Path, rows: list, categories: dict[int | str, str], images: dict,
             on_bad: OnBad | None) -> tuple[dict[int | str, list], set[int | str]]:
    """Return image id -> [(edges, name, crowd)], and the ids of images with a broken entry."""
    found: dict[int | str, list] = defaultdict(list)
    broken = set()
    for row in rows:
        image = _id(_get(row, 'image_id'))
        if not _is_id(image) or image not in images:
            refuse(DataError(f'{path}: annotation {quoted(_get(row, "id"), 60)} is for the image '
                             f'with id {quoted(image, 60)}, which "images" does not have.', path),
                   on_bad)
            continue
        box, category = _box(row), _id(row.get('category_id'))
        if box is None:
            reason = ('needs "bbox": [x, y, width, height] or a polygon, got '
                      f'{quoted(row.get("bbox"), 60)}')
        elif not _is_id(category) or category not in categories:
            reason = (f'has the category_id {quoted(category, 60)}, which "categories" does not '
                      'have')
        else:
            x, y, width, height = box
            found[image].append(((x, y, x + width, y + height), categories[category],
                                 bool(row.get('iscrowd', 0))))
            continue
        broken.add(image)
        refuse(DataError(f'{path}: annotation {quoted(row.get("id"), 60)} of '
                         f'{images[image][0] or quoted(image, 60)} {reason}.', path), on_bad)
    return found, broken


def _get(row: Any, key: str) -> Any:
    return row.get(key) if isinstance(row, dict) else None


def _box(row: dict) -> list[float] | None:
    """Return an object's x, y, width and height; those around its polygons if it has no box."""
    box = row.get('bbox')
    if box:
        numbers = [_number(value) for value in box] if isinstance(box, list) else []
        return numbers if len(numbers) == 4 and None not in numbers else None  # type: ignore
    polygons = row.get('segmentation')
    if not isinstance(polygons, list) or not polygons:
        return None
    polygons = [polygon for polygon in polygons if isinstance(polygon, list)]
    points = [_number(value) for polygon in polygons for value in polygon]
    if len(points) < 6 or any(len(polygon) % 2 for polygon in polygons) or None in points:
        return None
    x, y = np.array(points, np.float64).reshape(-1, 2).T
    return [float(x.min()), float(y.min()), float(np.ptp(x)), float(np.ptp(y))]


def _is_id(value: object) -> bool:
    # COCO's are integers; some tools write texts.
    return isinstance(value, (int, str)) and not isinstance(value, bool)


def _id(value: Any) -> Any:
    """Return an id of a whole number as that number: tools mix 3, 3.0 and "3"."""
    if isinstance(value, str) and value.isascii() and value.isdecimal() and len(value) < 19 \
            and str(int(value)) == value:
        return int(value)
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _number(value: object) -> float | None:
    """Return a number, also of a text such as "12.5"; None for anything else."""
    if isinstance(value, str) and len(value) < 40:
        try:
            value = float(value)
        except ValueError:
            return None
    # Bounded: JSON may hold integers that no float can.
    good = isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) < 1e9
    return float(value) if good else None  # type: ignore[arg-type]
