"""VOC and COCO read alike; bad files are named, and left out where that is asked for."""

import json

import numpy as np
import pytest
from small_sets import coco, write_coco, write_pictures, write_roboflow, write_voc, xml

from ssd_perception.core.errors import DataError
from ssd_perception.data.layout import has_split, read_split, separate_splits, splits
from ssd_perception.data.voc import read_voc

TRAIN = {'empty': [], 'one': [('cone', (1.5, 2.25, 30, 40.75))],
         'two': [('cube', (0, 0, 96, 72), True), ('cone', (10.1, 20.2, 30.3, 40.4))]}
SETS = {'train': TRAIN, 'val': {'three': [('cube', (5, 5, 20, 20))]}}


def rows(samples):
    """Return the contents of samples without the paths of their folders."""
    return [(s.path.name, s.xyxy.tolist(), s.names, s.difficult.tolist(), s.stated_hw)
            for s in samples]


def write(root, form):
    if form == 'voc':
        return write_voc(root, SETS)
    if form == 'roboflow':
        return write_roboflow(root, {'train': TRAIN, 'valid': SETS['val']})
    return write_coco(root, SETS, form)


@pytest.mark.parametrize('form', ['roboflow', '{split}', 'images/{split}', 'images', '.'])
def test_every_form_of_coco_reads_as_voc_does(tmp_path, form):
    voc = write(tmp_path / 'voc', 'voc')
    root = write(tmp_path / 'coco', form)
    for split in SETS:
        assert has_split(root, split)
        expected, found = read_split(voc, split), read_split(root, split)
        assert rows(found) == rows(expected)
        assert all(s.path.is_file() and s.xyxy.dtype == np.float32 for s in found)
        assert found[0].xyxy.shape[1] == 4
    assert not has_split(root, 'test') and not has_split(voc, 'test')
    if form == 'images':
        (voc / 'ImageSets' / 'Main' / 'test.txt').write_text('\n')
        assert not has_split(voc, 'test')
    # COCO counts from 0 whatever is said of VOC.
    assert rows(read_split(root, 'train', one_based=True)) == rows(read_split(voc, 'train'))


@pytest.mark.parametrize('file, split', [
    ('annotations/train.json', 'train'), ('train.json', 'train'), ('result.json', 'all'),
    ('annotations/instances_default.json', 'default'), ('_annotations.coco.json', 'all'),
    ('labels.json', 'all'), ('labels_my-project_2026-11-28.json', 'all'),
    ('annotations/train_annotations.json', 'train'), ('instances_train2017.json', 'train2017'),
    ('Train/coco.json', 'Train')])
def test_other_places_of_coco_files(tmp_path, file, split):
    (tmp_path / file).parent.mkdir(exist_ok=True)
    (tmp_path / file).write_text(json.dumps(coco(TRAIN)))
    write_pictures(tmp_path / 'images', TRAIN)
    (tmp_path / 'package.json').write_text('{}')
    assert splits(tmp_path) == [split] and not has_split(tmp_path, 'val')
    assert [s.path.stem for s in read_split(tmp_path, 'train')] == list(TRAIN)


@pytest.mark.parametrize('name', [
    '/home/me/set/images/{}.jpg', 'C:\\me\\images\\{}.jpg', '../../data/media/upload/1/{}.jpg',
    'images/a%20b/{}.jpg', '/data/upload/1/0123abcd-{}.jpg', 'images/{}.jpg', 'other/{}.jpg'])
def test_images_that_are_named_as_on_another_computer_are_found(tmp_path, name):
    data = coco(TRAIN)
    for row in data['images']:
        row['file_name'] = name.format(row['file_name'].removesuffix('.jpg'))
    (tmp_path / 'result.json').write_text(json.dumps(data))
    write_pictures(tmp_path / ('images/a b' if '%' in name else 'images'), TRAIN)
    assert [s.path.stem for s in read_split(tmp_path, 'train')] == list(TRAIN)


def test_names_of_one_image_and_of_none_are_refused(tmp_path):
    data = coco({name: [('cone', (1, 2, 9, 9))]
                 for name in ('0123abcd-a', '89abcdef-a', 'b', 'gone')})
    (tmp_path / 'result.json').write_text(json.dumps(data))
    write_pictures(tmp_path / 'images', ['a', 'b'])
    bad = []
    assert [s.path.stem for s in read_split(tmp_path, 'train', on_bad=bad.append)] == ['b']
    missing, shared = map(str, bad)
    assert f'expected {tmp_path}/images/gone.jpg, or in another folder' in missing
    assert 'a.jpg would be taken for several images, 0123abcd-a.jpg and 89abcdef-a' in shared


def test_files_of_the_same_name_in_several_folders_are_splits_of_their_own(tmp_path):
    for scene, name in (('s1', 'a'), ('s2', 'b')):
        write_pictures(tmp_path / scene, [name])
        (tmp_path / scene / 'labels.json').write_text(json.dumps(coco({name: []})))
    assert splits(tmp_path) == ['s1_labels', 's2_labels']
    assert [s.path.name for s in read_split(tmp_path, 's2_labels')] == ['b.jpg']
    with pytest.raises(DataError, match='no split "train"; splits there: s1_labels, s2_labels'):
        read_split(tmp_path, 'train')


def test_a_category_called_items_is_no_other_format(tmp_path):
    data = coco({'a': [('items', (1, 2, 9, 9))]})
    (tmp_path / 'labels.json').write_text(json.dumps(data))
    write_pictures(tmp_path, ['a'])
    assert read_split(tmp_path, 'train')[0].names == ('items',)


def test_a_folder_is_no_file_beside_the_data_whatever_it_is_called(tmp_path):
    write_coco(tmp_path / 'license_plates', {'train': TRAIN})
    (tmp_path / 'LICENSE.txt').write_text('free')
    assert len(read_split(tmp_path, 'train')) == len(TRAIN)
    (tmp_path / 'other').mkdir()
    with pytest.raises(DataError):  # two folders: neither is guessed
        read_split(tmp_path, 'train')
    write_pictures(tmp_path, ['license_1'])
    (tmp_path / 'license_1.xml').write_text(xml(TRAIN['one']))
    assert [s.path.name for s in read_split(tmp_path, 'train')] == ['license_1.jpg']


def texts(row):
    row.update(id=str(row['id']), image_id=float(row['image_id']),
               category_id=str(row['category_id']), bbox=[str(value) for value in row['bbox']])


def polygon(row):
    x, y, width, height = row.pop('bbox')
    row['segmentation'] = [[x, y, x + width, y, x + width, y + height]]


def test_polygons_of_an_odd_number_of_values_are_refused(tmp_path):
    data = coco({'a': [('cone', (1, 2, 9, 9))]})
    data['annotations'][0].update(bbox=[], segmentation=[[1, 2, 30, 4, 5, 6, 7], [8, 9, 10]])
    root = write_coco(tmp_path, {'train': {'a': []}})
    (root / 'annotations/instances_train.json').write_text(json.dumps(data))
    with pytest.raises(DataError, match=r'needs "bbox": .* or a polygon'):
        read_split(root, 'train')


def empty_box(row):
    polygon(row)
    row['bbox'] = []


@pytest.mark.parametrize('change', [texts, polygon, empty_box])
def test_numbers_as_texts_and_polygons_without_boxes_are_read(tmp_path, change):
    data = coco(TRAIN)
    expected = write_coco(tmp_path / 'a', {'train': TRAIN})
    for row in data['annotations']:
        change(row)
    for row in data['images']:
        row.update(height=float(row['height']), width=str(row['width']))
    root = write_coco(tmp_path / 'b', {'train': TRAIN})
    (root / 'annotations/instances_train.json').write_text(json.dumps(data))
    found = read_split(root, 'train')
    for one, other in zip(found, read_split(expected, 'train'), strict=True):
        np.testing.assert_allclose(one.xyxy, other.xyxy, rtol=1e-6)
        assert (one.names, one.stated_hw) == (other.names, other.stated_hw)


def test_a_picture_named_with_its_folder_is_found(tmp_path):
    data = coco({'a': []})
    data['images'][0]['file_name'] = 'deep/a.jpg'
    (tmp_path / 'annotations').mkdir()
    (tmp_path / 'annotations/instances_x.json').write_text(json.dumps(data))
    write_pictures(tmp_path / 'images/deep', ['a'])
    assert read_split(tmp_path, 'x')[0].path == tmp_path / 'images/deep/a.jpg'


@pytest.mark.parametrize('make, says', [
    (lambda root: root.with_name('xy').mkdir(), 'There is no folder .*/x. Did you mean .*/xy.$'),
    (lambda root: root.mkdir(), 'looked for ImageSets/Main/val.txt .*'
     'annotations/instances_val.json or val/_annotations.coco.json .*data.yaml.*there: none'),
    (lambda root: write_voc(root, {'a': TRAIN, 'b': TRAIN}), 'splits there: a, b'),
    (lambda root: write_coco(root, {'c2017': TRAIN}), 'splits there: c2017'),
    (lambda root: write_roboflow(root, {'test': TRAIN}), 'splits there: test')])
def test_a_missing_split_tells_what_was_looked_for(tmp_path, make, says):
    make(tmp_path / 'x')
    with pytest.raises(DataError, match=says) as error:
        read_split(tmp_path / 'x', 'val')
    assert '\n' not in str(error.value)


@pytest.mark.parametrize('name, content, says', [
    ('train/_classes.csv', 'filename, cone\n', 'a table of classes without boxes'),
    ('train/_annotations.csv', 'filename,width\n', 'a CSV table'),
    ('a.createml.json', '[]', 'CreateML'), ('x.ndjson', '{}', 'NDJSON'),
    ('train/_annotations.txt', 'a.jpg 1,2,3,4,0\n', 'YOLOv3'),
    ('a.json', '{"shapes": [], "imagePath": "a.jpg"}', 'labelme'),
    ('via.json', '{"a.jpg1": {"regions": [], "file_attributes": {}}}', 'VGG Image Annotator'),
    ('ds0/ann/a.jpg.json', '{"objects": [{"classTitle": "a"}]}', 'Supervisely'),
    ('annotations/default.json', '{"categories": {}, "items": [{"annotations": []}]}', 'Datumaro'),
    ('tasks.json', '[{"annotations": [{"result": []}], "data": {}}]', 'Label Studio'),
    ('label_2/a.txt', 'Car 0 0\n', 'KITTI'),
    ('set.zip', 'PK', 'holds the archive .*/set.zip: give that.'),
    ('set.rar', 'PK', 'set.rar: unpack that and give its folder.'),
    ('notes.txt', 'none', 'holds 1 image and no boxes .*label them')])
def test_a_folder_that_no_layout_reads_is_named_by_what_it_holds(tmp_path, name, content, says):
    write_pictures(tmp_path / 'pictures', ['a'])
    (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / name).write_text(content)
    with pytest.raises(DataError, match=says) as error:
        read_split(tmp_path, 'train')
    assert '\n' not in str(error.value) and len(str(error.value)) < 400
    for path in tmp_path.glob('pictures/*'):
        path.unlink()
    if name == 'notes.txt':
        with pytest.raises(DataError, match='holds no images: .*"Save images"'):
            read_split(tmp_path, 'train')
        (tmp_path / 'a.MP4').write_bytes(b'x')
        with pytest.raises(DataError, match='holds the video a.MP4 and no images'):
            read_split(tmp_path, 'train')
    if '.csv' in name:
        with pytest.raises(DataError, match='is one file; a folder'):
            read_split(tmp_path / name, 'train')


def test_splits_are_listed_without_class_lists_and_unions(tmp_path):
    assert splits(tmp_path) == [] and separate_splits(tmp_path) == []
    root = write_voc(tmp_path, {'val': SETS['val'], 'train': TRAIN,
                                'trainval': TRAIN | SETS['val'], 'cone_train': TRAIN})
    assert splits(root) == ['train', 'trainval', 'val']
    assert separate_splits(root) == ['train', 'val']
    # With a class's column, a name is what stands before it; spaces belong to names.
    (root / 'ImageSets/Main/cone_train.txt').write_text('one -1\ntwo  1\n')
    assert [s.path.stem for s in read_split(root, 'cone_train')] == ['one', 'two']


ORIGINAL = [('cat', (1, 5, 96, 72)), ('dog', (48, 240, 195, 371))]


@pytest.mark.parametrize('objects, database, one_based', [
    ([], 'The VOC2007 Database', False),
    (ORIGINAL, 'The VOC2007 Database', True),
    (ORIGINAL, 'The VOC2012 Database', True),
    (ORIGINAL, 'Unknown', False),
    (ORIGINAL, 'my VOC2007 Database', False),
    ([('cat', (0, 5, 96, 72))], 'The VOC2007 Database', False),
    ([('cat', (1.5, 5.5, 96.25, 72.75))], 'The VOC2007 Database', False)])
def test_only_the_original_sets_are_found_to_count_from_one(tmp_path, objects, database,
                                                            one_based):
    root = write_voc(tmp_path, {'train': {'a': objects}}, database=database)
    found, = read_split(root, 'train', one_based=None)
    expected, = read_split(root, 'train', one_based=one_based)
    np.testing.assert_array_equal(found.xyxy, expected.xyxy)
    if one_based:
        assert found.xyxy[0].tolist() == [0, 4, 96, 72]


def test_bad_voc_files_are_named_and_passed_over(tmp_path):
    root = write_voc(tmp_path, {'train': {
        'good': TRAIN['one'], 'torn': [], 'nameless': [], 'gone': [], 'unlisted': [],
        'flat': [('cone', (5, 5, 5, 9)), ('cube', (1, 2, 3, 4)), ('cone', (1, 1, 'nan', 4))]}})
    (root / 'Annotations/torn.xml').write_text('<annotation><object>')
    (root / 'Annotations/nameless.xml').write_text(xml(extra='<object><bndbox/></object>'))
    (root / 'JPEGImages/gone.jpg').unlink()
    (root / 'Annotations/unlisted.xml').unlink()
    bad = []
    found = read_split(root, 'train', on_bad=bad.append)
    assert [s.path.stem for s in found] == ['good', 'flat']
    assert found[1].names == ('cube',) and len(found[1].difficult) == 1
    assert [(error.file.name, error.problem) for error in bad] == [
        ('torn.xml', 'unreadable annotation'), ('nameless.xml', 'unreadable annotation'),
        ('unlisted.xml', 'unreadable annotation'), ('gone.jpg', 'missing picture'),
        ('flat.xml', 'degenerate box'), ('flat.xml', 'degenerate box')]
    assert all(error.file.name in str(error) or error.file.stem in str(error) for error in bad)
    with pytest.raises(DataError, match='torn.xml'):
        read_split(root, 'train')
    with pytest.raises(DataError, match='torn.xml'):
        read_voc(root, 'train')


def test_when_everything_is_bad_one_sentence_says_so(tmp_path):
    root = write_voc(tmp_path, {'train': {'a': [], 'b': []}})
    for name in 'ab':
        (root / f'Annotations/{name}.xml').write_text('')
    with pytest.raises(DataError, match='Nothing of the split "train" .* 2 files .*a.xml'):
        read_split(root, 'train', on_bad=lambda error: None)


def broken(change):
    """Return COCO's JSON of TRAIN with a change made by ``change``."""
    data = coco(TRAIN)
    change(data)
    return json.dumps(data)


@pytest.mark.parametrize('text, says', [
    ('', 'cannot be read as COCO annotations'), ('{"images": [', 'cannot be read as COCO'),
    ('[' * 100_000, 'cannot be read as COCO'), ('\xff', 'lacks|cannot be read'),
    ('[]', 'lacks the list "images"'), ('{"images": [], "annotations": []}', '"categories"'),
    (json.dumps(coco({})), 'lists no images'),
    (broken(lambda d: d.pop('annotations')), 'lacks the list "annotations"'),
    (broken(lambda d: d['categories'][0].pop('name')), 'a category lacks'),
    (broken(lambda d: d['categories'].append('x')), 'a category lacks'),
    (broken(lambda d: d['categories'][0].update(id=5)), 'two categories have the id 5')],
    ids=range(11))
def test_a_broken_coco_file_is_refused_as_a_whole(tmp_path, text, says):
    (tmp_path / 'annotations').mkdir()
    (tmp_path / 'annotations/instances_x.json').write_text(text)
    with pytest.raises(DataError, match=says) as error:
        read_split(tmp_path, 'x', on_bad=lambda error: None)
    assert 'instances_x.json' in str(error.value) and len(str(error.value)) < 400


@pytest.mark.parametrize('change, left, says', [
    (lambda d: d['images'][0].pop('id'), ['one', 'two'], 'an image lacks its "id"'),
    (lambda d: d['images'].append(3), ['empty', 'one', 'two'], 'an image lacks its "id"'),
    (lambda d: d['images'][0].update(file_name='nowhere.jpg'), ['one', 'two'], 'No image for'),
    (lambda d: d['images'][0].update(file_name='../empty.jpg'), ['one', 'two'], 'leaves the data'),
    (lambda d: d['images'][0].update(file_name='/etc/hosts'), ['one', 'two'], 'leaves the data'),
    (lambda d: d['images'][0].update(file_name='a\0b'), ['one', 'two'], 'cannot be one|No image'),
    (lambda d: d['images'].append(d['images'][1]), ['empty', 'one', 'two'], 'two images have'),
    (lambda d: d['annotations'][0].update(image_id=1), ['empty', 'one', 'two'], 'id 1, which'),
    (lambda d: d['annotations'].append([]), ['empty', 'one', 'two'], 'with id None'),
    (lambda d: d['annotations'][0].pop('bbox'), ['empty', 'two'], 'needs "bbox"'),
    (lambda d: d['annotations'][0].update(bbox=[1, 2, 'x', 4]), ['empty', 'two'], 'needs "bbox"'),
    (lambda d: d['annotations'][0].update(bbox=[1, 2, 10 ** 400, 4]), ['empty', 'two'], 'needs'),
    (lambda d: d['annotations'][0].update(category_id=77), ['empty', 'two'], 'category_id 77'),
    (lambda d: d['annotations'][0].update(bbox=[1, 2, 0, 4]), ['empty', 'one', 'two'], 'no area')])
def test_a_broken_coco_entry_costs_its_picture_only(tmp_path, change, left, says):
    root = write_coco(tmp_path, {'x': TRAIN})
    (root / 'annotations/instances_x.json').write_text(broken(change))
    bad = []
    assert [s.path.stem for s in read_split(root, 'x', on_bad=bad.append)] == left
    assert len(bad) == 1
    with pytest.raises(DataError, match=says) as error:
        read_split(root, 'x')
    assert str(error.value) == str(bad[0]) and bad[0].file is not None
