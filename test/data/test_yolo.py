"""YOLO's layout as four programs write it reads as VOC does; bad files are named."""

import json
import os

import cv2
import numpy as np
import pytest
from small_sets import scene, write_pictures, write_voc, write_yolo, yolo_lines

from ssd_perception.core.errors import DataError
from ssd_perception.data.layout import data_root, find_split, has_split, read_split, splits

TRAIN = {'empty': [], 'one': [('cone', (1.5, 2.25, 30, 40.75))],
         'two': [('cube', (0, 0, 96, 72)), ('cone', (10.1, 20.2, 30.3, 40.4))]}
VAL = {'three': [('cube', (5, 5, 20, 20))]}


def contents(samples):
    """Return what samples hold, without where they lie."""
    return sorted((s.path.name, np.round(s.xyxy, 3).tolist(), s.names) for s in samples)


def roboflow(root):
    return write_yolo(root, {'train': TRAIN, 'valid': VAL})


def ultralytics(root):
    return write_yolo(root, {'train': TRAIN, 'val': VAL}, images='images/{split}',
                      labels='labels/{split}', description='ultralytics')


def ultralytics_lists(root):
    write_yolo(root, {'train': TRAIN, 'val': VAL}, images='images/{split}',
               labels='labels/{split}', description='')
    for split, images in (('train', TRAIN), ('val', VAL)):
        (root / f'{split}.txt').write_text(''.join(
            f'/home/me/set/images/{split}/{name}.jpg\n' for name in images))
    (root / 'data.yaml').write_text('train: [train.txt]\nval: val.txt\ntest:\n'
                                    'names: [cone, cube]\npath: /home/me/set\n')
    return root


def cvat(root):
    """CVAT's "YOLO 1.1"."""
    write_yolo(root, {'train': TRAIN, 'valid': VAL}, images='obj_{split}_data',
               labels='obj_{split}_data', description='obj.names')
    for split, images in (('train', TRAIN), ('valid', VAL)):
        (root / f'{split}.txt').write_text(''.join(
            f'data/obj_{split}_data/{name}.jpg\n' for name in images))
    (root / 'obj.data').write_text('classes = 2\ntrain = data/train.txt\nvalid = data/valid.txt\n'
                                   'names = data/obj.names\nbackup = backup/\n')
    return root


def lists_alone(root):
    cvat(root)
    (root / 'obj.data').unlink()
    return root


def beside(root):
    return write_yolo(root, {'train': TRAIN, 'val': VAL}, images='{split}', labels='{split}',
                      description='classes.txt')


def below_the_images(root):
    return write_yolo(root, {'train': TRAIN, 'val': VAL}, images='{split}',
                      labels='{split}/labels', description='classes.txt')


def upper_case(root):
    return write_yolo(root, {'train': TRAIN, 'val': VAL}, images='Images/{split}',
                      labels='Labels/{split}', description='classes.txt')


def one_list_a_split(root):
    """Roboflow's "YOLO Darknet"; labelImg leaves a classes.txt in the same way."""
    write_yolo(root, {'train': TRAIN, 'valid': VAL}, images='{split}', labels='{split}',
               description='')
    for split in ('train', 'valid'):
        (root / split / '_darknet.labels').write_text('cone\ncube')
    return root


def names_alone(root):
    write_yolo(root, {'train': TRAIN, 'valid': VAL}, description='')
    (root / 'data.yaml').write_text('nc: 2\nnames: [cone, cube]\n')
    return root


def paths_elsewhere(root):
    names_alone(root)
    (root / 'data.yaml').write_text('train: ../set/a\nval: D:\\\\b\nnames: [cone, cube]\n')
    return root


def labels_in_any_folder(root):
    """As makesense.ai's archive unpacks to; some tools name the labels "one.jpg.txt"."""
    write_yolo(root, {'train': TRAIN, 'val': VAL}, images='pictures/{split}',
               labels='labels_my-project/{split}', description='classes.txt')
    for path in root.glob('labels_my-project/val/*.txt'):
        path.rename(path.with_name(path.stem + '.jpg.txt'))
    return root


def named_by_label_studio(root):
    """Label Studio's labels with the images as they were before they were uploaded."""
    write_yolo(root, {'train': TRAIN, 'val': VAL}, images='{split}', labels='labels/{split}',
               description='classes.txt')
    for path in root.glob('labels/*/*.txt'):
        path.rename(path.with_name('0123abcd-' + path.name))
    return root


def nested(root):
    """What an archive with one folder unpacks to."""
    ultralytics(root / 'export')
    (root / 'README.txt').write_text('Exported')
    (root / 'Thumbs.db').write_bytes(b'x')
    (root / '__MACOSX').mkdir()
    (root / 'export/images/train/._one.jpg').write_bytes(b'not an image')
    return root


@pytest.mark.parametrize('write', [roboflow, ultralytics, ultralytics_lists, cvat, lists_alone,
                                   beside, below_the_images, upper_case, one_list_a_split,
                                   names_alone, paths_elsewhere, labels_in_any_folder,
                                   named_by_label_studio, nested])
def test_every_form_reads_as_voc_does(tmp_path, write):
    voc = write_voc(tmp_path / 'voc', {'train': TRAIN, 'val': VAL})
    root = write(tmp_path / 'yolo')
    for split in ('train', 'val', 'valid'):
        wanted = 'val' if split == 'valid' else split
        assert has_split(root, split)
        found = read_split(root, split)
        assert contents(found) == contents(read_split(voc, wanted))
        assert all(s.path.is_file() and s.xyxy.dtype == np.float32 for s in found)
        assert all(s.labelled == ('cone', 'cube') for s in found)
    assert not has_split(root, 'test')
    with pytest.raises(DataError, match='has no split "test".*splits there: (train, val|train)'):
        read_split(root, 'test')


def label_studio(root):
    write_yolo(root, {'': TRAIN}, images='images', labels='labels', description='classes.txt')
    (root / 'notes.json').write_text(json.dumps(
        {'categories': [{'id': 0, 'name': 'cone'}, {'id': 1, 'name': 'cube'}], 'info': {}}))
    return root


@pytest.mark.parametrize('names_in', ['classes.txt', 'notes.json'])
def test_one_folder_without_splits_serves_training(tmp_path, names_in):
    root = label_studio(tmp_path / 'yolo')
    for other in {'classes.txt', 'notes.json'} - {names_in}:
        (root / other).unlink()
    assert splits(root) == ['all'] and has_split(root, 'train') and not has_split(root, 'val')
    voc = write_voc(tmp_path / 'voc', {'train': TRAIN})
    assert contents(read_split(root, 'train')) == contents(read_split(voc, 'train'))
    assert contents(read_split(root, 'all')) == contents(read_split(voc, 'train'))


def test_what_was_taken_is_said(tmp_path):
    root = roboflow(tmp_path / 'd')
    assert str(find_split(root, 'valid')) == f'{root}, split "val" (YOLO, data.yaml)'
    assert data_root(root / 'data.yaml') == root
    (root / 'other.yaml').write_text('train: elsewhere\nnames: [cone]\n')
    with pytest.raises(DataError, match='other.yaml is not used, because .*data.yaml describes'):
        read_split(root / 'other.yaml', 'train')
    (root / 'data.yaml').unlink()
    with pytest.raises(DataError, match='other.yaml names no folder .* that is below'):
        read_split(root / 'other.yaml', 'train')


def test_lists_of_class_names_that_differ_are_refused(tmp_path):
    root = one_list_a_split(tmp_path)
    for i in range(25):  # labelImg writes one into every folder
        (root / f'train/{i:02}').mkdir()
        (root / f'train/{i:02}/classes.txt').write_text('cone\ncube')
    (root / 'valid/_darknet.labels').write_text('cube\ncone')
    with pytest.raises(DataError, match='_darknet.labels and .* name different classes'):
        read_split(root, 'train')


def test_a_listed_split_without_images_counts_as_none(tmp_path):
    root = roboflow(tmp_path)
    (root / 'valid/images/three.jpg').unlink()
    assert splits(root) == ['train'] and not has_split(root, 'val')


@pytest.mark.parametrize('name, content, says', [
    ('lost.txt', '0 .5 .5 .1 .1\n', 'lost.txt: no image for these labels'),
    ('lost.txt', '', None), ('notes.txt', 'taken on 3 May in the hall\n', None),
    ('phone.txt', '0 .5 .5 .1 .1\n', 'phone.HEIC: HEIC is not read')])
def test_labels_without_an_image_are_named(tmp_path, name, content, says):
    root = label_studio(tmp_path)
    (root / 'labels' / name).write_text(content)
    (root / 'images/phone.HEIC').write_bytes(b'x')
    bad = []
    assert len(read_split(root, 'train', on_bad=bad.append)) == len(TRAIN)
    assert [says in str(error) for error in bad] == [True] * bool(says)


def one(tmp_path, text, names='names: [cone, cube]\n'):
    """Write one image, its labels and data.yaml; return the folder."""
    write_pictures(tmp_path / 'images', ['a'])
    (tmp_path / 'images/a.txt').write_text(text)
    (tmp_path / 'data.yaml').write_text(f'train: images\n{names}')
    return tmp_path


@pytest.mark.parametrize('line, box', [
    ('1 0.5 0.5 0.5 0.5', (24, 18, 72, 54)),
    ('1.0 0.5 0.5 0.5 0.5 0.93', (24, 18, 72, 54)),  # a score behind
    ('1 0.25 0.25 0.75 0.5 0.5 0.75', (24, 18, 72, 54)),  # a triangle
    ('1 0.25 0.25 0.75 0.25 0.75 0.75 0.25 0.75', (24, 18, 72, 54)),  # a turned box
    ('\t1  0.5\t0.5 0.5 0.5 \r', (24, 18, 72, 54)),
    ('1 1 0.5 0.5 0.5', (72, 18, 120, 54))])  # over the edge: check_data warns
def test_boxes_and_polygons_become_edges(tmp_path, line, box):
    sample, = read_split(one(tmp_path, line + '\n\n'), 'train')
    np.testing.assert_allclose(sample.xyxy, [box], atol=1e-4)
    assert sample.names == ('cube',) and sample.annotation.name == 'a.txt'


def test_keypoints_behind_the_box_are_left_out(tmp_path):
    root = one(tmp_path, '0 0.5 0.5 0.5 0.5 0.1 0.1 2 0 0 0',
               'names: {0: hand}\nkpt_shape: [2, 3]\n')
    sample, = read_split(root, 'train')
    np.testing.assert_allclose(sample.xyxy, [(24, 18, 72, 54)])


@pytest.mark.parametrize('text, says', [
    ('cone 0.5 0.5 0.5 0.5', 'line 1: a class number'), ('0 0.5 0.5 0.5', 'got 4 numbers'),
    ('0 0 0 1 1 0 1 2', 'polygon'), ('0', 'got 1 numbers'), ('0 nan 0 1 1', 'fractions'),
    ('0 .5 .5 .1 .1 .4 .4 2 .6 .6 2', 'line 1: .*keypoints need "kpt_shape"'),
    ('\n0 48 36 20 20', 'line 2: x, y, width and height must be fractions'),
    ('2 0.5 0.5 0.5 0.5', 'class 2 has no name in .*data.yaml.*numbers begin with 1'),
    ('3 0.5 0.5 0.5 0.5', 'class 3 has no name in .*data.yaml, which names 2 from 0 on.$'),
    ('0.5 0.5 0.5 0.5 0.5', 'whole number'), ('-1 0.5 0.5 0.5 0.5', 'whole number'),
    ('0 0.5 0.5 0 0.5', 'has no area'), ('1e400 0.5 0.5 0.5 0.5', 'whole number|shares'),
    ('0 0.5 0.5 0.5 0.5\n' * 5001, '5001 objects, more than the 5000')])
def test_a_bad_label_costs_its_image_and_is_named(tmp_path, text, says):
    root = one(tmp_path, text)
    write_pictures(root / 'images', ['b'])
    with pytest.raises(DataError, match=says) as error:
        read_split(root, 'train')
    assert 'a.txt' in str(error.value) and len(str(error.value)) < 400
    bad = []
    found = read_split(root, 'train', on_bad=bad.append)
    assert [s.path.name for s in found] == (['a.jpg'] if 'area' in says else []) + ['b.jpg']
    assert [str(error) for error in bad] == [str(error.value)] and bad[0].file.name == 'a.txt'


@pytest.mark.parametrize('names, says', [
    ('', 'lacks "names"'), ('names: 3\n', '"names" must|names no classes'),
    ('names: []\n', 'names no classes'), ('names: {x: cone}\n', 'must give every class number'),
    ('names: [[a]]\n', 'must give every class number'), ('names: [cone', 'is not valid YAML'),
    ('names: &a [x, *a]\n', 'refers to itself'), (f'names: [{"x" * 101}]\n', '1 to 100'),
    ('names: [a]\nval: {a: b}\n', '"val" must be a folder'),
    (f'x: {"[" * 3000}', 'nested too deeply'),
    ('#' * 1_100_000, 'longer than the 1000000 bytes'),
    (f'names: [{",".join(map(str, range(10_001)))}]\n', 'more than 10000 classes')],
    ids=range(12))
def test_a_bad_description_is_one_sentence(tmp_path, names, says):
    root = one(tmp_path, '0 0.5 0.5 0.5 0.5', names)
    with pytest.raises(DataError, match=says) as error:
        read_split(root, 'train')
    assert 'data.yaml' in str(error.value) and len(str(error.value)) < 500


def test_names_stay_as_they_are_written(tmp_path):
    root = one(tmp_path, '0 .5 .5 .5 .5\n1 .5 .5 .4 .4\n2 .5 .5 .3 .3\n',
               'names: [no, 007, "Kegel für Straßen"]\n')
    assert read_split(root, 'train')[0].names == ('no', '007', 'Kegel für Straßen')


@pytest.mark.parametrize('content, expected', [
    ('cone\ncube\n'.encode('utf-8-sig'), ('cone', 'cube')),
    ('cone\r\ncube\r\n\r\n'.encode('utf-16'), ('cone', 'cube')),
    ('锥桶\n立方体'.encode(), ('锥桶', '立方体')), ('立方\ncube'.encode('gbk'), None)])
def test_lists_of_class_names_from_windows(tmp_path, content, expected):
    root = label_studio(tmp_path)
    (root / 'classes.txt').write_bytes(content)
    if expected is None:
        with pytest.raises(DataError, match='classes.txt is not UTF-8; save'):
            read_split(root, 'train')
    else:
        assert read_split(root, 'train')[0].labelled == expected


@pytest.mark.parametrize('text', ['[]', '{"categories": 1}', '{"categories": [{"id": "x"}]}',
                                  '{"categories": [{"id": Infinity, "name": "cone"}]}'])
def test_notes_of_another_form_are_named(tmp_path, text):
    root = label_studio(tmp_path)
    (root / 'classes.txt').unlink()
    (root / 'notes.json').write_text(text)
    with pytest.raises(DataError, match='notes.json lacks the "categories"'):
        read_split(root, 'train')


def test_labels_without_names_ask_for_them(tmp_path):
    root = label_studio(tmp_path)
    for name in ('classes.txt', 'notes.json'):
        (root / name).unlink()
    with pytest.raises(DataError, match='no class names: add classes.txt'):
        read_split(root, 'train')
    (root / 'more').mkdir()
    (root / 'more/data.yaml').write_text('names: [cone, cube]\n')
    with pytest.raises(DataError, match='no class names: give the folder of .*data.yaml'):
        read_split(root, 'train')


def test_an_image_beside_the_splits_is_no_split(tmp_path):
    root = beside(tmp_path)
    write_pictures(root / 'docs', ['logo'])
    assert splits(root) == ['train', 'val']


def test_images_of_every_format_are_found(tmp_path):
    names = ['a.jpg', 'b.JPEG', 'c.png', 'd.webp', 'e.bmp', 'f.tif', 'g.TIFF']
    (tmp_path / 'images').mkdir()
    (tmp_path / 'labels').mkdir()
    for name in names:
        cv2.imwrite(str(tmp_path / 'images' / name.lower()), scene(1))
        os.rename(tmp_path / 'images' / name.lower(), tmp_path / 'images' / name)
        (tmp_path / 'labels' / f'{name[0]}.txt').write_text('0 0.5 0.5 0.5 0.5')
    (tmp_path / 'classes.txt').write_text('cone')
    found = read_split(tmp_path, 'train')
    assert [s.path.name for s in found] == names
    assert all(s.xyxy.tolist() == [[24, 18, 72, 54]] for s in found)


@pytest.mark.parametrize('entry', ['../../elsewhere', '/etc', '..', '../', 'link'])
def test_nothing_outside_the_folder_is_read(tmp_path, entry):
    root = one(tmp_path / 'd', '0 0.5 0.5 0.5 0.5')
    write_pictures(tmp_path / 'elsewhere', ['secret'])
    (root / 'link').symlink_to(tmp_path / 'elsewhere')
    (root / 'data.yaml').write_text(f'train: {entry}\nnames: [cone]\n')
    try:
        found = read_split(root, 'train')
    except DataError:
        found = []
    assert all(s.path.resolve().is_relative_to(root) for s in found)


def test_linked_images_labels_and_lists_are_refused_by_name(tmp_path):
    root = one(tmp_path / 'd', '0 0.5 0.5 0.5 0.5')
    write_pictures(tmp_path / 'elsewhere', ['secret'])
    (tmp_path / 'elsewhere/labels.txt').write_text('0 0.5 0.5 0.5 0.5')
    (root / 'images/b.jpg').symlink_to(tmp_path / 'elsewhere/secret.jpg')
    write_pictures(root / 'images', ['c'])
    (root / 'images/c.txt').symlink_to(tmp_path / 'elsewhere/labels.txt')
    bad = []
    found = read_split(root, 'train', on_bad=bad.append)
    assert [s.path.name for s in found] == ['a.jpg']
    assert [error.file.name for error in bad] == ['b.jpg', 'c.txt']
    assert all('link that leads out' in str(error) for error in bad)


def test_a_list_never_finds_another_image_for_a_line(tmp_path):
    root = write_yolo(tmp_path, {'train': TRAIN}, images='images', labels='labels', description='')
    (root / 'classes.txt').write_text('cone\ncube\n')
    (root / 'train.txt').write_text('/a/images/one.jpg\n/b/images/two.jpg\n/a/images/none.jpg\n'
                                    'C:\\a\\images\\two.jpg\n')
    bad = []
    found = read_split(root, 'train', on_bad=bad.append)
    assert [s.path.name for s in found] == ['one.jpg', 'two.jpg']
    assert [error.problem for error in bad] == ['missing picture'] * 2
    assert '/b/images/two.jpg' in str(bad[0]) and '/a/images/none.jpg' in str(bad[1])


@pytest.mark.parametrize('encoding', ['gbk', 'utf-8'])
def test_names_in_another_encoding_are_found(tmp_path, encoding):
    """Bytes of names on disk and in lists agree, whatever they mean."""
    name = os.fsdecode('图 1.jpg'.encode(encoding))
    (tmp_path / 'images').mkdir()
    data = cv2.imencode('.jpg', scene(1))[1].tobytes()
    (tmp_path / 'images' / name).write_bytes(data)
    (tmp_path / 'images' / name).with_suffix('.txt').write_text('0 0.5 0.5 0.5 0.5')
    (tmp_path / 'train.txt').write_bytes('images/图 1.jpg\n'.encode(encoding))
    (tmp_path / 'classes.txt').write_text('cone')
    sample, = read_split(tmp_path, 'train')
    assert os.fsencode(sample.path.name) == '图 1.jpg'.encode(encoding)
    assert sample.names == ('cone',)


def test_yolo_lines_of_the_tests_are_right():
    assert yolo_lines([('cube', (0, 0, 96, 72))], ['cone', 'cube']) == '1 0.5 0.5 1.0 1.0\n'
