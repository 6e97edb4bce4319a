"""The verb `train` from recipe to report: one command, and one sentence when it cannot be."""

import json
import shutil

import pytest
from tiny import YAML, write_pictures

from ssd_perception.__main__ import main


@pytest.fixture
def data(tmp_path):
    root = write_pictures(tmp_path / 'data')
    shutil.copy(root / 'ImageSets/Main/train.txt', root / 'ImageSets/Main/val.txt')
    return root


@pytest.fixture
def recipe(tmp_path):
    path = tmp_path / 'recipe.yaml'
    path.write_text(YAML.format(iterations=2, every=2))
    return path


def train(recipe, data, tmp_path, *more):
    return main(['train', str(recipe), '--data', str(data), '--out', str(tmp_path / 'run'),
                 '--device', 'cpu', *more])


def test_one_command_leaves_weights_and_a_report(recipe, data, tmp_path, capsys):
    assert train(recipe, data, tmp_path) == 0
    shown = capsys.readouterr().out
    assert 'Training on 6 images (cone), from the beginning' in shown and 'report.html' in shown
    report = tmp_path / 'run/report'
    assert '<svg' in (report / 'report.html').read_text()
    figures = json.loads((report / 'report.json').read_text())
    assert figures['images'] == 6 and figures['measured']['split'] == 'val'
    # The same line again continues, which means there is nothing left to do but to report.
    assert train(recipe, data, tmp_path, '--resume') == 0
    assert 'from iteration 2 on' in capsys.readouterr().out


@pytest.mark.parametrize('more, message', [
    ((), 'add --resume to continue it'),
    (('--resume', '--set', 'learning_rate=0.5'), 'another recipe or other data')])
def test_a_run_is_never_overwritten(recipe, data, tmp_path, capsys, more, message):
    assert train(recipe, data, tmp_path) == 0
    before = (tmp_path / 'run/checkpoint.pt').read_bytes()
    assert train(recipe, data, tmp_path, *more) == 1
    assert message in capsys.readouterr().err
    assert (tmp_path / 'run/checkpoint.pt').read_bytes() == before


@pytest.mark.parametrize('arguments, message', [
    (('--split', 'trian'), 'no split "trian"'),
    (('--set', 'lerning_rate=1'), 'Did you mean "learning_rate"'),
    (('--set', 'class_names=[cube]'), 'class "cone" is not one of cube'),
    (('--set', 'init=weights.bin'), 'does not fit backbone'),
    (('--set', 'batch_size=3', 'accumulate=2'), 'must be a multiple')])
def test_what_cannot_be_trained_is_one_sentence(recipe, data, tmp_path, capsys, arguments,
                                                message):
    assert train(recipe, data, tmp_path, *arguments) == 1
    shown = capsys.readouterr().err.strip()
    assert message in shown and '\n' not in shown and shown.startswith('ssd_perception train: ')
    assert not (tmp_path / 'run').exists()
