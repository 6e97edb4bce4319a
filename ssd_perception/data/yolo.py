"""Read YOLO's layout: one text file for each image, with boxes normalised to its size.

Ultralytics, Roboflow, CVAT and Label Studio write it with a data.yaml, with obj.data and lists of
images, or with no more than a list of class names.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from ssd_perception.core.errors import DataError
from ssd_perception.core.safe_path import inside, regular_file
from ssd_perception.core.safe_yaml import YamlError, read_yaml
from ssd_perception.core.text import printable
from ssd_perception.data.folder import (
    SPLITS,
    WHOLE,
    below,
    canonical,
    files_below,
    images_below,
    listed_images,
    read_bounded,
    read_lines,
    split_of,
)
from ssd_perception.data.sample import (
    IMAGE_SUFFIXES,
    MAX_OBJECTS,
    OnBad,
    Sample,
    class_name,
    make_sample,
    refuse,
)
from ssd_perception.data.yolo_labels import (
    label_file,
    labels_by_name,
    parse_object,
    without_image,
)
from ssd_perception.imaging.files import image_size

MAX_LABEL_BYTES = 10_000_000
_YAMLS = ('data.yaml', 'data.yml', 'dataset.yaml', 'dataset.yml')
_NAME_LISTS = ('classes.txt', 'obj.names', 'labels/classes.txt', 'data/obj.names')
# The same where every split has its own; Roboflow writes the last one.
_NAME_ENDINGS = ('classes.txt', '.names', '_darknet.labels')
_MAX_BYTES = 1_000_000  # of a description or a list of class names
_MAX_CLASSES = 10_000


@dataclass(frozen=True)
class _Set:
    """The description of a folder in this layout.

    Attributes:
        source: the file with the description; the folder where there is none.
        names: class names by their number; None where no file has them.
        entries: split -> folders and lists, as they are written; where empty, folders of images
            have the splits' names.
        base: what the entries are relative to.
        keypoints: whether lines go on after the box with keypoints.
    """

    source: Path
    names: dict[int, str] | None
    entries: dict[str, list[str]] = field(default_factory=dict)
    base: Path | None = None
    keypoints: bool = False


def describe_files(root: Path) -> str:
    """Return the name of the file that describes the folder, or how it is built."""
    found = _described(root)
    return found.source.name if found and found.source != root else 'images and labels'


def check_given(path: Path) -> None:
    """Refuse a YAML file that is given for its folder and does not describe it.

    Raises:
        DataError: naming the file that does, or what is missing.
    """
    found = _described(path.parent)
    if found and found.source not in (path, path.parent):
        raise DataError(f'{path} is not used, because {found.source} describes this folder; '
                        'remove one of them.', path)
    if found is None or not found.entries:
        raise DataError(f'{path} names no folder or list of images that is below {path.parent}; '
                        'put the file into the folder of the images, or give that folder.', path)


def splits(root: Path) -> list[str]:
    """Return the names of the splits that have images or a list, sorted."""
    found = _described(root)
    if found is None:
        return []
    if found.entries and found.source.suffix in ('.yaml', '.yml', '.data'):
        return sorted(split for split, entries in found.entries.items()
                      if any(_has_images(_place(root, found, entry)) for entry in entries))
    images = images_below(root)
    beside = any(label_file(root, image) for image in images)
    if not beside and not labels_by_name(root, images):
        return []
    by_split = defaultdict(list)
    for image in images:
        by_split[split_of(root, image)].append(image)
    # Images of a README or the like beside the splits.
    if beside and len(by_split) > 1 and not any(
            label_file(root, image) for image in by_split.get(WHOLE, ())):
        by_split.pop(WHOLE, None)
    return sorted(found.entries or by_split)


def _has_images(place: Path | None) -> bool:
    """Return whether a folder holds an image; a list is one of images."""
    return place is not None and (
        not place.is_dir() or next(files_below(place, IMAGE_SUFFIXES), None) is not None)


def read_yolo(root: Path, split: str, on_bad: OnBad | None = None) -> list[Sample]:
    """Read a split; of the images only the headers are read, for their size.

    Lines are ``class x y width height``, from 0 to 1 of the image's size, or ``class`` and a
    polygon, whose surrounding box is taken. An image without a file of labels has no objects;
    labels without an image are named, because their objects would be lost unseen.

    Args:
        root: the folder that holds data.yaml, obj.data, classes.txt or none of them.
        split: one of ``splits``.
        on_bad: takes what is wrong with single files, which cost their image. None raises.

    Raises:
        DataError: naming the file, what is wrong and what was expected; with ``on_bad`` only
            when the split cannot be read at all.
    """
    found = _described(root)
    if found is None:
        raise DataError(f'{root} holds no YOLO data set.', root)
    if found.names is None:
        found = replace(found, names=_names_below(root))
    samples = []
    images = _images(root, found, split, on_bad)
    labels: dict[Path, Path | None] = {
        image: path for image in images if (path := label_file(root, image))}
    if not labels:
        named = labels_by_name(root, images_below(root))
        labels = {image: named[image] for image in images if image in named}
    for image in images:
        try:
            inside(root, str(image.relative_to(root)))
            if image in labels and labels[image] is None:
                raise DataError(f'{image}: several images or files of labels have its name; put '
                                'its labels beside it.', image)
            samples.append(_sample(root, image, labels.get(image), found, on_bad))
        except DataError as error:
            refuse(error, on_bad)
    for missing in without_image(root, {path for path in labels.values() if path}):
        refuse(missing, on_bad)
    return samples


def _described(root: Path) -> _Set | None:
    """Return the description in data.yaml, obj.data or a list of names; None if there is none."""
    if not root.is_dir():
        return None
    others = sorted({path.name for ending in ('*.yaml', '*.yml') for path in root.glob(ending)}
                    - set(_YAMLS))
    for name in (*_YAMLS, *others):
        if (root / name).is_file() and (found := _from_yaml(root, root / name, name in _YAMLS)):
            return found
    if (root / 'obj.data').is_file():
        return _from_obj_data(root)
    lists = {path.stem: [path.name] for path in sorted(root.glob('*.txt'))
             if canonical(path.stem) in SPLITS}
    named = next((path for name in _NAME_LISTS if (path := root / name).is_file()), None) or next(
        iter(sorted(root.glob('*.names'))), None)
    if named:
        return _Set(named, _listed_names(root, named), lists)
    if (root / 'notes.json').is_file():
        return _Set(root / 'notes.json', _label_studio_names(root, root / 'notes.json'), lists)
    return _Set(root, None, lists)


def _names_below(root: Path) -> dict[int, str]:
    """Return the class names of the lists in the folders below, which must agree."""
    paths = list(files_below(root, _NAME_ENDINGS))
    if not paths:
        below = next(files_below(root, _YAMLS), None)
        remedy = f'give the folder of {below}' if below else (
            'add classes.txt with one name a line, or a data.yaml with "names"')
        raise DataError(f'{root} has YOLO labels but no class names: {remedy}.', root)
    first, *others = paths
    names = _listed_names(root, first)
    for other in others:
        if _listed_names(root, other) != names:
            raise DataError(f'{first} and {other} name different classes; the same list, or one '
                            f'in {root / "classes.txt"}, is expected.', other)
    return names


def _from_yaml(root: Path, path: Path, certain: bool) -> _Set | None:
    """Return a YAML file's description; None when it is something else, unless ``certain``."""
    try:
        data = read_yaml(regular_file(inside(root, path.name)), as_texts=True,
                         max_bytes=_MAX_BYTES)
    except DataError:
        if certain:
            raise
        return None
    except (OSError, YamlError) as error:
        if not certain:
            return None
        raise DataError(f'{path} {error}; a YAML file with "names", "train" and "val" is '
                        'expected.', path) from error
    keys = [key for key in data if canonical(str(key)) in SPLITS] if isinstance(data, dict) else []
    if not isinstance(data, dict) or not (keys or 'names' in data or 'nc' in data):
        return None
    if 'names' not in data:
        if not certain:
            return None
        raise DataError(f'{path} lacks "names", the list of class names.', path)
    entries = {}
    for key in keys:
        value = data[key] if isinstance(data[key], list) else [data[key]]
        if not all(isinstance(entry, str) for entry in value):
            raise DataError(f'{path}: "{printable(key)}" must be a folder, a list of images, or '
                            'several of them.', path)
        if entry_texts := [entry for entry in value if entry.strip()]:
            entries[key] = entry_texts
    base = below(root, data['path']) if isinstance(data.get('path'), str) else None
    return _found(root, _Set(path, _yaml_names(root, path, data['names']), entries,
                             base if base and base.is_dir() else root, 'kpt_shape' in data))


def _found(root: Path, described: _Set) -> _Set:
    """Return the description, without its entries where none of them is there.

    The names of the folders say then what each split is.
    """
    there = any(_place(root, described, entry)
                for entries in described.entries.values() for entry in entries)
    return described if there else replace(described, entries={})


def _yaml_names(root: Path, path: Path, value: object) -> dict[int, str]:
    if isinstance(value, str) and (listing := below(root, value)) and listing.is_file():
        return _listed_names(root, listing)
    rows: Iterable[tuple[object, object]] = ()
    if isinstance(value, list):
        rows = enumerate(value)
    elif isinstance(value, dict):
        rows = value.items()
    names = {}
    for number, name in rows:
        if not isinstance(name, str) or not name.strip() or not str(number).isdecimal() \
                or len(str(number)) > 9:
            raise DataError(f'{path}: "names" must give every class number a name; it has '
                            f'{printable(str(number), 40)}: {printable(str(name), 40)}.', path)
        names[int(str(number))] = name
    return _checked_names(path, names)


def _checked_names(path: Path, names: dict[int, str]) -> dict[int, str]:
    if not names:
        raise DataError(f'{path} names no classes.', path)
    if len(names) > _MAX_CLASSES:
        raise DataError(f'{path} names more than {_MAX_CLASSES} classes.', path)
    return {number: class_name(name, path) for number, name in names.items()}


def _listed_names(root: Path, path: Path) -> dict[int, str]:
    lines = read_lines(path, 'a list of class names', _MAX_BYTES, root)
    names = {number: line for number, line in enumerate(lines) if line.strip()}
    if any('\udc80' <= character <= '\udcff' for name in names.values() for character in name):
        raise DataError(f'{path} is not UTF-8; save the list of class names as UTF-8.', path)
    return _checked_names(path, names)


def _label_studio_names(root: Path, path: Path) -> dict[int, str]:
    try:
        rows = json.loads(read_bounded(path, _MAX_BYTES, "Label Studio's notes",
                                       root))['categories']
        return _checked_names(path, {int(row['id']): str(row['name']) for row in rows})
    except (ValueError, KeyError, TypeError, OverflowError, RecursionError) as error:
        if isinstance(error, DataError):
            raise
        raise DataError(f'{path} lacks the "categories" with "id" and "name" that Label Studio '
                        'writes.', path) from error


def _from_obj_data(root: Path) -> _Set:
    """Return the description in darknet's obj.data, as CVAT writes it."""
    path = root / 'obj.data'
    rows = dict(row.split('=', 1) for row in read_lines(path, 'obj.data', _MAX_BYTES, root)
                if '=' in row)
    values = {key.strip(): value.strip() for key, value in rows.items()}
    listing = below(root, values.get('names', 'obj.names'))
    if listing is None or not listing.is_file():
        raise DataError(f'{path}: its list of class names, {printable(values.get("names", ""))}, '
                        'is missing.', path)
    entries = {key: [value] for key, value in values.items() if canonical(key) in SPLITS}
    return _found(root, _Set(path, _listed_names(root, listing), entries, root))


def _place(root: Path, found: _Set, entry: str) -> Path | None:
    """Return the folder or list that an entry means, or None."""
    return below(found.base or root, entry) or below(root, entry)


def _images(root: Path, found: _Set, split: str, on_bad: OnBad | None) -> list[Path]:
    if not found.entries:
        return [image for image in images_below(root) if split_of(root, image) == split]
    images: list[Path] = []
    for entry in found.entries.get(split, ()):
        place = _place(root, found, entry)
        if place is None:
            refuse(DataError(f'{found.source}: "{printable(entry)}" of the split "{split}" is '
                             f'not below {root}.', found.source), on_bad)
        elif place.is_dir():
            images += images_below(place)
        else:
            images += listed_images(root, place, read_lines(place, 'a list of images',
                                                            root=root), on_bad)
    return images


def _sample(root: Path, image: Path, labels: Path | None, found: _Set,
            on_bad: OnBad | None) -> Sample:
    names = found.names or {}
    lines = []
    if labels:
        lines = [(number, line.split()) for number, line in enumerate(
            read_lines(labels, 'YOLO labels', MAX_LABEL_BYTES, root), 1) if line.strip()]
    if len(lines) > MAX_OBJECTS:
        raise DataError(f'{labels} has {len(lines)} objects, more than the {MAX_OBJECTS} '
                        'allowed in one image.', labels)
    boxes, classes = [], []
    for number, words in lines:
        try:
            box, label = parse_object(words, found.keypoints)
        except ValueError as error:
            raise DataError(f'{labels}, line {number}: {error}.', labels) from error
        if label not in names:
            hint = ' (do the numbers begin with 1?)' \
                if label == len(names) and max(names) < label else ''
            raise DataError(f'{labels}, line {number}: the class {label} has no name in '
                            f'{found.source}, which names {len(names)} from 0 on{hint}.', labels)
        boxes.append(box)
        classes.append(names[label])
    height, width = image_size(image) if boxes else (1, 1)
    edges = np.array(boxes, np.float64).reshape(-1, 4) * [width, height, width, height]
    return make_sample(image, edges, classes, [False] * len(classes), labels or image, None,
                       on_bad, tuple(dict.fromkeys(names.values())))
