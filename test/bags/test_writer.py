"""A recording is there completely or not at all."""

import pytest
from recordings import IMAGE, TRUTH, truth, write_recording

from ssd_perception.bags.reader import Bag
from ssd_perception.bags.writer import BagWriter


def test_failure_leaves_nothing(tmp_path):
    with pytest.raises(RuntimeError), BagWriter(tmp_path / 'drive') as bag:
        bag.write(TRUTH, 1, truth(0))
        raise RuntimeError('the camera went away')
    assert list(tmp_path.iterdir()) == []


def test_does_not_overwrite(tmp_path):
    write_recording(tmp_path / 'drive', frames=1)
    with pytest.raises(FileExistsError, match='drive'):
        BagWriter(tmp_path / 'drive')


@pytest.mark.parametrize('storage, suffix', [('mcap', 'mcap'), ('sqlite3', 'db3')])
def test_files_have_the_folders_name(tmp_path, storage, suffix):
    folder = write_recording(tmp_path / 'drive', frames=1, storage=storage)
    assert {f.name for f in folder.iterdir()} == {'metadata.yaml', f'drive.{suffix}'}
    with Bag(folder) as bag:
        assert bag.counts[IMAGE] == 1
