"""VOC's XML files without lists: beside images, in annotations/ or in folders of splits."""

import shutil

import pytest
from small_sets import write_pictures, write_voc, xml

from ssd_perception.core.errors import DataError
from ssd_perception.data.layout import find_split, has_split, read_split, splits

TRAIN = {'empty': [], 'one': [('cone', (1.5, 2.25, 30, 40.75))], 'two 1': [('cube', (1, 2, 9, 9))]}
VAL = {'three': [('cube', (5, 5, 20, 20))]}


def put(folder, images, annotations_in=None):
    write_pictures(folder, images)
    where = annotations_in or folder
    where.mkdir(parents=True, exist_ok=True)
    for name, objects in images.items():
        (where / f'{name}.xml').write_text(xml(objects))


@pytest.mark.parametrize('images, annotations', [
    ('{split}', '{split}'), ('{split}', '{split}/annotations'), ('images/{split}', 'xml/{split}'),
    ('{split}/images', '{split}/Annotations')])
def test_folders_of_splits_read_as_lists_do(tmp_path, images, annotations):
    voc = write_voc(tmp_path / 'voc', {'train': TRAIN, 'val': VAL})
    root = tmp_path / 'loose'
    for split, content in (('train', TRAIN), ('valid', VAL)):
        put(root / images.format(split=split), content, root / annotations.format(split=split))
    assert splits(root) == ['train', 'valid'] and has_split(root, 'val')
    for split in ('train', 'val'):
        found = sorted((s.path.name, s.xyxy.tolist(), s.names) for s in read_split(root, split))
        assert found == sorted((s.path.name, s.xyxy.tolist(), s.names)
                               for s in read_split(voc, split))
    assert find_split(root, 'val').split == 'valid'


@pytest.mark.parametrize('images, annotations', [
    ('.', '.'), ('.', 'annotations'), ('images', 'Annotations'), ('JPEGImages', 'Annotations')])
def test_one_folder_without_splits_serves_training(tmp_path, images, annotations):
    put(tmp_path / images, TRAIN, tmp_path / annotations)
    assert splits(tmp_path) == ['all'] and not has_split(tmp_path, 'val')
    assert {s.path.stem for s in read_split(tmp_path, 'train')} == set(TRAIN)


@pytest.mark.parametrize('named', ['one.jpg', 'C:\\me\\one.jpg', '/home/me/one.jpg'])
def test_an_annotation_of_another_name_finds_the_image_that_it_names(tmp_path, named):
    write_pictures(tmp_path / 'images', ['one', 'two'])
    (tmp_path / 'label_1.xml').write_text(xml(TRAIN['one'], extra=f'<filename>{named}</filename>'))
    assert [s.path.name for s in read_split(tmp_path, 'train')] == ['one.jpg']


def test_an_annotation_that_names_the_image_of_another_is_refused(tmp_path):
    put(tmp_path, {'one': TRAIN['one']})
    write_pictures(tmp_path, ['free'])
    other = [('cube', (1, 2, 9, 9))]
    for name, named in (('one_turned', 'one'), ('first', 'free'), ('second', 'free')):
        (tmp_path / f'{name}.xml').write_text(
            xml(other, extra=f'<filename>{named}.jpg</filename>'))
    bad = []
    samples = read_split(tmp_path, 'train', on_bad=bad.append)
    assert [(s.path.name, s.names) for s in samples] == [('one.jpg', ('cone',))]
    assert [error.file.stem for error in bad] == ['first', 'one_turned', 'second']


def test_an_image_is_never_taken_for_another(tmp_path):
    put(tmp_path / 'a', {'x': []})
    put(tmp_path / 'b', {'x': []})
    (tmp_path / 'a/x.jpg').unlink()
    (tmp_path / 'b/x.xml').unlink()
    write_pictures(tmp_path / 'c', ['x'])
    bad = []
    with pytest.raises(DataError, match='2 images have that name'):
        read_split(tmp_path, 'train', on_bad=bad.append)
    assert bad[0].problem == 'missing picture' and bad[0].file == tmp_path / 'a/x.xml'


def test_links_out_of_the_folder_are_refused_by_name(tmp_path):
    root = tmp_path / 'd'
    put(root, {'a': [], 'b': [], 'c': []})
    write_pictures(tmp_path / 'elsewhere', ['secret'])
    shutil.move(root / 'c.xml', tmp_path / 'elsewhere/c.xml')
    (root / 'c.xml').symlink_to(tmp_path / 'elsewhere/c.xml')
    (root / 'b.jpg').unlink()
    (root / 'b.jpg').symlink_to(tmp_path / 'elsewhere/secret.jpg')
    bad = []
    assert [s.path.name for s in read_split(root, 'train', on_bad=bad.append)] == ['a.jpg']
    assert [error.file.name for error in bad] == ['c.xml', 'b.jpg']
    assert all('link that leads out' in str(error) for error in bad)


def test_other_xml_files_are_no_data_set(tmp_path):
    (tmp_path / 'package.xml').write_text('<package><name>x</name></package>')
    assert splits(tmp_path) == []


def test_cvats_own_format_is_named(tmp_path):
    (tmp_path / 'annotations.xml').write_text(
        '<annotations><image name="a.jpg" width="9" height="9"></image></annotations>')
    with pytest.raises(DataError, match='"CVAT for images", which is not read; export as'):
        read_split(tmp_path, 'train')
