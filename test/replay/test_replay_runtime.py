"""Which runtime and precision answer the frames, and that one run never mixes two."""

from __future__ import annotations

import json

import pytest

for module in ('av', 'matplotlib', 'rosbags', 'tqdm'):
    pytest.importorskip(module)
from orange_detector import OrangeDetector, interrupted  # noqa: E402
from replaying import replay, replay_in_chunks  # noqa: E402

from ssd_perception.replay.work_folder import WorkFolderError  # noqa: E402

pytest_plugins = ['replaying']

FP32 = ('--runtime', 'onnxruntime', '--precision', 'fp32', '--workers', '1')


def test_runtime_and_precision_are_those_asked_for(detectors, recording, tmp_path):
    assert replay(recording, tmp_path / 'out', *FP32) == 0
    assert {(d.runtime, d.precision) for d in detectors} == {('onnxruntime', 'fp32')}
    summary = json.loads((tmp_path / 'out' / 'summary.json').read_text())
    assert summary['settings']['runtime'] == 'onnxruntime'
    assert summary['settings']['precision'] == 'fp32'


@pytest.mark.parametrize('words, network', [
    (['--runtime', 'openvino', '--precision', 'fp32'], '1'),
    (['--runtime', 'onnxruntime', '--precision', 'int8'], '1'),
    (['--runtime', 'onnxruntime', '--precision', 'fp32'], '2'),  # quantised or exported again
])
def test_an_interrupted_run_goes_on_with_the_same_network_only(
        detectors, recording, tmp_path, monkeypatch, words, network):
    with interrupted(OrangeDetector, at=17), pytest.raises(KeyboardInterrupt):
        replay_in_chunks(recording, tmp_path / 'out', *FP32)
    monkeypatch.setattr(OrangeDetector, 'network_hash', network * 64)
    with pytest.raises(WorkFolderError, match='other weights or other settings'):
        replay_in_chunks(recording, tmp_path / 'out', *words, '--workers', '1')
    monkeypatch.setattr(OrangeDetector, 'network_hash', '1' * 64)
    replay_in_chunks(recording, tmp_path / 'out', *FP32)  # its work was kept
    assert detectors[-1].calls == 15
