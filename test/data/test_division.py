"""A folder without a validation split gets one: the same one, without near-duplicates across."""

import json
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
from small_sets import scene, write_voc, write_yolo

from ssd_perception.core.errors import DataError
from ssd_perception.data import division
from ssd_perception.data.division import FILE, SHARE
from ssd_perception.data.layout import (
    has_split,
    read_divided,
    read_split,
    separate_splits,
    splits,
)
from ssd_perception.data.training_data import read_training_data

CONE, CUBE = [('cone', (5, 5, 40, 40))], [('cube', (9, 9, 50, 50))]


def names(samples):
    return sorted(sample.path.name for sample in samples)


def many(root, count=40, write=write_voc):
    return write(root, {'train': {f'a{i:02}': CUBE if i % 20 == 7 else CONE
                                  for i in range(count)}})


@pytest.mark.parametrize('write', [write_voc, write_yolo])
def test_a_fifth_is_set_aside_and_stays_aside(tmp_path, write):
    root = many(tmp_path / 'd', write=write)
    whole = names(read_split(root, 'train'))
    assert len(whole) == 40 and not has_split(root, 'val')
    aside = names(read_split(root, 'val'))
    assert 0.8 * SHARE <= len(aside) / 40 <= SHARE + 0.05
    assert names(read_split(root, 'train')) == sorted(set(whole) - set(aside))
    assert has_split(root, 'val') and separate_splits(root) == ['train', 'val']
    assert {name for s in read_split(root, 'val') for name in s.names} == {'cone', 'cube'}
    assert {name for s in read_split(root, 'train') for name in s.names} == {'cone', 'cube'}
    # The same ones wherever the folder lies; one that is written down may be changed by hand.
    shutil.copytree(root, tmp_path / 'copy')
    (tmp_path / 'copy' / FILE).unlink()
    assert names(read_split(tmp_path / 'copy', 'valid')) == aside
    data = json.loads((root / FILE).read_text())
    data['val'] = data['val'][:1]
    (root / FILE).write_text(json.dumps(data))
    assert names(read_split(root, 'val')) == [Path(data['val'][0]).name]
    assert len(read_split(root, 'train')) == 39


def test_training_keeps_an_image_of_every_class(tmp_path):
    # Whatever the order of the hashes is, one of these names would be among the first fifth.
    root = write_voc(tmp_path, {'train': {
        f'a{i:02}': [(f'class{i}', (5, 5, 40, 40)), *CONE] for i in range(10)} | {
        f'b{i:02}': CUBE for i in range(2)}})
    found = read_divided(root, 'train')
    assert {name for s in found.train for name in s.names} >= {f'class{i}' for i in range(10)}
    assert found.val


def test_where_every_image_has_its_own_class_none_is_set_aside_or_written_down(tmp_path):
    root = write_voc(tmp_path, {'train': {
        f'a{i:02}': [(f'class{i}', (5, 5, 40, 40))] for i in range(12)}})
    found = read_divided(root, 'train')
    assert len(found.train) == 12 and not found.val and not (root / FILE).exists()


def test_near_duplicates_stay_together(tmp_path):
    root = many(tmp_path, 60)
    for i in range(60):  # 20 scenes of three frames
        image = cv2.convertScaleAbs(scene(i // 3, 192, 144), alpha=1 - 0.05 * (i % 3))
        cv2.imwrite(str(root / f'JPEGImages/a{i:02}.jpg'), image)
    aside = {int(sample.path.stem[1:]) // 3 for sample in read_split(root, 'val')}
    rest = {int(sample.path.stem[1:]) // 3 for sample in read_split(root, 'train')}
    assert aside and not aside & rest


def test_copies_of_one_image_by_roboflow_stay_together(tmp_path):
    root = write_yolo(tmp_path, {'train': {
        f'p{i}_jpg.rf.{seed:032x}': CONE for i in range(12) for seed in (i, i + 99, i + 999)}})
    aside = {sample.path.name.split('.')[0] for sample in read_split(root, 'val')}
    rest = {sample.path.name.split('.')[0] for sample in read_split(root, 'train')}
    assert aside and not aside & rest


def test_where_all_images_are_alike_the_last_ones_are_set_aside(tmp_path):
    root = many(tmp_path, 20)
    for path in (root / 'JPEGImages').iterdir():
        cv2.imwrite(str(path), scene(1))
    assert names(read_split(root, 'val')) == [f'a{i}.jpg' for i in range(16, 20)]


def test_too_many_pairs_are_cut_by_name(tmp_path, monkeypatch):
    monkeypatch.setattr(division, '_MAX_PAIRS', 0)
    root = many(tmp_path, 20)
    rng = np.random.default_rng(0)
    for i, path in enumerate(sorted((root / 'JPEGImages').iterdir())):
        noise = rng.integers(0, 9, (72, 96, 3)).astype(np.uint8)
        cv2.imwrite(str(path), scene(i % 5) // 2 + noise)
    assert names(read_split(root, 'val')) == [f'a{i}.jpg' for i in range(16, 20)]


def test_a_folder_of_few_images_is_not_divided(tmp_path):
    root = many(tmp_path, 4)
    assert len(read_divided(root).train) == 4 and not (root / FILE).exists()
    with pytest.raises(DataError, match='has no split "val".*splits there: train'):
        read_split(root, 'val')


def test_a_bad_image_stays_in_training_where_it_is_named(tmp_path):
    root = many(tmp_path, 10)
    (root / 'JPEGImages/a00.jpg').write_bytes(b'x')
    (root / 'Annotations/a01.xml').write_text('x')
    train, val, _ = read_divided(root, on_bad=lambda error: None)
    assert len(train) + len(val) == 9


def test_a_read_only_folder_is_divided_the_same_way(tmp_path, monkeypatch):
    root = many(tmp_path, 10)
    aside = names(read_split(root, 'val'))
    (root / FILE).unlink()

    def refuse(*arguments):
        raise PermissionError(13, 'Permission denied')
    monkeypatch.setattr(division, 'atomic_write', refuse)
    data = read_training_data([root])
    assert names(data.validation[root.name]) == aside and len(data.train) == 10 - len(aside)
    assert 'cannot be written to' in data.taken[0]


@pytest.mark.parametrize('content, says', [
    ('', 'cannot be read as a division'), ('[]', 'cannot be read'), ('{"val": 3}', 'cannot be'),
    ('{"of": "train", "val": [1]}', 'no list of names'),
    ('{"of": "train", "val": ["JPEGImages/gone.jpg"]}', '1 are missing')])
def test_a_bad_division_is_named(tmp_path, content, says):
    root = many(tmp_path, 6)
    (root / FILE).write_text(content)
    with pytest.raises(DataError, match=says) as error:
        read_split(root, 'val')
    assert FILE in str(error.value)


def test_the_validation_split_on_disk_goes_before_a_made_one(tmp_path):
    root = many(tmp_path, 10)
    read_split(root, 'val')
    write_voc(root, {'val': {'b': CONE}})
    assert names(read_split(root, 'val')) == ['b.jpg'] and len(read_split(root, 'train')) == 10
    assert splits(root) == ['train', 'val']


def test_what_a_training_takes_is_said(tmp_path):
    first = write_voc(tmp_path / 'first', {'train': {'a': CONE}, 'val': {'b': CONE}})
    second = many(tmp_path / 'second', 10)
    data = read_training_data([first, second], repeats=[2, 1])
    assert len(data.train) == 12 and list(data.validation) == ['first']
    assert not (second / FILE).exists()
    assert data.taken[:2] == [
        f'{first}, split "train" (Pascal VOC): 1 images for training; 1 for validation, the '
        'split "val".', f'{second}, split "train" (Pascal VOC): 10 images for training.']
    everything = read_training_data([second], val_split='none')
    assert len(everything.train) == 10 and not everything.validation
    assert not (second / FILE).exists()
    made = read_training_data([second])
    assert f'set aside of its training images, named in {second / FILE}' in made.taken[0]
    assert f'2 for validation, named in {second / FILE}.' in read_training_data([second]).taken[0]
