"""Read Pascal VOC's layout: one XML file for each image, with lists of the splits or without."""

from __future__ import annotations

import codecs
import os
import re
import xml.etree.ElementTree as ElementTree
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path, PureWindowsPath
from typing import NamedTuple

import numpy as np

from ssd_perception.core.errors import DataError
from ssd_perception.core.safe_path import inside, regular_file
from ssd_perception.core.text import printable
from ssd_perception.data.folder import (
    files_below,
    image_named,
    images_below,
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

MAX_XML_BYTES = 10_000_000  # an image with five thousand objects has 2 MB
# One with five thousand objects has 130 000; deep ones take a second for each million.
MAX_XML_TAGS = 500_000
MAX_NAMESPACE = 1000  # characters; the parser copies them to every tag
_SLOW_ENCODINGS = ('punycode', 'idna')  # their time grows with the square of the length
_SIDES = ('xmin', 'ymin', 'xmax', 'ymax')
_ORIGINAL = re.compile(r'The VOC20\d\d Database')
_WHOLE_SHARE = 0.95  # VOC2012 itself has a few boxes with decimals
_DECLARATION = re.compile(rb'\s*<\?xml[^>]*?encoding\s*=\s*["\']([A-Za-z0-9._-]+)["\'][^>]*\?>')
# Windows writes GBK and calls it gb2312; a text that can be matched as bytes is no UTF-16.
_WRITTEN_AS = {'gb2312': 'gb18030', 'gbk': 'gb18030', 'utf-16': 'utf-8', 'utf-16-le': 'utf-8'}
_PROBES = 100  # XML files opened to find out whether they are annotations
_COLUMN = re.compile(r'\s+-?[01]$')  # of the original per-class lists


def _text(item: ElementTree.Element, path: str) -> str:
    text = item.findtext(path)
    if not text:
        raise ValueError(f'no {path}')
    return text


class _Annotation(NamedTuple):
    """One file as it is written: edges not yet shifted, images not yet looked for."""

    path: Path
    image: Callable[[str], Path]  # of ``filename``
    edges: np.ndarray  # float64 (n, 4)
    names: list[str]
    difficult: list[bool]
    stated_hw: tuple[int, int] | None
    database: str
    filename: str


def read_voc(root: str | os.PathLike, split: str, one_based: bool | None = False,
             on_bad: OnBad | None = None) -> list[Sample]:
    """Read every annotation of a split; images are not opened.

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
            path = inside(root, f'Annotations/{name}.xml')
            found.append(_read_annotation(path, partial(_listed_image, root, name)))
        except DataError as error:
            refuse(error, on_bad)
    return _samples(root, found, one_based, on_bad)


def read_loose_voc(root: str | os.PathLike, split: str, one_based: bool | None = False,
                   on_bad: OnBad | None = None) -> list[Sample]:
    """Read a split of a folder of XML files without lists; see ``read_voc``.

    Args:
        split: one of ``loose_splits``.
    """
    root = Path(root).expanduser()
    found = []
    by_stem: dict[str, list[Path]] = defaultdict(list)
    for image in images_below(root):
        by_stem[image.stem].append(image)
    files = _loose_files(root)
    by_name = _without_own(by_stem, files)
    for path in files:
        if split_of(root, path) != split:
            continue
        try:
            inside(root, str(path.relative_to(root)))
            found.append(_read_annotation(
                path, partial(_loose_image, root, path, by_stem, by_name)))
        except DataError as error:
            refuse(error, on_bad)
    # Of two that name one image, nobody knows whose it is.
    named = Counter(_name_of(item.filename) for item in found if item.path.stem not in by_stem)
    for name in [name for name, count in named.items() if count > 1]:
        by_name.pop(name, None)
    return _samples(root, found, one_based, on_bad)


def _without_own(by_stem: Mapping[str, Sequence[Path]],
                 files: Sequence[Path]) -> dict[str, list[Path]]:
    """Return name -> images that no annotation is called after."""
    own = {path.stem for path in files}
    found: dict[str, list[Path]] = defaultdict(list)
    for stem, images in by_stem.items():
        for image in images if stem not in own else ():
            found[image.name].append(image)
    return found


def _name_of(filename: str) -> str:
    return PureWindowsPath(filename.strip()).name


def _samples(root: Path, found: Sequence[_Annotation], one_based: bool | None,
             on_bad: OnBad | None) -> list[Sample]:
    if one_based is None:
        one_based = _counts_from_one(found)
    samples = []
    for item in found:
        try:
            image = item.image(item.filename)
            inside(root, str(image.relative_to(root)))
        except DataError as error:
            refuse(error, on_bad)
            continue
        edges = item.edges - np.array([1, 1, 0, 0]) if one_based else item.edges
        samples.append(make_sample(image, edges, item.names, item.difficult, item.path,
                                   item.stated_hw, on_bad))
    return samples


def splits(root: Path) -> list[str]:
    """Return the names that ``ImageSets/Main`` lists images under, sorted.

    The original sets also list them per class (``cat_train.txt``); those are left out.
    """
    there = {path.stem for path in (root / 'ImageSets' / 'Main').glob('*.txt')}
    return sorted(name for name in there if not _per_class(name, there))


def _per_class(split: str, there: set[str]) -> bool:
    return split.rpartition('_')[2] in there - {split}


def loose_splits(root: Path) -> list[str]:
    """Return the splits that the folders of XML files without lists are named after, sorted."""
    return sorted({split_of(root, path) for path in _loose_files(root)})


def _loose_files(root: Path) -> list[Path]:
    """Return the XML files below ``root``; none where they are something else."""
    found = list(files_below(root, ('.xml',))) if root.is_dir() else []
    return found if any(_is_annotation(path) for path in found[:_PROBES]) else []


def _is_annotation(path: Path) -> bool:
    try:
        with open(regular_file(path), 'rb') as file:
            return b'<annotation' in file.read(1000)
    except (OSError, DataError):
        return False


def listing(root: Path, split: str) -> Path:
    """Return where the list of the split's images lies, whether it is there or not."""
    return root / 'ImageSets' / 'Main' / f'{split}.txt'


def listed(root: Path, split: str) -> list[str]:
    """Return the names of the split's images, in the file's order.

    Raises:
        DataError: when there is no such split, or nothing in it.
    """
    path = listing(root, split)
    if not path.is_file():
        raise DataError(f'{root} has no split "{split}" ({path} is missing); splits there: '
                        f'{", ".join(splits(root)) or "none"}.', path)
    names = [line.strip() for line in read_lines(path, 'a list of images', root=root)
             if line.strip()]
    if not names:
        raise DataError(f'{path} lists no images.', path)
    names = _without_column(root, split, names)
    return [name if _has_annotation(root, name) else _stem(name) for name in names]


def _stem(name: str) -> str:
    """Return a listed name without an image's ending and with this system's separators."""
    name = name.replace('\\', '/')
    ending = Path(name).suffix
    return name[:-len(ending)] if ending.lower() in IMAGE_SUFFIXES else name


def _without_column(root: Path, split: str, names: list[str]) -> list[str]:
    """Return names without the second column of the original per-class lists.

    A name may end in a space and a digit itself, so the column is only taken off where every
    line has one, no line is a whole name, and without it all are in the list of the split.
    """
    base = split.rpartition('_')[2]
    there = {path.stem for path in (root / 'ImageSets' / 'Main').glob('*.txt')}
    if not _per_class(split, there) or not all(_COLUMN.search(name) for name in names) \
            or any(_has_annotation(root, name) for name in names):
        return names
    shorter = [_COLUMN.sub('', name) for name in names]
    whole = {line.strip() for line in
             read_lines(listing(root, base), 'a list of images', root=root)}
    return shorter if set(shorter) <= whole else names


def _has_annotation(root: Path, name: str) -> bool:
    return os.path.isfile(root / 'Annotations' / f'{name}.xml')


def _read_annotation(path: Path, image: Callable[[str], Path]) -> _Annotation:
    tree = _parsed(path)
    if tree.tag == 'annotations':
        raise DataError(f'{path} is in the format "CVAT for images", which is not read; export as '
                        '"Ultralytics YOLO Detection 1.0", "COCO 1.0" or "PASCAL VOC 1.1".', path)
    objects = tree.findall('object')
    if len(objects) > MAX_OBJECTS:
        raise DataError(f'{path} has {len(objects)} objects, more than the {MAX_OBJECTS} '
                        'allowed in one image.', path)
    boxes, names, difficult = [], [], []
    for item in objects:
        try:
            boxes.append([float(_text(item, f'bndbox/{side}')) for side in _SIDES])
            names.append(_text(item, 'name').strip())
        except ValueError as error:
            raise DataError(f'{path}: an object lacks its name or one of bndbox/xmin, ymin, '
                            'xmax, ymax as numbers.', path) from error
        if not names[-1]:
            raise DataError(f'{path}: an object lacks its name.', path)
        names[-1] = class_name(names[-1], path)
        difficult.append((item.findtext('difficult') or '0').strip() == '1')
    return _Annotation(path, image, np.array(boxes, np.float64).reshape(-1, 4), names, difficult,
                       _stated_hw(tree), tree.findtext('source/database') or '',
                       tree.findtext('filename') or '')


def _parsed(path: Path) -> ElementTree.Element:
    """Return the root of an XML file in the encoding that it declares.

    The parser knows few; others (gb2312, shift_jis, big5) are decoded here.
    """
    data = read_bounded(path, MAX_XML_BYTES, 'a VOC annotation')
    if data.count(b'<') > MAX_XML_TAGS:
        raise DataError(f'{path} has more than the {MAX_XML_TAGS} tags that are read of an '
                        'annotation.', path)
    try:
        declared = _DECLARATION.match(data[:1000])
        if declared:
            name = codecs.lookup(declared[1].decode()).name
            if name in _SLOW_ENCODINGS:
                raise ValueError(f'{name} is not the encoding of a file')
            if name != 'utf-8':
                text = data[declared.end():].decode(_WRITTEN_AS.get(name, name))
                return _tree(text)
        return _tree(data)
    except (ElementTree.ParseError, ValueError, LookupError, RecursionError) as error:
        raise DataError(f'{path} cannot be read as a VOC annotation: {error}.', path) from error


class _Builder(ElementTree.TreeBuilder):
    """Builds the tree, and refuses a long namespace wherever it was declared."""

    def start_ns(self, prefix: str, uri: str) -> None:
        """Look at a namespace before the first tag has it."""
        if len(uri) > MAX_NAMESPACE:
            raise ValueError(f'it names a namespace of more than {MAX_NAMESPACE} characters')


def _tree(xml: str | bytes) -> ElementTree.Element:
    return ElementTree.fromstring(xml, ElementTree.XMLParser(target=_Builder()))


def _stated_hw(tree: ElementTree.Element) -> tuple[int, int] | None:
    """Return the image's height and width if the annotation gives both, above 0."""
    try:
        height, width = (int(float(tree.findtext(f'size/{side}') or 0))
                         for side in ('height', 'width'))
    except (ValueError, OverflowError):
        return None
    return (height, width) if height > 0 and width > 0 else None


def _counts_from_one(annotations: Sequence[_Annotation]) -> bool:
    """Return whether boxes count from 1, by what only the original VOC sets have together.

    Every annotation names "The VOC20xx Database", (nearly) all edges are whole, and none is
    below 1, which would prove the contrary. Everything else counts from 0 here; a set made
    from VOC by a tool that kept the name but not the numbers usually has decimals or a 0.
    """
    edges = np.concatenate([item.edges for item in annotations] or [np.zeros((0, 4))])
    return (len(edges) > 0
            and all(_ORIGINAL.fullmatch(item.database.strip()) for item in annotations)
            and bool((edges >= 1).all()) and float((edges % 1 == 0).mean()) >= _WHOLE_SHARE)


def _listed_image(root: Path, name: str, _filename: str) -> Path:
    path = inside(root, f'JPEGImages/{name}')
    image = image_named(path)
    if image is None:
        expected = path.with_name(path.name + IMAGE_SUFFIXES[0])
        raise DataError(f'No image for "{printable(name)}": expected {expected} (or '
                        f'{", ".join(IMAGE_SUFFIXES[1:])}).', expected, 'missing picture')
    return image


def _loose_image(root: Path, path: Path, by_stem: Mapping[str, Sequence[Path]],
                 by_name: Mapping[str, Sequence[Path]], filename: str) -> Path:
    """Return the image of an annotation: of its name, beside it or in the nearest folder.

    Where no image has the annotation's name, that of the file name inside it is taken, out of
    ``by_name``.
    """
    candidates = by_stem.get(path.stem) or by_name.get(_name_of(filename), ())
    beside = [image for image in candidates if image.parent == path.parent]
    parallel = [image for image in candidates
                if split_of(root, image) == split_of(root, path)]
    for group in (beside, parallel):
        if len(group) == 1 or group and len({image.parent for image in group}) == 1:
            return group[0]
    where = f'; {len(candidates)} images have that name' if candidates else ''
    raise DataError(f'No image for {path}: one image called {printable(path.stem)} beside it or '
                    f'in another folder of {root} is expected{where}.', path, 'missing picture')
