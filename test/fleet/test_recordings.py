"""Folders, globs and lists lead to recordings, each with a name of its own."""

import pytest

pytest.importorskip('rosbags')
from ssd_perception.bags.reader import BagError  # noqa: E402
from ssd_perception.fleet.recordings import find_recordings, is_one_recording  # noqa: E402


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
    # a/y.mcap lies beside a folder: a is a recording of its own with that file
    assert found(drives / 'a') == ['a']
    assert found(drives / 'b') == ['x']
    assert found(drives / 'a/y.mcap', drives / 'b/x') == ['y', 'x']
    assert found(f'{drives}/*/x') == ['a_x', 'b_x']
    assert found(f'{drives}/*/x', drives / 'a/x') == ['a_x', 'b_x']
    (drives / 'list.txt').write_text('# two\na/x\n\n*/y.mcap\n')
    assert found(drives / 'list.txt') == ['x', 'y']
    sizes = [one.size for one in find_recordings([str(drives / 'a/x')])]
    assert sizes == [len('a/x/x.mcap') + len('a/x/metadata.yaml')]


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
