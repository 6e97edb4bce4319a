"""Set a part of a folder's images aside for validation, near-duplicates together, and keep it."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ssd_perception.core.atomic_write import atomic_write
from ssd_perception.core.errors import DataError
from ssd_perception.data.folder import read_bounded
from ssd_perception.data.sample import Sample

FILE = 'made_split.json'
SHARE = 0.2  # of the images
FEWEST = 10  # images; fewer are not divided
_MAX_PAIRS = 5_000_000
_MAX_BYTES = 500_000_000
_ROBOFLOW_COPY = re.compile(r'(.+)\.rf\.[0-9A-Za-z]{16,}')
_NOTE = ('Images that were set aside for validation, because the folder has no such split. '
         'Remove this file to have it made again.')


class Division(NamedTuple):
    """A split in two.

    Attributes:
        train, val: its images.
        file: where it is written down; None where the folder cannot be written.
    """

    train: list[Sample]
    val: list[Sample]
    file: Path | None


def divide(root: Path, split: str, samples: Sequence[Sample]) -> Division:
    """Return the division of a split: the one that is written down, else a new one.

    A new one depends on the images alone. Groups of near-duplicates, and the copies that Roboflow
    makes of one image, stay together; groups are taken in the order of a hash of their names
    until a fifth of the images is set aside, then one more for each class that would be missing.
    Training keeps an image of every class.
    Where nearly all images are near-duplicates of one another, the last fifth by name is taken.

    Args:
        root: the data folder, in which the division is written down.
        split: what is divided.
        samples: all images of it; under ``FEWEST`` are all for training.

    Raises:
        DataError: when the division that is written down no longer fits.
    """
    known = stored(root, split)
    if known is not None:
        division = _divided(root, samples, known, root / FILE)
        if len(division.val) < len(known):
            raise DataError(f'{root / FILE} names {len(known)} images, of which '
                            f'{len(known) - len(division.val)} are missing or cannot be used; '
                            'remove it to have it made again.', root / FILE)
        return division
    names = [sample.path.relative_to(root).as_posix() for sample in samples]
    chosen = {names[i] for i in _choose(names, samples)} if len(names) >= FEWEST else set()
    if not chosen:  # nothing is written down, so that more images may be divided later
        return Division(list(samples), [], None)
    text = json.dumps({'note': _NOTE, 'of': split, 'val': sorted(chosen)}, indent=1) + '\n'
    file: Path | None = root / FILE
    try:
        atomic_write(root / FILE, text.encode())
    except OSError:  # a read-only folder: the next division is the same
        file = None
    return _divided(root, samples, chosen, file)


def stored(root: Path, split: str | None = None) -> set[str] | None:
    """Return the names set aside of ``split`` (None: of any) that are written down in ``root``.

    Raises:
        DataError: when the file is there and cannot be used.
    """
    path = root / FILE
    if not path.is_file():
        return None
    try:
        data = json.loads(read_bounded(path, _MAX_BYTES, 'a division', root))
        names, of = data['val'], data['of']
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            raise TypeError('"val" is no list of names')
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        if isinstance(error, DataError):
            raise
        raise DataError(f'{path} cannot be read as a division into training and validation '
                        f'({error}); remove it to have it made again.', path) from error
    return set(names) if split in (None, of) else None


def _divided(root: Path, samples: Sequence[Sample], chosen: set[str],
             file: Path | None) -> Division:
    train: list[Sample] = []
    val: list[Sample] = []
    for sample in samples:
        aside = sample.path.relative_to(root).as_posix() in chosen
        (val if aside else train).append(sample)
    return Division(train, val, file)


def _choose(names: Sequence[str], samples: Sequence[Sample]) -> list[int]:
    """Return the indices of the images to set aside."""
    target = max(1, round(SHARE * len(names)))
    together = _together(names, samples)
    chosen: list[int] = []
    left: list[list[int]] = []
    classes = [set(sample.names) for sample in samples]
    having = Counter(name for found in classes for name in found)  # images left to training
    for group in sorted(together or [], key=lambda group: _order(names[group[0]])):
        if len(chosen) + len(group) <= target and _spared(group, classes, having):
            chosen += group
        else:
            left.append(group)
    if len(chosen) < target / 2:
        having = Counter(name for found in classes for name in found)
        last = sorted(range(len(names)), key=names.__getitem__)[-target:]
        return [i for i in last if _spared([i], classes, having)]
    for name in sorted(set().union(*classes)):
        if any(name in classes[i] for i in chosen):
            continue
        holders = sorted((group for group in left if any(name in classes[i] for i in group)),
                         key=len)
        # Training keeps the larger groups, and the only one.
        for group in holders:
            if len(group) <= target and _spared(group, classes, having):
                chosen += group
                left.remove(group)
                break
    return chosen


def _spared(group: Sequence[int], classes: Sequence[set[str]], having: Counter[str]) -> bool:
    """Take a group from training where every class keeps an image there; return whether."""
    taken = Counter(name for i in group for name in classes[i])
    if any(having[name] <= count for name, count in taken.items()):
        return False
    having.subtract(taken)
    return True


def _order(name: str) -> bytes:
    return hashlib.sha256(os.fsencode(name)).digest()


def _together(names: Sequence[str], samples: Sequence[Sample]) -> list[list[int]] | None:
    """Return groups of images that belong in one split, singles too; None: too many alike."""
    # Late: only making a division needs what these import.
    from ssd_perception.data.duplicates import groups, near_duplicates, perceptual_hash_of

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        hashes = list(pool.map(lambda sample: perceptual_hash_of(sample.path), samples))
    good = [i for i, found in enumerate(hashes) if found is not None]
    # Equal hashes are one, or the thousand equal frames of a still camera are a million pairs.
    unique, member = np.unique(np.array([hashes[i] for i in good], np.uint8).reshape(-1, 8),
                               axis=0, return_inverse=True)
    pairs = near_duplicates(unique, max_pairs=_MAX_PAIRS)
    if not pairs.complete:
        return None
    count = len(names)
    node = np.array(good, np.int64)
    first = [count + pairs.first, node]
    second = [count + pairs.second, count + member.reshape(-1)]
    copies: dict[str, int] = {}
    for i, name in enumerate(names):
        copy = _ROBOFLOW_COPY.match(Path(name).stem)
        if copy:
            first.append(np.array([i]))
            second.append(np.array([copies.setdefault(copy[1], i)]))
    found = groups(count + len(unique), np.concatenate(first), np.concatenate(second))
    grouped = [[i for i in group if i < count] for group in found]
    alone = set(range(count)) - {i for group in grouped for i in group}
    return grouped + [[i] for i in sorted(alone)]
