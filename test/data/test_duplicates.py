"""Near-duplicates by hash: exact, symmetric, grouped."""

import numpy as np
import pytest
from PIL import Image
from small_sets import scene

from ssd_perception.data import duplicates
from ssd_perception.data.duplicates import (
    groups,
    near_duplicates,
    perceptual_hash,
    same_content,
)


def brute(hashes, most):
    bits = np.unpackbits(hashes, axis=1)
    return sorted((int((bits[i] != bits[j]).sum()), i, j) for i in range(len(bits))
                  for j in range(i + 1, len(bits)) if (bits[i] != bits[j]).sum() <= most)


@pytest.mark.parametrize('count', [0, 1, 2, 60])
def test_the_pairs_are_those_of_comparing_each_with_each(count, monkeypatch):
    monkeypatch.setattr(duplicates, '_ROWS', 16)  # several blocks
    rng = np.random.default_rng(count)
    hashes = rng.integers(0, 256, (count, 8)).astype(np.uint8)
    hashes[count // 2:] = hashes[:count - count // 2]  # copies, with a few bits turned
    for row in hashes[count // 2:]:
        row[0] ^= np.uint8(rng.integers(0, 8))
    found = near_duplicates(hashes, 26)
    assert list(zip(found.bits, found.first, found.second)) == brute(hashes, 26)
    assert found.complete and (count < 2 or len(found.first) >= count // 2)


def test_equal_pictures_by_the_thousand_do_not_fill_the_memory():
    found = near_duplicates(np.zeros((3000, 8), np.uint8), max_pairs=1000)
    assert len(found.first) == 1000 and not found.complete and (found.bits == 0).all()


@pytest.mark.parametrize('pairs, expected', [
    ([], []), ([(1, 4)], [[1, 4]]), ([(0, 1), (1, 2), (5, 6)], [[0, 1, 2], [5, 6]]),
    ([(5, 6), (0, 1), (1, 2), (0, 2)], [[0, 1, 2], [5, 6]])])
def test_pairs_are_joined_to_groups(pairs, expected):
    first, second = (np.array([pair[i] for pair in pairs], int) for i in range(2))
    assert groups(8, first, second) == expected


@pytest.mark.parametrize('digests, expected', [
    ([], []), (['', ''], []), (['a', 'b', 'a', '', 'a'], [[0, 2, 4]])])
def test_equal_content(digests, expected):
    assert same_content(digests) == expected


def test_images_of_16_bits_differ_as_their_8_bits_do():
    def bits(seed, dtype):
        grey = scene(seed)[..., 1].astype(dtype)
        image = Image.fromarray(grey * 40 + 500 if dtype == np.uint16 else grey)
        return np.unpackbits(perceptual_hash(image)).astype(int)
    deep = bits(1, np.uint16)
    assert np.abs(deep - bits(1, np.uint8)).sum() <= 4
    assert np.abs(deep - bits(2, np.uint16)).sum() >= 16
