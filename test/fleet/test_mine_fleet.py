"""Frames to label from many recordings together: no view twice, whatever runs them."""

import io
import json
import shutil
import zipfile

import numpy as np
import pytest

pytest.importorskip('rosbags')
pytest.importorskip('matplotlib')
pytest.importorskip('tqdm')
import recordings  # noqa: E402
from orange_detector import replace_network  # noqa: E402

from ssd_perception.__main__ import main  # noqa: E402
from ssd_perception.data.layout import read_split  # noqa: E402
from ssd_perception.fleet import mine as fleet  # noqa: E402
from ssd_perception.mining.candidates import Candidates  # noqa: E402


@pytest.fixture
def detectors(monkeypatch):
    """Replace the network; the list holds every detector that was made."""
    return replace_network(monkeypatch)


@pytest.fixture(scope='module')
def drives(tmp_path_factory):
    """A drive, the same drive copied and renamed, a longer one, and no recording at all."""
    root = tmp_path_factory.mktemp('drives')
    for name, frames in (('a', 6), ('c', 20), ('d', 1)):
        recordings.write_recording(root / name, frames, size=(320, 320))
    shutil.copytree(root / 'a', root / 'b')
    next((root / 'd').glob('*.mcap')).write_bytes(b'nothing')
    return root


def mine(source, out, *words):
    """Return the exit code; it is 1 where one of the recordings cannot be read."""
    return main(['bag_to_voc', str(source), '--out', str(out), *words])


def content(folder):
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob('*'))
            if p.is_file()}


def chosen(out):
    return json.loads((out / 'selection.json').read_text())['chosen']


def test_no_frame_is_chosen_twice_whatever_the_recording(detectors, drives, tmp_path):
    out = tmp_path / 'mined'
    assert mine(drives, out, '--count', '30') == 1
    frames = chosen(out)
    # a, its copy b and the beginning of c hold the same frames
    assert len({frame['stamp_ns'] for frame in frames}) == len(frames) > 2
    assert all(frame['file'].startswith(frame['camera'].partition('/')[0] + '_')
               for frame in frames)
    assert len(read_split(out, 'train')) == len(frames)
    summary = json.loads((out / 'selection.json').read_text())
    assert summary['frames'] == 32 and any(note.startswith('d: ') for note in summary['notes'])
    assert summary['notes'][-1] == (
        f'Only {len(frames)} frames instead of 30: every other one looks like one of these.')
    assert not list(tmp_path.glob('.*'))


def test_an_image_is_that_of_its_recording(detectors, drives, tmp_path):
    out = tmp_path / 'mined'
    assert mine(drives, out, '--count', '4') == 1
    assert mine(drives / 'c', tmp_path / 'alone', '--count', '20') == 0
    alone = content(tmp_path / 'alone' / 'JPEGImages')
    frames = [frame for frame in chosen(out) if frame['camera'].startswith('c/')]
    assert frames
    for frame in frames:
        assert (out / 'JPEGImages' / frame['file']).read_bytes() \
            == alone[f'{frame["stamp_ns"]}.jpg']


def test_what_was_done_before_an_interruption_is_not_done_again(detectors, drives, tmp_path,
                                                                monkeypatch):
    assert mine(drives, tmp_path / 'whole', '--count', '5') == 1
    looked_at = []
    propose = fleet.propose
    monkeypatch.setattr(fleet, 'propose', lambda recording, count: looked_at.append(
        recording.bag.path.name) or propose(recording, count))
    run = fleet.run_tasks

    def two_of(tasks, *options, **more):
        run(tasks[:2], *options, **more)
        raise KeyboardInterrupt
    monkeypatch.setattr(fleet, 'run_tasks', two_of)
    assert mine(drives, tmp_path / 'again', '--count', '5') == 130
    monkeypatch.setattr(fleet, 'run_tasks', run)
    assert mine(drives, tmp_path / 'again', '--count', '5') == 1
    assert sorted(looked_at) == ['a', 'b', 'c']
    whole, again = content(tmp_path / 'whole'), content(tmp_path / 'again')
    assert {name for name in whole if whole[name].replace(b'whole', b'again') != again[name]} \
        == set()


@pytest.mark.parametrize('damage', [
    lambda data: data[:len(data) // 2], lambda data: b'', lambda data: packed(data)],
    ids=['cut', 'empty', 'packed'])
def test_damaged_candidates_are_made_anew(tmp_path, damage):
    path = tmp_path / 'a.npz'
    found = Candidates(1, 0, (), (), (), (), (), np.zeros((2, 3), np.uint8))
    found.save(path, 'same')
    assert Candidates.load(path, 'same').frames == 1 and Candidates.load(path, 'other') is None
    path.write_bytes(damage(path.read_bytes()))
    assert Candidates.load(path, 'same') is None


def packed(data):
    """Return the same archive compressed: a small one could unpack to gigabytes."""
    target = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as source, \
            zipfile.ZipFile(target, 'w', zipfile.ZIP_DEFLATED) as file:
        for name in source.namelist():
            file.writestr(name, source.read(name))
    return target.getvalue()
