"""Find images that show (nearly) the same, by the Hamming distance of perceptual hashes."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import imagehash
import numpy as np
from PIL import Image
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from ssd_perception.imaging.files import open_with_pillow, read_bytes

# Of 64 bits. Unrelated photographs differ in 32 +- 5; in 1686 of cats and dogs (1.4 million
# pairs) none but one true copy came closer than 12, while frames of a moving robot's video that
# show the same scene are at 0 to 10.
NEAR_BITS = 10
# A still camera's thousands of equal frames have millions of pairs, which nobody reads.
MAX_PAIRS = 1_000_000
_ROWS = 2048


def perceptual_hash(image: Image.Image) -> np.ndarray:
    """Return uint8 (8,), the DCT hash (Zauner 2010) of an image that has not been decoded yet.

    Its 64 bits are 8 x 8 low frequencies of 32 x 32 px, each against their median. A large JPEG
    is decoded to a smaller image; all of its data is read nevertheless.

    Raises:
        OSError and others: from Pillow, when the image cannot be decoded.
    """
    image.draft('RGB', (256, 256))
    image.load()
    if image.mode.startswith(('I', 'F')):  # more than 8 bits, which Pillow would cut off at 255
        levels = np.asarray(image, np.float64)
        low, high = np.nanmin(levels), np.nanmax(levels)
        image = Image.fromarray(((levels - low) / max(high - low, 1e-9) * 255).astype(np.uint8))
    return np.packbits(imagehash.phash(image.convert('RGB')).hash.reshape(-1))


def perceptual_hash_of(path: Path) -> np.ndarray | None:
    """Return ``perceptual_hash`` of a file; None for one that cannot be decoded."""
    try:
        data = read_bytes(path)
        with warnings.catch_warnings():
            warnings.simplefilter('ignore')
            with open_with_pillow(path, data) as image:
                return perceptual_hash(image)
    except Exception:  # noqa: BLE001  # a broken file, of which Pillow raises many kinds
        return None


class Pairs(NamedTuple):
    """Pairs of near-duplicates, nearest first.

    Attributes:
        first, second: int64 (p,) indices, first < second.
        bits: int64 (p,) differing bits.
        complete: False when there were more than ``MAX_PAIRS``.
    """

    first: np.ndarray
    second: np.ndarray
    bits: np.ndarray
    complete: bool


def near_duplicates(hashes: np.ndarray, most_bits: int = NEAR_BITS,
                    max_pairs: int = MAX_PAIRS) -> Pairs:
    """Return all pairs that differ in at most ``most_bits`` bits.

    Exact, and quadratic in a matrix product: about a second for ten thousand images.

    Args:
        hashes: uint8 (n, bytes).
    """
    count = len(hashes)
    # Of two rows of +-1 the product is (equal bits) - (different bits).
    signs = np.unpackbits(np.asarray(hashes, np.uint8), axis=1).astype(np.float32) * 2 - 1
    bits = signs.shape[1]
    found, total = [], 0
    for start in range(0, count, _ROWS):
        different = (bits - signs[start:start + _ROWS] @ signs[start:].T) / 2
        row, column = np.nonzero(different <= most_bits)
        upper = column > row
        row, column = row[upper], column[upper]
        found.append((row + start, column + start, different[row, column].astype(np.int64)))
        total += len(row)
        if total > max_pairs:
            break
    nothing = np.zeros(0, np.int64)
    first, second, distance = (np.concatenate([part[i] for part in found] or [nothing])[:max_pairs]
                               for i in range(3))
    order = np.lexsort((second, first, distance))
    return Pairs(first[order], second[order], distance[order], total <= max_pairs)


def groups(count: int, first: np.ndarray, second: np.ndarray) -> list[list[int]]:
    """Return the groups of two or more that pairs connect, each sorted, the largest first."""
    if not len(first):
        return []
    graph = coo_matrix((np.ones(len(first), bool), (first, second)), shape=(count, count))
    _, label = connected_components(graph, directed=False)
    members: dict[int, list[int]] = {}
    for index in np.unique(np.concatenate([first, second])):
        members.setdefault(int(label[index]), []).append(int(index))
    return sorted(members.values(), key=lambda group: (-len(group), group))


def same_content(digests: Sequence[str]) -> list[list[int]]:
    """Return the groups of two or more equal, non-empty digests, in order of appearance."""
    places: dict[str, list[int]] = {}
    for index, digest in enumerate(digests):
        if digest:
            places.setdefault(digest, []).append(index)
    return [group for group in places.values() if len(group) > 1]
