"""The mean of several trainings' weights: its numbers, and what it refuses."""

import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip('torch')

from ssd_perception.core.metadata import Architecture, Metadata
from ssd_perception.model.ssd import SSD
from ssd_perception.model.weights import load_model, save_weights

TOOL = Path(__file__).parents[2] / 'tools' / 'average_weights.py'


def weights(path, value, backbone='efficientnet_lite0'):
    metadata = Metadata(class_names=('cone',),
                        architecture=Architecture(backbone=backbone, input_hw=(64, 64)))
    model = SSD(metadata.architecture, 1)
    for tensor in model.state_dict().values():
        tensor.fill_(value)
    return save_weights(path, model, metadata)


def run(*arguments):
    return subprocess.run([sys.executable, TOOL, *map(str, arguments)], capture_output=True,
                          text=True, timeout=120)


def test_every_tensor_is_the_mean(tmp_path):
    files = [weights(tmp_path / f'{value}.safetensors', value) for value in (1, 2, 6)]
    done = run(*files, '--out', tmp_path / 'mean.safetensors')
    assert done.returncode == 0, done.stderr
    model, _ = load_model(tmp_path / 'mean.safetensors')
    assert all((tensor == 3).all() for tensor in model.state_dict().values())


def test_another_network_is_refused_in_one_sentence(tmp_path):
    one = weights(tmp_path / 'one.safetensors', 1)
    other = weights(tmp_path / 'other.safetensors', 1, 'efficientnet_lite1')
    done = run(one, other, '--out', tmp_path / 'mean.safetensors')
    assert done.returncode == 1 and 'other.safetensors has another network' in done.stderr
    assert done.stderr.count('\n') == 1 and not (tmp_path / 'mean.safetensors').exists()
