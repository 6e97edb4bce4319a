"""The kinds of problems of a data set, each with its severity and its remedy."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from ssd_perception.core.errors import DataError
from ssd_perception.evaluation.accuracy import MAX_DETECTIONS


class Kind(NamedTuple):
    """A kind of problem.

    Attributes:
        error: True where training or evaluation would lose or misread something; else it is a
            warning, which may be intended.
        remedy: what to do about it.
    """

    error: bool
    remedy: str


KINDS = {
    'unreadable annotation': Kind(True, 'correct or remove the file; training skips it'),
    'missing picture': Kind(True, 'add the image, or remove its name or labels'),
    'unreadable picture': Kind(True, 'replace, convert or remove it; training skips it'),
    'truncated picture': Kind(True, 'copy it again from its source; its lower part is missing'),
    'degenerate box': Kind(True, 'correct the box; training leaves the object out'),
    'box outside': Kind(True, 'correct the box or the stated size; no part of it is in the image'),
    'size differs': Kind(True, 'the boxes were drawn on an image of another size: export again'),
    'unknown class': Kind(True, 'add it to class_names of the recipe, or rename it'),
    'no objects': Kind(True, 'the split has no object of any class'),
    'in two splits': Kind(True, 'keep it in one split: figures measured on it mean nothing'),
    'same picture in two splits': Kind(True, 'keep one copy: figures measured on it mean nothing'),
    'near-duplicate across splits': Kind(
        False, 'keep scenes together in one split: figures measured on them are too high'),
    'near-duplicates within a split': Kind(
        False, 'frames of one video; fine for training, but they count less than their number'),
    'same picture twice': Kind(False, 'remove one copy'),
    'listed twice': Kind(False, 'list it once'),
    'box over the edge': Kind(False, 'boxes are cut at the edge; check a larger overhang'),
    'tiny object': Kind(
        False, 'too small for this input: cut the images into parts, or training leaves it out'),
    'crowded picture': Kind(
        False, f'figures count {MAX_DETECTIONS} boxes an image; the node gives more with '
        'max_detections'),
    'duplicate box': Kind(False, 'remove one of the two'),
    'two classes on one object': Kind(False, 'decide for one class'),
    'EXIF rotation': Kind(
        False, 'boxes must be on the image as viewers show it, or state the stored size'),
    'dark picture': Kind(
        False, 'little can be seen; values of 10 to 14 bits must be stretched over all 16 bits'),
    'many without objects': Kind(
        False, 'they are trained on as background: leave out those that nobody has labelled yet'),
    'rare class': Kind(False, 'collect more, or leave the class out'),
    'class never trained': Kind(False, 'the class cannot be learned: the training split lacks it'),
    'similar class names': Kind(False, 'if they mean the same, give them one name'),
    'no validation images': Kind(
        False, 'label more: nothing measures the weights, and nothing chooses the best ones'),
    'corners as sizes': Kind(
        False, 'if the last two are the right and lower edges, write width and height instead; '
        "YOLO's first two are the centre"),
    'boxes count from 1': Kind(False, 'if the export counts from 1, add --one-based'),
    'low anchor coverage': Kind(
        False, 'take the suggested anchors, or a larger input; train without a recipe does so'),
    'pictures in no split': Kind(False, 'add them to a list, if they belong to the data set'),
}


class ProblemRow(NamedTuple):
    """A problem as texts; the fields are the columns of problems.csv and keys of problems.json."""

    severity: str
    kind: str
    split: str
    file: str
    other: str
    detail: str


@dataclass(frozen=True)
class Problem:
    """One problem of a data set.

    Attributes:
        kind: a key of ``KINDS``.
        file: the file with the problem; a folder where it is not in a single file.
        detail: one sentence, without the file's name.
        other: the second file of a pair.
        split: where it was found, as ``FOLDER/SPLIT``; empty for the whole set.
        box: (4,) edges in the image of the (first) box with the problem, if it is in the image.
    """

    kind: str
    file: Path
    detail: str
    other: Path | None = None
    split: str = ''
    box: tuple[float, ...] | None = None

    @property
    def error(self) -> bool:
        """Whether it fails the check, rather than warns."""
        return KINDS[self.kind].error

    @classmethod
    def from_error(cls, error: DataError, split: str, fallback: Path) -> Problem:
        """Return the Problem that a reader raised; ``fallback`` where it names no file."""
        file = error.file or fallback
        detail = str(error).removeprefix(str(file)).lstrip(':, ')
        return cls(error.problem, file, detail, split=split)

    def row(self) -> ProblemRow:
        """Return the problem as texts, for JSON and CSV."""
        return ProblemRow('error' if self.error else 'warning', self.kind, self.split,
                          str(self.file), str(self.other or ''), self.detail)
