"""The result of reading any data layout: one image on disk and the objects in it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ssd_perception.core.boxes import area
from ssd_perception.core.errors import DataError
from ssd_perception.core.text import printable
from ssd_perception.imaging.files import read_image

IMAGE_SUFFIXES = ('.jpg', '.jpeg', '.png', '.webp', '.bmp', '.tif', '.tiff', '.avif', '.jfif')
# Images and camera raw files that are named where they lie among others, but not read.
OTHER_SUFFIXES = ('.heic', '.heif', '.jxl', '.gif', '.dng', '.cr2', '.cr3', '.nef', '.arw', '.raw',
                  '.svg', '.psd', '.tga', '.dds', '.jp2', '.exr', '.hdr', '.ppm', '.pgm')
MAX_OBJECTS = 5000  # in one image; crowds and aerial images of public sets have fewer
VIDEO_SUFFIXES = ('.mp4', '.mov', '.m4v', '.avi', '.mkv', '.webm', '.mpg', '.mpeg', '.ts')

MAX_NAME = 100  # characters of a class name, as in weights
MIN_VISIBLE = 0.25  # share of an object's area that must survive a cut for it to stay labelled
MIN_SIDE_PX = 4.0  # of images being composed; less is not recognisable

OnBad = Callable[[DataError], None]


@dataclass(frozen=True, eq=False)
class Sample:
    """One image on disk and the objects in it.

    Attributes:
        path: the image.
        xyxy: float32 (n, 4), continuous edges in the image's pixels, from 0.
        names: n class names.
        difficult: bool (n,), VOC's flag and COCO's ``iscrowd``: kept in training, ignored in
            evaluation.
        annotation: the file with the objects; the image itself where there is none.
        stated_hw: height and width, px, that the annotation states for the image; None where it
            states none.
        labelled: the classes whose objects are labelled in this image, known from its folder;
            None means every class. An object of another class may be in the image without a
            box, so the image is no background for that class.
    """

    path: Path
    xyxy: np.ndarray
    names: tuple[str, ...]
    difficult: np.ndarray
    annotation: Path | None = None
    stated_hw: tuple[int, int] | None = None
    labelled: tuple[str, ...] | None = None

    def image(self) -> np.ndarray:
        """Return ``read_image`` of it, as its boxes were drawn on."""
        return read_image(self.path, self.stated_hw)


def make_sample(path: Path, xyxy: np.ndarray, names: Iterable[str], difficult: Iterable[bool],
                annotation: Path, stated_hw: tuple[int, int] | None, on_bad: OnBad | None,
                labelled: tuple[str, ...] | None = None) -> Sample:
    """Return the Sample without its boxes that have no area; each goes to ``on_bad``.

    Only the object is left out, not the image: COCO's own sets hold such boxes, nobody can
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
                  np.array(difficult, bool)[good], annotation, stated_hw, labelled)


def class_name(text: str, file: Path) -> str:
    """Return a class name from a file as weights can hold it: trimmed, printable, not long.

    Characters that cannot be printed, half a surrogate pair among them, become escapes.

    Raises:
        DataError: naming ``file``, when nothing or more than ``MAX_NAME`` characters are left.
    """
    name = printable(text[:2 * MAX_NAME].strip(), 12 * MAX_NAME)
    if not name or len(name) > MAX_NAME:
        raise DataError(f'{file}: a class name must have 1 to {MAX_NAME} characters, got '
                        f'"{printable(text, 40)}".', file)
    return name


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
        DataError: naming the image and the class that ``names`` lacks.
    """
    for name in sample.names:
        if name not in names:
            raise DataError(f'{sample.path}: class "{name}" is not one of {", ".join(names)}.',
                            sample.annotation or sample.path, 'unknown class')
    return np.array([names.index(name) for name in sample.names], np.int64)


def as_negatives(samples: Sequence[Sample]) -> list[Sample]:
    """Return the samples without their objects, which are of other classes."""
    return [replace(sample, xyxy=np.zeros((0, 4), np.float32), names=(),
                    difficult=np.zeros(0, bool), labelled=None) for sample in samples]


def renamed(samples: Sequence[Sample], names: Mapping[str, str]) -> list[Sample]:
    """Return the samples with other class names: ``names`` maps old ones to new ones."""
    return [replace(sample, names=tuple(names.get(name, name) for name in sample.names))
            for sample in samples]


class TrainingItem(NamedTuple):
    """An image in memory with its objects, on its way into a batch.

    Attributes:
        image: uint8 (H, W, 3) RGB.
        xyxy: float32 (n, 4), edges in the image's pixels.
        labels: int64 (n,).
    """

    image: np.ndarray
    xyxy: np.ndarray
    labels: np.ndarray


def keep_visible(cut: np.ndarray, whole: np.ndarray) -> np.ndarray:
    """Return bool (n,): which ``cut`` boxes still show enough of their ``whole`` ones.

    Both are (n, 4) edges at the same scale.
    """
    sides = cut[:, 2:] - cut[:, :2]
    return (sides >= MIN_SIDE_PX).all(1) & (area(cut) >= MIN_VISIBLE * area(whole))
