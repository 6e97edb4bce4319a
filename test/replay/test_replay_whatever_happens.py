"""The same results however the run went: interrupted, in parallel, on a broken recording."""

from __future__ import annotations

import json
import shutil
import threading
import time

import pytest

for module in ('av', 'matplotlib', 'rosbags', 'tqdm'):
    pytest.importorskip(module)
import recordings  # noqa: E402
from orange_detector import OrangeDetector, interrupted  # noqa: E402
from replaying import FRAMES, files, replay, replay_in_chunks  # noqa: E402

from ssd_perception.replay.work_folder import WorkFolderError  # noqa: E402

pytest_plugins = ['replaying']


def test_two_runs_and_an_interrupted_one_give_the_same_bytes(detectors, recording, tmp_path,
                                                             capsys):
    for name in ('one', 'two'):
        replay_in_chunks(recording, tmp_path / name)
    assert files(tmp_path / 'one') == files(tmp_path / 'two')
    for at in (17, 4):  # in the second chunk; then in what is left, the third
        with interrupted(OrangeDetector, at), pytest.raises(KeyboardInterrupt):
            replay_in_chunks(recording, tmp_path / 'three', '--workers', '1')
        assert not (tmp_path / 'three').exists()
        assert 'continues behind frame' in capsys.readouterr().err
    # Another setting must not continue it, and must not discard it by itself.
    with pytest.raises(WorkFolderError, match='--fresh'):
        replay_in_chunks(recording, tmp_path / 'three', '--workers', '1', '--score-threshold',
                         '0.6')
    assert replay(recording, tmp_path / 'three', '--workers', '1') == 1  # chunks of 100
    summary = replay_in_chunks(recording, tmp_path / 'three', '--workers', '1')
    assert detectors[-1].calls == FRAMES - 10 and summary.frames == FRAMES
    assert files(tmp_path / 'three') == files(tmp_path / 'one')
    assert sorted(p.name for p in tmp_path.iterdir()) == ['one', 'three', 'two']
    assert threading.active_count() < 4


def test_a_chunk_that_is_damaged_is_one_sentence(detectors, recording, tmp_path):
    with interrupted(OrangeDetector, 17), pytest.raises(KeyboardInterrupt):
        replay_in_chunks(recording, tmp_path / 'out', '--workers', '1')
    chunk = tmp_path / '.out.replay' / '000000'
    for name, content in (('frames.jsonl', b'{"index": 0, "top'), ('frames.jsonl', b'[' * 10 ** 5),
                          ('frames.jsonl', b'{}'), ('camera.webm', b'no video')):
        good = (chunk / name).read_bytes()
        (chunk / name).write_bytes(content)
        with pytest.raises(WorkFolderError, match='is damaged; give --fresh'):
            replay_in_chunks(recording, tmp_path / 'out', '--workers', '1')
        (chunk / name).write_bytes(good)
    assert [p.name for p in tmp_path.iterdir()] == ['.out.replay']


def test_detectors_side_by_side_change_nothing(detectors, recording, tmp_path, monkeypatch):
    assert replay(recording, tmp_path / 'one', '--workers', '1') == 0
    answer, together = OrangeDetector.detect, threading.Barrier(3)

    def slowly(self, images, settings=None):
        # The first three calls wait for each other: they are at work at the same time. The
        # later a frame comes, the sooner it is answered, so that answers arrive disordered.
        if self.calls == 0:
            together.wait(20)
        time.sleep(0.01 * (self is detectors[-3]))
        return answer(self, images, settings)

    monkeypatch.setattr(OrangeDetector, 'detect', slowly)
    assert replay(recording, tmp_path / 'three', '--workers', '3') == 0
    calls = [detector.calls for detector in detectors[-3:]]
    assert sum(calls) == FRAMES and min(calls) > 0
    assert files(tmp_path / 'one') == files(tmp_path / 'three')


def test_batches_change_nothing(detectors, recording, tmp_path):
    assert replay(recording, tmp_path / 'one', '--no-pictures') == 0
    assert replay(recording, tmp_path / 'four', '--no-pictures', '--batch', '4') == 0
    assert files(tmp_path / 'one') == files(tmp_path / 'four')
    assert not (tmp_path / 'one' / 'video.webm').exists()


def test_a_broken_recording_names_what_is_lost(detectors, recording, tmp_path, capsys):
    folder = shutil.copytree(recording, tmp_path / 'drive')
    (folder / 'metadata.yaml').unlink()
    file = folder / 'drive.mcap'
    with file.open('r+b') as stream:
        stream.truncate(file.stat().st_size * 2 // 3)
    assert replay(folder, tmp_path / 'out') == 0
    printed = capsys.readouterr().out
    assert 'metadata.yaml is missing' in printed and 'drive.mcap' in printed
    summary = json.loads((tmp_path / 'out' / 'summary.json').read_text())
    assert 0 < summary['frames'] < FRAMES and f'Read {summary["frames"]} frames' in printed
    assert 'The recording is damaged' in (tmp_path / 'out' / 'report.html').read_text()


@pytest.mark.parametrize('words, reason', [
    (['--ground-truth', '/nowhere'], 'neither a folder of labelled images nor a topic'),
    (['--ground-truth', recordings.IMAGE], 'ground truth is a'),
    (['--topics', '/rear'], 'no topic /rear'),
    (['--topics', recordings.TRUTH], 'no images'),
    (['--batch', '0'], '--batch must be'), (['--workers', '-1'], '--workers must be'),
])
def test_what_is_wrong_is_one_sentence(detectors, recording, tmp_path, capsys, words, reason):
    assert replay(recording, tmp_path / 'out', *words) == 1
    error = capsys.readouterr().err
    assert reason in error and error.count('\n') == 1
    assert list(tmp_path.iterdir()) == []
