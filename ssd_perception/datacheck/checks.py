"""Checks on annotations: boxes and the sizes of their images, classes, lists."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ssd_perception.core.boxes import area, clip, iou
from ssd_perception.core.metadata import Architecture, Preprocessing
from ssd_perception.core.text import printable
from ssd_perception.data.anchor_fit import placed_boxes
from ssd_perception.data.division import FEWEST
from ssd_perception.data.folder import canonical
from ssd_perception.data.sample import IMAGE_SUFFIXES, MIN_SIDE_PX, OTHER_SUFFIXES, Sample
from ssd_perception.datacheck.inspection import ImageFacts
from ssd_perception.datacheck.problems import Problem
from ssd_perception.evaluation.accuracy import MAX_DETECTIONS

OVERHANG_PX = 1.0  # less is rounding, or one count from 1 too many
SAME_BOX_IOU = 0.95
MANY_EMPTY = 0.5  # of the images of a split; perhaps nobody has labelled them yet
DARK = 32  # of 255; a 12-bit image stored with 16 bits has at most 15
RARE = 50  # objects of a class to train on; fewer hardly show it from all sides
_TOUCHING = 20  # edges exactly at 1, with none below, are no coincidence
_BLOCK = 1000
_BOXES = 20  # that look like corners are no coincidence if a tenth leads out of the images


@dataclass(frozen=True, eq=False)
class Split:
    """One split of one folder, as far as it could be read.

    Attributes:
        folder: the data folder.
        name: the split.
        samples: its images.
        trains: whether training reads it: train, train2017, or a folder's only one, "default".
    """

    folder: Path
    name: str
    samples: list[Sample]
    trains: bool

    @property
    def label(self) -> str:
        """Folder and name, for people."""
        archive = self.folder.suffix.lower() == '.zip'
        name = self.folder.stem if archive else self.folder.resolve().name
        return f'{printable(name)}/{printable(self.name)}'


def check_image(sample: Sample, facts: ImageFacts, split: str) -> Iterator[Problem]:
    """Yield what is wrong with an image file, and with the size its annotation states."""
    if facts.failure:
        kind, detail = facts.failure
        yield Problem(kind, sample.path, detail, split=split)
        return
    if facts.brightest < DARK:
        yield Problem('dark picture', sample.path,
                      f'its brightest pixel is {facts.brightest} of 255', split=split)
    if facts.orientation != 1:
        yield Problem('EXIF rotation', sample.path,
                      f'EXIF orientation {facts.orientation}: viewers show it turned', split=split)
    if sample.stated_hw and facts.hw and sample.stated_hw != facts.seen_hw(sample):
        yield Problem('size differs', sample.annotation or sample.path,
                      f'states {_size(sample.stated_hw)}, the image has {_size(facts.hw)}',
                      sample.path, split)


def check_boxes(sample: Sample, hw: tuple[int, int], architecture: Architecture,
                preprocessing: Preprocessing, split: str) -> Iterator[Problem]:
    """Yield what is wrong with the boxes of an image of ``hw`` (height, width) px."""
    file, other = sample.annotation or sample.path, sample.path
    xyxy = sample.xyxy.astype(np.float64)

    def problem(kind: str, which: np.ndarray, what: str) -> Iterator[Problem]:
        if len(which):
            first = int(which[0])
            more = f' ({len(which)} such boxes)' if len(which) > 1 else ''
            yield Problem(kind, file, f'{sample.names[first]} {_box(xyxy[first])} {what}{more}',
                          other, split, tuple(xyxy[first]) if inside[first] else None)

    if len(xyxy) > MAX_DETECTIONS:
        yield Problem('crowded picture', file, f'{len(xyxy)} objects', other, split)
    inside = area(clip(xyxy, hw[1], hw[0])) > 0
    yield from problem('box outside', np.flatnonzero(~inside),
                       f'is outside of the image, {_size(hw)}')
    over = np.maximum(-xyxy[:, :2], xyxy[:, 2:] - [hw[1], hw[0]]).max(1, initial=-np.inf)
    yield from problem('box over the edge', np.flatnonzero(inside & (over > OVERHANG_PX)),
                       f'reaches {over[inside].max(initial=0):.1f} px over the edge of '
                       f'{_size(hw)}')
    sides = placed_boxes([(xyxy[inside], hw)], architecture, preprocessing)
    side = (sides[:, 2:] - sides[:, :2]).min(1, initial=np.inf)
    yield from problem('tiny object', np.flatnonzero(inside)[side < MIN_SIDE_PX],
                       f"is narrower than {MIN_SIDE_PX:g} px at the network's input")
    yield from _same_boxes(sample, xyxy, split)


def _same_boxes(sample: Sample, xyxy: np.ndarray, split: str) -> Iterator[Problem]:
    labels = np.unique(sample.names, return_inverse=True)[1] if sample.names else np.zeros(0, int)
    found: dict[str, tuple[int, int]] = {}  # kind -> the first pair
    counts: Counter[str] = Counter()
    for start in range(0, len(xyxy), _BLOCK):
        same = iou(xyxy[start:start + _BLOCK], xyxy) >= SAME_BOX_IOU
        same &= np.arange(len(xyxy)) > start + np.arange(len(same))[:, None]  # each pair once
        equal = labels[start:start + _BLOCK, None] == labels
        for kind, pairs in (('duplicate box', same & equal),
                            ('two classes on one object', same & ~equal)):
            count = int(pairs.sum())
            if count and kind not in found:
                i, j = np.argwhere(pairs)[0]
                found[kind] = int(i) + start, int(j)
            counts[kind] += count
    for kind, (i, j) in found.items():
        names = ' and '.join(dict.fromkeys((sample.names[i], sample.names[j])))
        more = f' ({counts[kind]} such pairs)' if counts[kind] > 1 else ''
        yield Problem(kind, sample.annotation or sample.path, f'{names} at {_box(xyxy[i])}{more}',
                      sample.path, split, tuple(xyxy[i]))


def check_classes(splits: Sequence[Split], recipe_names: Sequence[str]) -> Iterator[Problem]:
    """Yield problems of class names: unknown to the recipe, rare, untrained, alike.

    And splits in which many images have no objects.
    """
    counts = {split: Counter(n for s in split.samples for n in s.names) for split in splits}
    for name in dict.fromkeys(split.name for split in splits):
        alike = [split for split in splits if split.name == name and split.samples]
        # A folder of negatives is useful in addition to others, but not alone.
        if alike and not any(counts[split] for split in alike):
            unlabelled = all(s.annotation in (None, s.path) for p in alike for s in p.samples)
            yield Problem('no objects', alike[0].folder, 'no object in any image'
                          + ', because no file of labels was found' * unlabelled,
                          split=alike[0].label)
    for split in splits:
        empty = sum(not sample.names for sample in split.samples)
        if split.trains and counts[split] and empty > MANY_EMPTY * len(split.samples):
            yield Problem('many without objects', split.folder,
                          f'{empty} of {len(split.samples)} images', split=split.label)
    for split in splits if recipe_names else ():
        for sample in split.samples:
            for name in sorted(set(sample.names) - set(recipe_names)):
                yield Problem('unknown class', sample.annotation or sample.path,
                              f'"{name}" is not one of {", ".join(recipe_names)}', sample.path,
                              split.label)
    everywhere = sorted(set().union(*counts.values())) if counts else []
    similar = defaultdict(list)
    for name in everywhere:
        similar[re.sub(r'[\s_-]', '', name.casefold())].append(name)
    for group in similar.values():
        if len(group) > 1:
            yield Problem('similar class names', splits[0].folder,
                          ', '.join(f'"{name}"' for name in group))
    training = [split for split in splits if split.trains]
    trained = sum((counts[split] for split in training), Counter())
    for name in sorted({*everywhere, *recipe_names}) if training else ():
        where = ', '.join(split.label for split in training)
        if not trained[name]:
            yield Problem('class never trained', training[0].folder, f'"{name}" is not in {where}')
        elif trained[name] < RARE:
            yield Problem('rare class', training[0].folder,
                          f'"{name}" has {trained[name]} objects in {where}; fewer than {RARE}')


def check_validation(splits: Sequence[Split]) -> Iterator[Problem]:
    """Yield a warning when there are no validation images, and too few images to take some of."""
    counts = Counter(split.folder for split in splits if split.trains for _ in split.samples)
    measured = any(canonical(split.name) == 'val' and split.samples for split in splits)
    if counts and not measured and max(counts.values()) < FEWEST:
        folder, count = counts.most_common(1)[0]
        yield Problem('no validation images', folder, f'{count} images to train on; only from '
                      f'{FEWEST} on some are set aside')


def check_lists(splits: Sequence[Split]) -> Iterator[Problem]:
    """Yield images that are listed twice, in one split or in two."""
    places: dict[Path, list[str]] = defaultdict(list)
    for split in splits:
        for sample in split.samples:
            places[sample.path].append(split.label)
    for path, labels in places.items():
        if len(set(labels)) > 1:
            yield Problem('in two splits', path, f'is in {" and ".join(sorted(set(labels)))}')
        if len(set(labels)) < len(labels):
            label = next(label for label in labels if labels.count(label) > 1)
            yield Problem('listed twice', path, f'{labels.count(label)} times', split=label)


def check_unlisted(splits: Sequence[Split], faulty: set[str]) -> Iterator[Problem]:
    """Yield, for each folder of images, how many are in no split, and the unsupported files.

    Args:
        faulty: stems of files that have been named already: an image whose annotation cannot
            be read is listed nevertheless.
    """
    known = {sample.path for split in splits for sample in split.samples}
    for folder in sorted({path.parent for path in known}):
        below = sorted(folder.iterdir())
        for path in below:
            if path.suffix.lower() in OTHER_SUFFIXES and path.stem not in faulty:
                yield Problem('unreadable picture', path,
                              f'{path.suffix[1:].upper()} is not read; convert it to JPEG or PNG')
        more = [path for path in below if path.suffix.lower() in IMAGE_SUFFIXES
                      and path not in known and path.stem not in faulty]
        if more:
            yield Problem('pictures in no split', folder, f'{len(more)}, for example '
                          f'{printable(more[0].name)}')


def check_counting(split: Split) -> Iterator[Problem]:
    """Yield a warning when VOC boxes that were read as counting from 0 seem to count from 1."""
    files = [s for s in split.samples if s.annotation and s.annotation.suffix == '.xml']
    edges = np.concatenate([s.xyxy for s in files] or [np.zeros((0, 4))])
    touching = int((edges[:, :2] == 1).sum())
    if touching >= _TOUCHING and (edges >= 1).all() and (edges % 1 == 0).all():
        yield Problem('boxes count from 1', split.folder,
                      f'{touching} edges are at exactly 1, none at 0, and all are whole',
                      split=split.label)


def check_corners(split: Split, placed: Sequence[tuple[Sample, tuple[int, int]]]
                  ) -> Iterator[Problem]:
    """Yield a warning when corners seem to have been written where a size belongs.

    Then each "width" is beyond the x before it, each "height" beyond the y, and boxes reach out of
    their images. YOLO's x and y are the centre of a box, those of COCO its corner.

    Args:
        placed: the split's samples and the sizes (height, width) px of their images.
    """
    rows = [(sample.xyxy, [hw[1], hw[0]] * np.ones((len(sample.xyxy), 1)),
             np.full(len(sample.xyxy), sample.annotation.suffix == '.txt'))
            for sample, hw in placed if sample.annotation
            and sample.annotation.suffix in ('.txt', '.json') and len(sample.xyxy)]
    if not rows:
        return
    xyxy, wh, centred = (np.concatenate(part) for part in zip(*rows))
    size = xyxy[:, 2:] - xyxy[:, :2]
    first = np.where(centred[:, None], xyxy[:, :2] + size / 2, xyxy[:, :2])
    outside = (xyxy[:, 2:] > wh + OVERHANG_PX).any(1)
    if len(size) >= _BOXES and (size > first).all() and outside.mean() >= 0.1:
        yield Problem('corners as sizes', split.folder,
                      f'in all {len(size)} boxes the last two numbers are greater than the two '
                      f'before, and {outside.sum()} boxes reach out of their images',
                      split=split.label)


def _size(hw: tuple[int, int]) -> str:
    return f'{hw[1]}x{hw[0]}'


def _box(xyxy: np.ndarray) -> str:
    return '(' + ', '.join(f'{value:g}' for value in xyxy) + ')'
