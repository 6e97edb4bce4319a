"""What was handed over is opened only where it should be."""

import os

import pytest

from ssd_perception.core.errors import DataError
from ssd_perception.core.safe_path import inside, read_file, regular_file


def test_a_regular_file_gets_its_absolute_path(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / 'tcp:127.0.0.1:9?.mp4').touch()
    assert regular_file('tcp:127.0.0.1:9?.mp4') == tmp_path / 'tcp:127.0.0.1:9?.mp4'


@pytest.mark.parametrize('make, reason', [
    (lambda path: None, 'No such file'), (lambda path: path.mkdir(), 'no regular file'),
    (os.mkfifo, 'no regular file'), (lambda path: path.symlink_to('/dev/zero'), 'no regular')])
def test_what_is_no_regular_file_is_refused(tmp_path, make, reason):
    make(tmp_path / 'video.mp4')
    with pytest.raises(DataError, match=reason):
        regular_file(tmp_path / 'video.mp4')


def test_a_file_is_read_up_to_a_limit(tmp_path):
    (tmp_path / 'a').write_bytes(b'12345')
    assert read_file(tmp_path / 'a', 5) == b'12345'
    with pytest.raises(OSError, match='more than 4 bytes'):
        read_file(tmp_path / 'a', 4)


def test_a_name_stays_inside_its_folder(tmp_path):
    (tmp_path / 'data' / 'images').mkdir(parents=True)
    (tmp_path / 'secret.jpg').touch()
    data = tmp_path / 'data'
    (data / 'images' / 'out.jpg').symlink_to(tmp_path / 'secret.jpg')
    (data / 'images' / 'a.jpg').touch()
    (data / 'images' / 'b.jpg').symlink_to('a.jpg')
    (tmp_path / 'link').symlink_to(data)
    for name in ('images/a.jpg', 'images/b.jpg', 'images/absent.jpg', 'images/..jpg'):
        assert inside(data, name) == data / name
        assert inside(tmp_path / 'link', name) == tmp_path / 'link' / name
    for name in ('../secret.jpg', 'images/../../secret.jpg', str(tmp_path / 'secret.jpg'), '',
                 'images/out.jpg', 'a\0b'):
        with pytest.raises(DataError):
            inside(data, name)
