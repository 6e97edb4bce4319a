"""Zip archives read like the folder they hold; none leads out of it or fills a disk."""

import os
import stat
import struct
import zipfile

import pytest
from small_sets import write_coco, write_pictures, write_voc, write_yolo

from ssd_perception.core.errors import DataError
from ssd_perception.core.safe_zip import check_stored
from ssd_perception.data import archive
from ssd_perception.data.layout import data_root, has_split, read_split

SETS = {'train': {'a': [('cone', (5, 5, 40, 40))], 'b': []}, 'val': {'c': []}}


def packed(folder, path, inside=''):
    with zipfile.ZipFile(path, 'w') as file:
        for item in sorted(folder.rglob('*')):
            file.write(item, os.path.join(inside, item.relative_to(folder)))
    return path


@pytest.mark.parametrize('write', [write_voc, write_coco, write_yolo])
@pytest.mark.parametrize('inside', ['', 'my set/'])
def test_an_archive_reads_as_its_folder_does(tmp_path, write, inside):
    folder = write(tmp_path / 'set', SETS)
    path = packed(folder, tmp_path / 'x.zip', inside)
    for split in SETS:
        found = read_split(path, split)
        expected = read_split(folder, split)
        assert [(s.path.name, s.xyxy.tolist(), s.names) for s in found] == [
            (s.path.name, s.xyxy.tolist(), s.names) for s in expected]
        assert all(s.path.is_relative_to(tmp_path / 'x_unpacked') for s in found)
    assert has_split(path, 'val')
    assert data_root(path) == tmp_path / 'x_unpacked' / inside.strip('/')


def test_it_is_unpacked_once_and_again_after_a_change(tmp_path):
    path = packed(write_voc(tmp_path / 'set', SETS), tmp_path / 'x.zip')
    image = read_split(path, 'train')[0].path
    before = image.stat().st_mtime_ns
    archive._unpacked.cache_clear()  # as in another process
    assert read_split(path, 'train')[0].path.stat().st_mtime_ns == before
    packed(write_voc(tmp_path / 'set', {'train': {'d': []}}), path)
    with pytest.raises(DataError, match='x_unpacked exists and is not what x.zip unpacks to'):
        read_split(path, 'train')


def test_a_read_only_folder_is_unpacked_elsewhere(tmp_path, monkeypatch):
    path = packed(write_voc(tmp_path / 'set', SETS), tmp_path / 'x.zip')
    monkeypatch.setattr(os, 'access', lambda *arguments: False)
    found = read_split(path, 'train')
    assert len(found) == 2 and not (tmp_path / 'x_unpacked').exists()
    assert read_split(path, 'train')[0].path == found[0].path


def written(path, *members):
    """Write an archive of (name or ZipInfo, bytes)."""
    with zipfile.ZipFile(path, 'w', zipfile.ZIP_DEFLATED) as file:
        for name, data in members:
            file.writestr(name, data)
    return path


def link(name):
    info = zipfile.ZipInfo(name)
    info.external_attr = (stat.S_IFLNK | 0o777) << 16
    return info


@pytest.mark.parametrize('members, says', [
    ([('../a.jpg', b'x')], 'leads out of it'), ([('d\\..\\..\\a.jpg', b'x')], 'leads out of it'),
    ([(link('a.jpg'), b'/etc/passwd')], 'leads out of it'),
    ([(f'{"x" * 300}.jpg', b'x')], 'x.zip cannot be unpacked: File name too long'),
    ([('a.jpg', b'x'), ('a.jpg/b.jpg', b'x')], 'x.zip cannot be unpacked: File exists'),
    ([('a.jpg/b.jpg', b'x'), ('a.jpg', b'x')], 'x.zip cannot be unpacked: Is a directory')])
def test_what_leads_out_is_refused(tmp_path, members, says):
    (tmp_path / 'd').mkdir()
    path = written(tmp_path / 'd/x.zip', *members)
    with pytest.raises(DataError, match=says):
        read_split(path, 'train')
    assert {item.name for item in tmp_path.rglob('*')} == {'d', 'x.zip'}


def test_absolute_names_and_windows_separators_lie_in_the_folder(tmp_path):
    write_pictures(tmp_path, ['a'])
    data = (tmp_path / 'a.jpg').read_bytes()
    path = written(tmp_path / 'x.zip', ('/images\\a.jpg', data),
                   ('labels\\a.txt', '0 .5 .5 .5 .5'), ('classes.txt', 'cone'),
                   ('__MACOSX/images/._a.jpg', b'x'), ('run.exe', b'MZ'))
    sample, = read_split(path, 'train')
    assert sample.path == tmp_path / 'x_unpacked/images/a.jpg' and sample.names == ('cone',)
    assert not list(tmp_path.rglob('run.exe'))


def test_a_name_that_is_not_utf8_keeps_its_bytes(tmp_path):
    write_pictures(tmp_path, ['a'])
    data, name = (tmp_path / 'a.jpg').read_bytes(), '图片'.encode('gbk')
    path = written(tmp_path / 'x.zip', ('images/AAAA.jpg', data),
                   ('images/AAAA.txt', '0 .5 .5 .5 .5'), ('classes.txt', 'cone'))
    path.write_bytes(path.read_bytes().replace(b'AAAA', name))
    sample, = read_split(path, 'train')
    assert os.fsencode(sample.path.name) == name + b'.jpg' and sample.names == ('cone',)


@pytest.mark.parametrize('bomb', [
    [('a.txt', b'\0' * 300_000_000)],
    [(f'{i}.txt', b'\0' * 30_000_000) for i in range(10)]], ids=['one', 'ten'])
def test_a_bomb_is_refused_before_it_is_unpacked(tmp_path, bomb):
    path = written(tmp_path / 'x.zip', *bomb)
    with pytest.raises(DataError, match='would become 300000000 bytes, more than 100000000'):
        read_split(path, 'train')
    assert [item.name for item in tmp_path.iterdir()] == ['x.zip']


def test_a_size_that_lies_does_not_help_a_bomb(tmp_path):
    path = written(tmp_path / 'x.zip', ('a.txt', b'\0' * 5_000_000))
    data = path.read_bytes().replace((5_000_000).to_bytes(4, 'little'),
                                     (5_000).to_bytes(4, 'little'))
    path.write_bytes(data)
    with pytest.raises(DataError, match='x.zip cannot be unpacked'):
        read_split(path, 'train')


def test_too_little_room_is_said_before(tmp_path, monkeypatch):
    path = packed(write_voc(tmp_path / 'set', SETS), tmp_path / 'x.zip')
    monkeypatch.setattr(archive, 'FREE_BYTES', 10 ** 18)
    with pytest.raises(DataError, match='bytes free'):
        read_split(path, 'train')


@pytest.mark.parametrize('content', [b'', b'PK\x03\x04 nonsense', b'\0' * 100])
def test_what_is_no_archive_is_named(tmp_path, content):
    (tmp_path / 'x.zip').write_bytes(content)
    with pytest.raises(DataError, match='x.zip cannot be unpacked'):
        read_split(tmp_path / 'x.zip', 'train')


def test_a_list_of_too_many_members_is_not_read(tmp_path, monkeypatch):
    member = struct.pack('<4s4B4H3I5H2I', b'PK\1\2', *[0] * 11, 5, *[0] * 6) + b'a.jpg'
    listed, path = member * 25_000, tmp_path / 'x.zip'
    path.write_bytes(listed + struct.pack('<4s4H2IH', b'PK\5\6', 0, 0, 25_000, 25_000,
                                          len(listed), 0, 0))
    monkeypatch.setattr(archive, 'available_bytes', lambda: 40_000_000)
    monkeypatch.setattr(zipfile, 'ZipInfo', None)
    with pytest.raises(DataError, match='x.zip cannot be unpacked: its list of members has'):
        read_split(path, 'train')
    with path.open('rb') as file, pytest.raises(ValueError, match='no archive of tensors'):
        check_stored(file, path.stat().st_size)
