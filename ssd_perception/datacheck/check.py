"""Read a whole data set, decode every image and run every check."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from tqdm import tqdm

from ssd_perception.core.errors import DataError
from ssd_perception.core.metadata import Architecture, Preprocessing
from ssd_perception.data.anchor_fit import (
    ENOUGH,
    MATCH_IOU,
    Coverage,
    Suggestion,
    coverage,
    placed_boxes,
    suggest,
)
from ssd_perception.data.input_fit import Look, input_size
from ssd_perception.data.layout import (
    data_root,
    find_split,
    has_split,
    holds_images,
    read_split,
    separate_splits,
)
from ssd_perception.data.sample import Sample, class_names
from ssd_perception.datacheck.checks import (
    Split,
    check_boxes,
    check_classes,
    check_corners,
    check_counting,
    check_image,
    check_lists,
    check_unlisted,
    check_validation,
)
from ssd_perception.datacheck.inspection import ImageFacts, inspect_images
from ssd_perception.datacheck.leaks import check_copies
from ssd_perception.datacheck.problems import KINDS, Problem


class SplitRow(NamedTuple):
    """What a split holds.

    Attributes:
        label: folder and split.
        images, negatives: number of images, and of those without objects.
        objects: class -> number, the most frequent first.
        difficult: number of objects that are marked so.
        coverage: of its objects by the anchors.
    """

    label: str
    images: int
    negatives: int
    objects: dict[str, int]
    difficult: int
    coverage: Coverage


@dataclass(frozen=True)
class DatasetReport:
    """Everything that was found.

    Attributes:
        splits: what could be read.
        facts: each image's.
        problems: errors first, then by kind in the order of ``KINDS``.
        class_names: the recipe's, then others that occur.
        architecture, preprocessing: what the images were placed for.
        placed: label of a split -> float64 (n, 4) boxes in network-input px.
        coverage: label of a split -> of its objects.
        suggestion: better anchors for the training splits when coverage is low.
        input_reason: why the planned input has its size; empty where a recipe gives it.
    """

    splits: list[Split]
    facts: dict[Path, ImageFacts]
    problems: list[Problem]
    class_names: tuple[str, ...]
    architecture: Architecture
    preprocessing: Preprocessing
    placed: dict[str, np.ndarray]
    coverage: dict[str, Coverage]
    suggestion: Suggestion | None
    input_reason: str = ''

    @property
    def errors(self) -> int:
        """Number of problems that are errors."""
        return sum(problem.error for problem in self.problems)

    @property
    def warnings(self) -> int:
        """Number of problems that are warnings."""
        return len(self.problems) - self.errors

    @property
    def by_kind(self) -> dict[str, list[Problem]]:
        """The problems of each kind, in their order."""
        found: dict[str, list[Problem]] = {}
        for problem in self.problems:
            found.setdefault(problem.kind, []).append(problem)
        return found

    def rows(self) -> list[SplitRow]:
        """Return what each split holds."""
        return [SplitRow(
            split.label, len(split.samples), sum(not s.names for s in split.samples),
            dict(Counter(name for s in split.samples for name in s.names).most_common()),
            sum(int(s.difficult.sum()) for s in split.samples), self.coverage[split.label])
            for split in self.splits]

    def usable(self) -> list[Sample]:
        """Return the samples whose images can be decoded: of training, or of all splits."""
        chosen = [split for split in self.splits if split.trains] or self.splits
        return [sample for split in chosen for sample in split.samples
                if self.facts[sample.path].hw]


def check_dataset(folders: Sequence[Path], names: Sequence[str],
                  architecture: Architecture | None, preprocessing: Preprocessing,
                  recipe_names: Sequence[str] = (), one_based: bool | None = None,
                  progress: bool = False, processes: int | None = None) -> DatasetReport:
    """Read and check.

    Args:
        folders: in one of ``data.layout.LAYOUTS``.
        names: splits; empty means all, without those that only join others (trainval).
        architecture, preprocessing: decide where images and anchors lie; without an architecture
            the input is that which a training without a recipe has.
        recipe_names: class names that are known; empty means all.
        one_based: see ``layout.read_split``.
        processes: see ``inspection.inspect_images``.

    Raises:
        DataError: when a folder has none of the splits; nothing else is fatal.
    """
    splits, problems = _read_all(folders, names, one_based)
    paths = list(dict.fromkeys(s.path for split in splits for s in split.samples))
    facts = dict(tqdm(inspect_images(paths, processes), 'images', len(paths), unit='img',
                      disable=not progress))
    reason = ''
    if architecture is None:
        architecture, reason = _planned(splits, facts)
    placed = {}
    for split in splits:
        good = []
        for sample in split.samples:
            found = facts[sample.path]
            problems += check_image(sample, found, split.label)
            hw = found.seen_hw(sample)
            if hw:
                problems += check_boxes(sample, hw, architecture, preprocessing, split.label)
                good.append((sample, hw))
        problems += check_counting(split)
        problems += check_corners(split, good)
        placed[split.label] = placed_boxes([(sample.xyxy, hw) for sample, hw in good],
                                           architecture, preprocessing)
    problems += check_lists(splits)
    problems += check_classes(splits, recipe_names)
    problems += check_copies(splits, facts)
    if not names:
        problems += check_validation(splits)
        problems += check_unlisted(splits, {problem.file.stem for problem in problems})
    covered = {label: coverage(boxes, architecture) for label, boxes in placed.items()}
    suggestion = _suggest(splits, placed, architecture, problems)
    rank = {kind: place for place, kind in enumerate(KINDS)}
    problems.sort(key=lambda problem: (not problem.error, rank[problem.kind]))
    return DatasetReport(
        splits, facts, problems, tuple(dict.fromkeys(
            [*recipe_names, *class_names(s for split in splits for s in split.samples)])),
        architecture, preprocessing, placed, covered, suggestion, reason)


def _read_all(folders: Sequence[Path], names: Sequence[str],
              one_based: bool | None) -> tuple[list[Split], list[Problem]]:
    problems: list[Problem] = []
    splits: list[Split] = []
    for folder in folders:
        _read(Path(folder).expanduser(), names, one_based, splits, problems)
    if len({split.label for split in splits}) < len(splits):
        raise DataError('Two of the folders have the same name, or one was given twice; rename or '
                        'check them one by one.')
    return splits, problems


def _read(folder: Path, names: Sequence[str], one_based: bool | None, splits: list[Split],
          problems: list[Problem]) -> None:
    wanted = list(names) or separate_splits(folder)
    present = [name for name in wanted if has_split(folder, name)]
    if not present:
        find_split(folder, wanted[0] if wanted else 'train')  # raises
    for name in present:
        split = Split(folder, name, [], _trains(folder, name))

        def bad(error: DataError, split: Split = split) -> None:
            problems.append(Problem.from_error(error, split.label, split.folder))
        before = len(problems)
        try:
            split.samples.extend(read_split(folder, name, one_based, bad))
        except DataError as error:
            if not holds_images(data_root(folder)):  # one sentence, rather than one for each file
                del problems[before:]
            if len(problems) == before:  # otherwise they are named one by one
                bad(error)
        splits.append(split)


def _trains(folder: Path, split: str) -> bool:
    try:
        return split.startswith('train') or find_split(folder, 'train').split == split
    except DataError:  # there is none to train on, or several
        return False


def _planned(splits: Sequence[Split], facts: Mapping[Path, ImageFacts]
             ) -> tuple[Architecture, str]:
    """Return the usual anchors on the input that these images need, and why it is so large."""
    chosen = [split for split in splits if split.trains] or splits
    seen = [(sample.xyxy, hw) for split in chosen for sample in split.samples
            if (hw := facts[sample.path].seen_hw(sample))]
    if not any(len(boxes) for boxes, _ in seen):
        return Architecture(), ''
    look = Look([boxes for boxes, _ in seen], [hw for _, hw in seen])
    names = class_names(sample for split in splits for sample in split.samples)
    hw, reason = input_size(look, len(names))
    return Architecture(input_hw=hw), reason


def _suggest(splits: Sequence[Split], placed: dict[str, np.ndarray], architecture: Architecture,
             problems: list[Problem]) -> Suggestion | None:
    """Suggest anchors for what is trained on, or for everything where nothing is called so."""
    chosen = [split for split in splits if split.trains] or list(splits)
    boxes = np.concatenate([placed[split.label] for split in chosen] or [np.zeros((0, 4))])
    covered = coverage(boxes, architecture).covered
    if covered is None or covered >= ENOUGH:
        return None
    height, width = architecture.input_hw
    problems.append(Problem(
        'low anchor coverage', chosen[0].folder,
        f'{covered:.1%} of the objects in {", ".join(split.label for split in chosen)} have an '
        f'anchor with IoU of at least {MATCH_IOU:g} at {width}x{height}; {ENOUGH:.0%} are wanted'))
    return suggest(boxes, architecture)
