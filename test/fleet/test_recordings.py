"""Folders, globs and lists lead to recordings, each with a name of its own."""

from pathlib import Path

import pytest

pytest.importorskip('rosbags')
from ssd_perception.bags.reader import BagError  # noqa: E402
from ssd_perception.fleet.recordings import find_recordings, is_one_recording  # noqa: E402
from ssd_perception.replay.work_folder import recorded_files  # noqa: E402


@pytest.fixture
def drives(tmp_path):
    for name in ('a/x/x.mcap', 'a/x/metadata.yaml', 'a/y.mcap', 'b/x/x_0.db3', 'b/notes.md',
                 'b/done/summary.json', 'b/done/bag/bag.mcap', 'b/.x/hidden.mcap'):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    return tmp_path


def found(*sources):
    return [one.name for one in find_recordings([str(source) for source in sources])]


def test_every_form_of_source(drives):
    # a/y.mcap lies beside a recording: it does not make all of a one recording
    assert found(drives / 'a') == ['x', 'y']
    assert found(drives / 'b') == ['x']
    assert found(drives / 'a/y.mcap', drives / 'b/x') == ['y', 'x']
    assert found(f'{drives}/*/x') == ['a_x', 'b_x']
    assert found(f'{drives}/*/x', drives / 'a/x') == ['a_x', 'b_x']
    (drives / 'list.txt').write_text('# two\na/x\n\n*/y.mcap\n')
    assert found(drives / 'list.txt') == ['x', 'y']
    sizes = [one.size for one in find_recordings([str(drives / 'a/x')])]
    assert sizes == [len('a/x/x.mcap') + len('a/x/metadata.yaml')]


def test_each_folder_is_read_once_however_deep_it_lies(tmp_path, monkeypatch):
    folder, read, iterdir = tmp_path, [], Path.iterdir
    for depth in range(12):
        folder = folder / str(depth)
        folder.mkdir()
        (folder / f'at_{depth}.mcap').touch()
    (folder / 'metadata.yaml').touch()
    monkeypatch.setattr(Path, 'iterdir', lambda path: read.append(path) or iterdir(path))
    assert set(found(tmp_path)) == {'11', *(f'at_{depth}' for depth in range(11))}
    assert max(map(read.count, read)) <= 2


def test_links_are_followed_but_for_those_to_a_folder_above(drives):
    for name in ('b/one', 'b/two'):
        (drives / name).symlink_to(drives)
    (drives / 'b/self').symlink_to(drives / 'b/self')
    (drives / 'b/latest').symlink_to(drives / 'a/x')
    assert found(drives / 'b') == ['a_x', 'b_x']


@pytest.mark.parametrize('source', ['absent', '*/absent', '*/notes.md', 'b/done', 'b/notes.md',
                                    'empty.txt'])
def test_a_source_without_a_recording_is_an_error(drives, source):
    (drives / 'empty.txt').write_text('# none yet\n')
    with pytest.raises(BagError, match='There is no recording'):
        find_recordings([str(drives / 'a/x'), str(drives / source)])


def test_a_list_may_name_the_home_folder_and_must_be_text(drives, monkeypatch):
    monkeypatch.setenv('HOME', str(drives))
    (drives / 'list.txt').write_text('~/a/x\n')
    assert found(drives / 'list.txt') == ['x']
    (drives / 'list.txt').write_bytes(b'\xff\xfe')
    with pytest.raises(BagError, match='no list of recordings'):
        found(drives / 'list.txt')


@pytest.mark.parametrize('sources, one', [
    (['a/x'], True), (['a/y.mcap'], True), (['absent'], True), (['b'], False), (['*/x'], False),
    (['list.txt'], False), (['a/x', 'b/x'], False)])
def test_one_recording_keeps_its_meaning(drives, sources, one):
    assert is_one_recording([str(drives / source) for source in sources]) == one


def test_urls_lead_to_the_same_recordings_as_their_folders(drives):
    pytest.importorskip('fsspec')
    (drives / 'list.txt').write_text(f'file://{drives}/a/x\n*/y.mcap\n')
    for local, remote in (([drives / 'a'], [f'file://{drives}/a']),
                          ([drives / 'b'], [f'file://{drives}/b']),
                          ([f'{drives}/*/x'], [f'file://{drives}/*/x']),
                          ([drives / 'a/x', drives / 'a/y.mcap'], [drives / 'list.txt'])):
        assert [(one.name, one.size) for one in find_recordings(list(map(str, local)))] \
            == [(one.name, one.size) for one in find_recordings(list(map(str, remote)))]
    assert not is_one_recording([f'file://{drives}/a/x'])
    assert found(f'file://{drives}/a', f'file://{drives}/a/y.mcap', f'file://{drives}/*/x') \
        == found(drives / 'a', drives / 'a/y.mcap', f'{drives}/*/x')


def test_a_recording_from_elsewhere_is_here_while_it_is_used(drives, tmp_path):
    pytest.importorskip('fsspec')
    (one,) = find_recordings([f'file://{drives}/a/x'])
    with one.local(tmp_path) as path:
        assert {file.name: file.read_text() for file in path.iterdir()} \
            == {'x.mcap': 'a/x/x.mcap', 'metadata.yaml': 'a/x/metadata.yaml'}
        before = recorded_files(path)
    assert not path.exists() and not list(tmp_path.glob('.*'))
    (drives / 'a/x/x.mcap').write_text('equal size')
    (changed,) = find_recordings([f'file://{drives}/a/x'])
    assert changed.identity != one.identity and changed.size == one.size
    with changed.local(tmp_path) as path:
        assert recorded_files(path) != before
    (drives / 'a/x/x.mcap').unlink()
    with pytest.raises(BagError, match='cannot be read'), one.local(tmp_path):
        pass
    assert not list(tmp_path.glob('.*'))


def test_names_from_elsewhere_lead_to_no_other_folder(tmp_path):
    fsspec = pytest.importorskip('fsspec')
    system = fsspec.filesystem('memory')
    for path in ('/drives/../evil.mcap', '/drives/x/good.mcap'):
        system.pipe(path, b'1')
    (one,) = find_recordings(['memory://drives'])
    assert one.name == 'x'
    with one.local(tmp_path) as path:
        assert [file.name for file in path.iterdir()] == ['good.mcap']
        assert [below.name for below in tmp_path.iterdir()] == ['.x.fetched']


@pytest.mark.parametrize('url, words', [
    ('nowhere://a', 'cannot be read'), ('file:///nowhere/at/all', 'There is no recording'),
    ('s3://bucket/a', 'cannot be read'),
    ('http://127.0.0.1:9/a.mcap', 'cannot be read|no recording')])
def test_a_url_that_cannot_be_read_is_one_sentence(url, words):
    pytest.importorskip('fsspec')
    with pytest.raises(BagError, match=words) as error:
        find_recordings([url])
    assert '\n' not in str(error.value)


def test_a_file_system_that_cannot_be_reached_is_one_sentence_without_the_password(monkeypatch):
    core = pytest.importorskip('fsspec.core')

    def refuse(url):
        raise RuntimeError('no route')
    monkeypatch.setattr(core, 'url_to_fs', refuse)
    with pytest.raises(BagError, match='sftp://host/a cannot be read .no route') as error:
        find_recordings(['sftp://user:secret@host/a'])
    assert 'secret' not in str(error.value)


def test_without_fsspec_a_url_names_what_to_install(monkeypatch):
    monkeypatch.setitem(__import__('sys').modules, 'fsspec.core', None)
    with pytest.raises(ModuleNotFoundError, match='fsspec'):
        find_recordings(['memory://drives'])


def test_lists_that_name_each_other_come_to_an_end(drives):
    (drives / 'one.txt').write_text('two.txt\n')
    (drives / 'two.txt').write_text('a/x\none.txt\n')
    with pytest.raises(BagError, match='names itself, or lists lists without an end'):
        found(drives / 'one.txt')
    (drives / 'two.txt').write_text('a/x\n')
    assert found(drives / 'one.txt') == ['x']
