"""Annotations as other programs, systems and strangers wrote them: read, or named and skipped."""

import json
import os
import time
import tracemalloc

import pytest
from small_sets import coco, write_coco, write_pictures, write_voc, xml

from ssd_perception.core.errors import DataError
from ssd_perception.data.layout import read_split

CONE = [('cone', (5, 5, 40, 40))]


def write_plain_yolo(root, splits):
    """Write images with labels beside each other, and the class names in classes.txt."""
    write_pictures(root, splits['train'])
    for name in splits['train']:
        (root / f'{name}.txt').write_text('0 .5 .5 .5 .5\n')
    (root / 'classes.txt').write_text('cone\n')
    return root


def put(root, name, text, encoding):
    (root / f'Annotations/{name}.xml').write_bytes(text.encode(encoding))


@pytest.mark.parametrize('declared, encoding', [
    ('gb2312', 'gbk'), ('GBK', 'gbk'), ('gb18030', 'gb18030'), ('Shift_JIS', 'shift_jis'),
    ('big5', 'big5'), ('iso-8859-1', 'latin-1'), ('utf-8', 'utf-8'), ('UTF-8', 'utf-8-sig'),
    ('utf-16', 'utf-16'), ('utf-16', 'utf-8'), ('windows-1252', 'cp1252')])
def test_xml_in_the_encoding_that_it_declares(tmp_path, declared, encoding):
    name = 'cône' if encoding in ('latin-1', 'cp1252') else 'cone 車'
    root = write_voc(tmp_path, {'train': {'a': CONE, 'b': CONE}})
    put(root, 'a', f'<?xml version="1.0" encoding="{declared}"?>\n' + xml(
        [(name, (5, 5, 40, 40))]), encoding)
    first, second = read_split(root, 'train')
    assert first.names == (name,) and first.xyxy.tolist() == [[5, 5, 40, 40]]


@pytest.mark.parametrize('declared', ['gb2312', 'no-such-encoding', 'rot13', 'hex', 'utf-8'])
def test_xml_that_is_not_what_it_declares_costs_its_image_alone(tmp_path, declared):
    root = write_voc(tmp_path, {'train': {'a': CONE, 'b': CONE}})
    text = f'<?xml version="1.0" encoding="{declared}"?><annotation>'.encode()
    (root / 'Annotations/a.xml').write_bytes(text + b'\xff\xff\x80</annotation>')
    bad = []
    assert [s.path.stem for s in read_split(root, 'train', on_bad=bad.append)] == ['b']
    assert 'a.xml cannot be read as a VOC annotation' in str(bad[0]) and len(bad) == 1


@pytest.mark.parametrize('text', [
    b'<a>' * 3_300_000, b'<annotation>' + b'<a>' * 600_000 + b'</a>' * 600_000 + b'</annotation>',
    b'<annotation xmlns:a="' + b'x' * 6_000_000 + b'">' + b'<a:b/>' * 400_000 + b'</annotation>',
    b'<annotation xmlns:a="' + b"x'" * 1_400_000 + b'">' + b'<a:b/>' * 20_000 + b'</annotation>',
    ('<annotation xmlns:a="' + 'x' * 2_800_000 + '">' + '<a:b/>' * 20_000
     + '</annotation>').encode('utf-16'),
    b'<!DOCTYPE a [<!ATTLIST a xmlns CDATA "' + b'x' * 2_800_000 + b'">]><a>' + b'<b/>' * 20_000
    + b'</a>', b'xmlns' * 200 + b'=' + b' ' * 9_000_000,
    b'<?xml version="1.0" encoding="punycode"?>' + b'a' * 1_000_000 + b'-' + b'b' * 8_000_000,
    b'<!DOCTYPE a [<!ENTITY b "' + b'x' * 1000 + b'">' + b''.join(
        b'<!ENTITY c%d "%s">' % (i, (b'&c%d;' % (i - 1) if i else b'&b;') * 10)
        for i in range(9)) + b']><annotation>&c8;</annotation>'],
    ids=['deep', 'closed', 'namespace', 'quotes', 'utf16', 'default', 'spaces', 'punycode',
         'entities'])
def test_xml_made_to_take_minutes_costs_its_image_alone(tmp_path, text):
    root = write_voc(tmp_path, {'train': {'a': CONE, 'b': CONE}})
    (root / 'Annotations/a.xml').write_bytes(text)
    bad, start = [], time.process_time()
    assert [s.path.stem for s in read_split(root, 'train', on_bad=bad.append)] == ['b']
    assert 'a.xml' in str(bad[0]) and len(str(bad[0])) < 400
    assert time.process_time() - start < 5


def test_a_name_that_ends_in_a_digit_is_never_another(tmp_path):
    names = ['cone', 'cone 0', 'cone 1', 'cone -1']
    root = write_voc(tmp_path, {'train': {name: CONE for name in names}})
    assert [s.path.stem for s in read_split(root, 'train')] == names
    (root / 'Annotations/cone 1.xml').unlink()
    (root / 'ImageSets/Main/train.txt').write_text('cone 1\ncone 0\n')
    bad = []
    assert [s.path.stem for s in read_split(root, 'train', on_bad=bad.append)] == ['cone 0']
    assert bad[0].file.name == 'cone 1.xml'
    (root / 'ImageSets/Main/my_train.txt').write_text('cone 1\n')
    with pytest.raises(DataError, match='cone 1.xml'):
        read_split(root, 'my_train')


@pytest.mark.parametrize('line', ['a.jpg', 'a\r', '\ufeffa', 'sub\\b'])
def test_lists_of_other_programs(tmp_path, line):
    root = write_voc(tmp_path, {'train': {'a': CONE}})
    for folder in ('JPEGImages', 'Annotations'):
        (root / folder / 'sub').mkdir()
    write_pictures(root / 'JPEGImages/sub', ['b'])
    (root / 'Annotations/sub/b.xml').write_text(xml(CONE))
    (root / 'ImageSets/Main/train.txt').write_bytes(f'{line}\n'.encode())
    sample, = read_split(root, 'train')
    assert sample.path.stem == ('b' if 'b' in line else 'a')


@pytest.mark.parametrize('line', ['../../elsewhere/secret', '/tmp/secret', '../Annotations/a'])
def test_a_list_cannot_lead_out_of_its_folder(tmp_path, line):
    root = write_voc(tmp_path / 'd/set', {'train': {'a': CONE}})
    elsewhere = tmp_path / 'd/elsewhere'
    write_pictures(elsewhere, ['secret'])
    (elsewhere / 'secret.xml').write_text(xml(CONE))
    (root / 'ImageSets/Main/train.txt').write_text(f'{line}\na\n')
    bad = []
    assert [s.path.stem for s in read_split(root, 'train', on_bad=bad.append)] == ['a']
    assert len(bad) == 1


def test_links_that_lead_out_are_refused_and_links_inside_are_not(tmp_path):
    root = write_voc(tmp_path / 'set', {'train': {'a': CONE, 'b': CONE, 'c': CONE}})
    write_pictures(tmp_path / 'elsewhere', ['secret'])
    for name, target in (('a', tmp_path / 'elsewhere/secret.jpg'),
                         ('b', root / 'JPEGImages/c.jpg')):
        (root / f'JPEGImages/{name}.jpg').unlink()
        (root / f'JPEGImages/{name}.jpg').symlink_to(target)
    (tmp_path / 'link').symlink_to(root)
    bad = []
    found = read_split(tmp_path / 'link', 'train', on_bad=bad.append)
    assert [s.path.stem for s in found] == ['b', 'c']
    assert 'a.jpg is a link that leads out' in str(bad[0]) and 'copy the file' in str(bad[0])


def test_coco_of_windows_finds_its_images(tmp_path):
    data = coco({'a': CONE})
    data['images'][0]['file_name'] = 'images\\deep\\a.jpg'
    (tmp_path / 'annotations').mkdir()
    (tmp_path / 'annotations/instances_train.json').write_text(json.dumps(data))
    write_pictures(tmp_path / 'images/deep', ['a'])
    assert read_split(tmp_path, 'train')[0].path == tmp_path / 'images/deep/a.jpg'
    data['images'][0]['file_name'] = '..\\..\\a.jpg'
    (tmp_path / 'annotations/instances_train.json').write_text(json.dumps(data))
    with pytest.raises(DataError, match='leaves the data folder'):
        read_split(tmp_path, 'train')


def test_two_coco_images_with_one_id_are_both_refused_by_name(tmp_path):
    root = write_coco(tmp_path, {'train': {'a': CONE, 'b': CONE, 'c': CONE}})
    data = json.loads((root / 'annotations/instances_train.json').read_text())
    data['images'][1]['id'] = data['images'][0]['id']
    data['annotations'][1]['image_id'] = data['images'][0]['id']
    (root / 'annotations/instances_train.json').write_text(json.dumps(data))
    bad = []
    found = read_split(root, 'train', on_bad=bad.append)
    assert [s.path.stem for s in found] == ['c'] and len(found[0].xyxy) == 1
    assert 'a.jpg and b.jpg' in str(bad[0]) and len(bad) == 1


def test_half_a_character_and_control_characters_become_escapes(tmp_path):
    root = write_coco(tmp_path, {'train': {'a': [('co\ud800ne\x1b[31m', (5, 5, 40, 40))]}})
    sample, = read_split(root, 'train')
    assert sample.names == ('co\\ud800ne\\x1b[31m',) and sample.labelled == sample.names
    sample.names[0].encode()


@pytest.mark.parametrize('write', [write_voc, write_coco])
def test_ten_thousand_boxes_are_refused(tmp_path, write):
    root = write(tmp_path, {'train': {'a': CONE * 10_000, 'b': CONE}})
    bad = []
    assert [s.path.stem for s in read_split(root, 'train', on_bad=bad.append)] == ['b']
    assert '10000 objects, more than the 5000' in str(bad[0])


def test_pipes_and_folders_in_place_of_files_are_named(tmp_path):
    root = write_voc(tmp_path, {'train': {'a': CONE, 'b': CONE, 'c': CONE}})
    for name in 'ab':
        (root / f'Annotations/{name}.xml').unlink()
    os.mkfifo(root / 'Annotations/a.xml')
    (root / 'Annotations/b.xml').mkdir()
    bad = []
    assert [s.path.stem for s in read_split(root, 'train', on_bad=bad.append)] == ['c']
    assert [error.file.name for error in bad] == ['a.xml', 'b.xml']


def test_a_folder_may_say_which_classes_it_labels(tmp_path):
    root = write_voc(tmp_path, {'train': {'a': CONE}})
    assert read_split(root, 'train')[0].labelled is None
    (root / 'dataset.yaml').write_text('classes: [cone, no]\n')
    assert read_split(root, 'train')[0].labelled == ('cone', 'no')
    for text in ('classes: 3', 'classes: []', 'classes: [[a]]', 'classes: [',
                 f'classes: [{"x" * 200}]'):
        (root / 'dataset.yaml').write_text(text)
        with pytest.raises(DataError, match='dataset.yaml'):
            read_split(root, 'train')


@pytest.mark.parametrize('name, write', [
    ('ImageSets/Main/train.txt', write_voc), ('classes.txt', write_plain_yolo),
    ('obj.data', write_plain_yolo), ('data.yaml', write_plain_yolo),
    ('notes.json', write_plain_yolo), ('dataset.yaml', write_voc), ('made_split.json', write_voc)])
def test_a_list_or_description_that_is_a_link_out_is_not_read(tmp_path, name, write):
    root = write(tmp_path / 'set', {'train': {'a': CONE, 'b': CONE}})
    secret = tmp_path / 'secret'
    secret.write_text('{"val": ["secret"], "of": "train", "categories": '
                      '[{"id": 0, "name": "secret"}]}' if name.endswith('json') else
                      'names = secret' if name == 'obj.data' else
                      'names: [secret]\nclasses: [secret]\ntrain: .\n' if name.endswith('yaml')
                      else 'secret\n')
    if name == 'notes.json':  # read where there is no other list of names
        (root / 'classes.txt').unlink()
    (root / name).unlink(missing_ok=True)
    (root / name).symlink_to(secret)
    with pytest.raises(DataError, match='is a link that leads out'):
        read_split(root, 'train')


def test_a_link_that_is_no_description_does_not_matter(tmp_path):
    root = write_plain_yolo(tmp_path / 'set', {'train': {'a': CONE, 'b': CONE}})
    (tmp_path / 'params.yaml').write_text('a: 1')
    (root / 'params.yaml').symlink_to(tmp_path / 'params.yaml')
    assert len(read_split(root, 'train')) == 2


def test_a_list_of_too_many_lines_is_refused_whole(tmp_path, monkeypatch):
    root = write_voc(tmp_path, {'train': {'a': CONE}})
    monkeypatch.setattr('ssd_perception.data.folder.MAX_LINES', 10)
    (root / 'ImageSets/Main/train.txt').write_text('a\n' * 11)
    with pytest.raises(DataError, match='train.txt has more than 10 lines'):
        read_split(root, 'train')


@pytest.mark.parametrize('text', ['[],', '{},', '0.5,', '"\\u20ac",', '{"a":0},'])
def test_json_that_would_not_fit_into_memory_is_refused_before_it_is_parsed(
        tmp_path, monkeypatch, text):
    root = write_coco(tmp_path, {'train': {'a': CONE}})
    file = root / 'annotations/instances_train.json'
    tracemalloc.start()
    json.loads('[' + text * 10_000 + '0]')
    needed = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    file.write_text(file.read_text()[:-1] + ', "info": [' + text * 10_000 + '0]}')
    monkeypatch.setattr('ssd_perception.data.coco.available_bytes', lambda: needed)
    with pytest.raises(DataError, match='GB of memory to read, and .* GB are free'):
        read_split(root, 'train')
    monkeypatch.setattr('ssd_perception.data.coco.available_bytes', lambda: 3 * needed)
    assert len(read_split(root, 'train')) == 1
