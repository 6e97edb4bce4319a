"""What every data layout is read into: one picture on disk and the objects in it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

PICTURE_SUFFIXES = ('.jpg', '.jpeg', '.png')
VIDEO_SUFFIXES = ('.mp4', '.mov', '.m4v', '.avi', '.mkv', '.webm', '.mpg', '.mpeg', '.ts')


class DataError(ValueError):
    """A data folder or a file in it cannot be used; the message names it.

    Attributes:
        file: the file at fault, or None when the message is about something else.
        problem: which of ``data.problems.KINDS`` it is.
    """

    def __init__(self, message: str, file: str | os.PathLike | None = None,
                 problem: str = 'unreadable annotation'):
        super().__init__(message)
        self.file = None if file is None else Path(file)
        self.problem = problem


OnBad = Callable[[DataError], None]


@dataclass(frozen=True, eq=False)
class Sample:
    """One picture on disk and the objects in it.

    Attributes:
        path: the picture.
        xyxy: float32 (n, 4), continuous edges in the picture's pixels, from 0.
        names: n class names.
        difficult: bool (n,), VOC's flag and COCO's ``iscrowd``: kept in training, ignored in
            evaluation.
        annotation: the file that says so; the picture itself where nothing else is known.
        stated_hw: height and width, px, that the annotation gives the picture; None where it
            gives none.
    """

    path: Path
    xyxy: np.ndarray
    names: tuple[str, ...]
    difficult: np.ndarray
    annotation: Path | None = None
    stated_hw: tuple[int, int] | None = None


def make_sample(path: Path, xyxy: np.ndarray, names: Iterable[str], difficult: Iterable[bool],
                annotation: Path, stated_hw: tuple[int, int] | None,
                on_bad: OnBad | None) -> Sample:
    """Return the Sample without its boxes that have no area; each is told to ``on_bad``.

    Only the object is left out, not the picture: COCO's own sets hold such boxes, nobody can
    see an object there, and its neighbours are as good as before.

    Args:
        xyxy: (n, 4) edges from 0, of any kind.
        on_bad: None raises instead.
    """
    names, difficult = list(names), list(difficult)
    with np.errstate(invalid='ignore', over='ignore'):
        xyxy = np.asarray(xyxy).reshape(-1, 4).astype(np.float32)
        good = np.isfinite(xyxy).all(1) & (xyxy[:, 2:] > xyxy[:, :2]).all(1)
    for i in np.flatnonzero(~good):
        refuse(DataError(
            f'{annotation}: a box of {path.name} has no area: {names[i]} at '
            f'{", ".join(f"{v:g}" for v in xyxy[i])} (xmin < xmax and ymin < ymax needed).',
            annotation, 'degenerate box'), on_bad)
    return Sample(path, xyxy[good],
                  tuple(name for name, keep in zip(names, good) if keep),
                  np.array(difficult, bool)[good], annotation, stated_hw)


def refuse(error: DataError, on_bad: OnBad | None) -> None:
    """Hand ``error`` to ``on_bad``, or raise it where there is none."""
    if on_bad is None:
        raise error
    on_bad(error)


def class_names(samples: Iterable[Sample]) -> tuple[str, ...]:
    """Return the names that occur, sorted: the class list when a recipe gives none."""
    return tuple(sorted({name for sample in samples for name in sample.names}))


def labels(sample: Sample, names: tuple[str, ...]) -> np.ndarray:
    """Return int64 (n,) indices of the sample's names into ``names``.

    Raises:
        DataError: naming the picture and the class that ``names`` lacks.
    """
    for name in sample.names:
        if name not in names:
            raise DataError(f'{sample.path}: class "{name}" is not one of {", ".join(names)}.',
                            sample.annotation or sample.path, 'unknown class')
    return np.array([names.index(name) for name in sample.names], np.int64)
