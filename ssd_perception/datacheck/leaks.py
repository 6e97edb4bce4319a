"""Images that are in a data set more than once, in one split or in several."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from ssd_perception.data.duplicates import groups, near_duplicates, same_content
from ssd_perception.datacheck.checks import Split
from ssd_perception.datacheck.inspection import HASH_BITS, ImageFacts
from ssd_perception.datacheck.problems import Problem


def check_copies(splits: Sequence[Split], facts: Mapping[Path, ImageFacts],
                 ) -> Iterator[Problem]:
    """Yield equal files and near-duplicates, within a split and across splits.

    Two splits of one name (the train of two folders) are one here, as they are in training.
    An image in two splits by its path is ``checks.check_lists``'s.
    """
    where: dict[Path, Split] = {}
    for split in splits:
        for sample in split.samples:
            where.setdefault(sample.path, split)
    paths = [path for path in where if facts[path].perceptual is not None]
    names = np.array([where[path].name for path in paths])
    equal = same_content([facts[path].digest for path in paths])
    twin = {}
    for group in equal:
        for index in group[1:]:
            a, b = group[0], index
            across = names[a] != names[b]
            yield Problem('same picture in two splits' if across else 'same picture twice',
                          paths[b], f'the same file as one of {where[paths[a]].label}', paths[a],
                          where[paths[b]].label)
            twin[index] = group[0]
    # One of each equal group stands for it, or every neighbour of it would be named again.
    single = [i for i in range(len(paths)) if i not in twin]
    hashes = np.array([facts[paths[i]].perceptual for i in single], np.uint8)
    pairs = near_duplicates(hashes.reshape(len(single), HASH_BITS // 8))
    number = np.array(single, int)
    first, second = number[pairs.first], number[pairs.second]
    across = names[first] != names[second] if len(first) else np.zeros(0, bool)
    for a, b, bits in zip(first[across], second[across], pairs.bits[across]):
        yield Problem('near-duplicate across splits', paths[b],
                      f'{bits} of {HASH_BITS} bits differ from one of {where[paths[a]].label}',
                      paths[a], where[paths[b]].label)
    more = '' if pairs.complete else ' (or more: too many to compare all)'
    for group in groups(len(paths), first[~across], second[~across]):
        a, b = group[:2]
        yield Problem('near-duplicates within a split', paths[a],
                      f'{len(group)} images that show nearly the same{more}', paths[b],
                      where[paths[a]].label)
