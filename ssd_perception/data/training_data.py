"""What a training reads: the training splits of its folders, and what it is measured on."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from ssd_perception.core.text import listed
from ssd_perception.data.division import FILE
from ssd_perception.data.layout import (
    LABELLED_FILE,
    find_split,
    has_split,
    is_made,
    read_divided,
    read_split,
)
from ssd_perception.data.sample import OnBad, Sample, class_names

NO_SPLIT = 'none'  # in place of a validation split: train on everything, measure nothing


class TrainingData(NamedTuple):
    """The data of a training.

    Attributes:
        train: samples to train on; those of a folder that counts n times, n times.
        validation: name of a folder -> its samples to measure on, for folders that have some.
        taken: a sentence for each folder: what was taken from it.
    """

    train: list[Sample]
    validation: dict[str, Sequence[Sample]]
    taken: list[str]


def read_training_data(folders: Sequence[Path], split: str = 'train', val_split: str = 'val',
                       one_based: bool | None = None, on_bad: OnBad | None = None,
                       repeats: Sequence[int] = ()) -> TrainingData:
    """Read the training and validation splits of folders in any layout.

    Where none of the folders has a validation split, each sets a part of its training split aside
    (``division.divide``); with ``NO_SPLIT`` as ``val_split`` none does.

    Args:
        folders: the first one's validation split chooses the best weights.
        one_based, on_bad: see ``layout.read_split``.
        repeats: how often each folder counts; empty means once.

    Raises:
        DataError: when a folder lacks the training split, or nothing of a split can be used.
    """
    train: list[Sample] = []
    validation: dict[str, Sequence[Sample]] = {}
    taken = []
    roots: dict[Path, list[Sample]] = {}
    measures = val_split != NO_SPLIT
    divides = measures and not any(has_split(folder, val_split) for folder in folders)
    for folder, times in zip(folders, repeats or [1] * len(folders)):
        found = find_split(folder, split)
        if divides:
            own, aside, file = read_divided(folder, split, one_based, on_bad)
            source = f'set aside of its training images, {_kept(file)}'
        else:
            own = read_split(folder, split, one_based, on_bad)
            aside = read_split(folder, val_split, one_based, on_bad) \
                if measures and has_split(folder, val_split) else []
            source = f'named in {found.root / FILE}' if is_made(folder, val_split) \
                else f'the split "{val_split}"'
        train += own * times
        if aside:
            validation[str(folder) if folder.name in validation else folder.name] = aside
        measured = f'; {len(aside)} for validation, {source}' if aside else ''
        taken.append(f'{found}: {len(own)} images for training{measured}.')
        roots[found.root] = [*own, *aside]
    return TrainingData(train, validation, taken + _partly_labelled(roots))


def _partly_labelled(folders: Mapping[Path, Sequence[Sample]]) -> list[str]:
    """Return a sentence for each folder that has no object of a class of the others."""
    lines = []
    every = class_names(itertools.chain(*folders.values()))
    for root, samples in folders.items():
        own = class_names(samples)
        if own and len(own) < len(every) and samples[0].labelled is None:
            rest = [name for name in every if name not in own]
            lines.append(
                f'{root} has no object of {listed(rest, 5)}: if its images show some, unlabelled, '
                'they are trained on as background; to prevent that, write '
                f'"classes: [{", ".join(own)}]" into {root / LABELLED_FILE}.')
    return lines


def _kept(file: Path | None) -> str:
    return f'named in {file}' if file else \
        'the same ones every time (the folder cannot be written to, so they are not named there)'
