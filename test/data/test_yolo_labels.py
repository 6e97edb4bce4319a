"""YOLO labels in folders of any name: found by name, and refused where that is a guess."""

import shutil

import pytest
from small_sets import write_pictures, write_yolo

from ssd_perception.data.layout import read_split

TRAIN = {'empty': [], 'one': [('cone', (1.5, 2.25, 30, 40.75))],
         'two': [('cube', (0, 0, 96, 72)), ('cone', (10.1, 20.2, 30.3, 40.4))]}


@pytest.mark.parametrize('labels, left', [
    (['labels_train', 'labels_val'], []), (['labels_train'], []),
    (['labels_train/train', 'labels_val/val'], ['one.jpg', 'two.jpg'])])
def test_labels_whose_name_several_images_have_are_never_guessed(tmp_path, labels, left):
    """Where neither folders nor names tell which image they are of, the images are refused."""
    split = '/{split}' if left else ''
    write_yolo(tmp_path, {'train': TRAIN, 'val': TRAIN}, images=f'images_{{split}}{split}',
               labels=f'labels_{{split}}{split}', description='')
    for folder in tmp_path.glob('labels_*'):
        if not any(each.startswith(folder.name) for each in labels):
            shutil.rmtree(folder)
    (tmp_path / 'data.yaml').write_text('train: images_train\nval: images_val\n'
                                        'names: [cone, cube]\n')
    bad = []
    if left:
        assert {s.path.name for s in read_split(tmp_path, 'val') if s.names} == set(left)
        return
    samples = read_split(tmp_path, 'val', on_bad=bad.append)
    assert [s.path.name for s in samples] == ['empty.jpg'] and len(bad) == 2
    assert all('several images or files of labels have its name; put' in str(e) for e in bad)


def test_labels_of_an_uploaded_image_are_not_those_of_another(tmp_path):
    root = write_yolo(tmp_path, {'train': TRAIN}, images='pictures/{split}',
                      labels='boxes/{split}', description='classes.txt')
    write_pictures(root / 'pictures/train', ['0123abcd-one'])
    (root / 'boxes/train/0123abcd-one.txt').write_text('1 .5 .5 .1 .1\n')
    names = {s.path.name: s.names for s in read_split(root, 'train')}
    assert names['one.jpg'] == ('cone',) and names['0123abcd-one.jpg'] == ('cube',)
