"""The verb `train` reads every layout, and goes on past bad files that it names."""

import sys
from pathlib import Path

import pytest

pytest.importorskip('torch')

from ssd_perception import __main__ as entry  # noqa: E402

sys.path.insert(0, str(Path(__file__).parents[1] / 'data'))
from small_sets import write_coco, write_voc  # noqa: E402

RECIPE = """
iterations: 1
init: random
batch_size: 2
workers: 0
architecture: {backbone: efficientnet_lite0, input_hw: [64, 64], pyramid_channels: 8,
               head_depth: 1}
"""
SETS = {'train': {f'a{i}': [('cone', (20, 10, 70, 60))] for i in range(4)}}


def train(tmp_path, data, *more):
    (tmp_path / 'recipe.yaml').write_text(RECIPE)
    return entry.main(['train', str(tmp_path / 'recipe.yaml'), '--data', str(data), '--out',
                       str(tmp_path / 'run'), '--device', 'cpu', *more])


def test_bad_files_are_named_once_and_counted(tmp_path, capsys):
    root = write_voc(tmp_path / 'd', SETS | {'val': {f'b{i}': [('cone', (20, 10, 70, 60))]
                                                     for i in range(2)}})
    (root / 'Annotations/a0.xml').write_text('')
    cut = root / 'JPEGImages/b1.jpg'
    cut.write_bytes(cut.read_bytes()[:-9])  # shows only where it is decoded: when it is measured
    (root / 'JPEGImages/a1.jpg').unlink()
    assert train(tmp_path, root) == 0
    said = capsys.readouterr()
    assert 'Training on 2 images (cone)' in said.out
    assert said.err.count('a0.xml') == 1 and said.err.count('"a1"') == 1
    assert '2 files were skipped or read in part; `ssd_perception check_data`' in said.err
    assert said.err.count('b1.jpg is truncated') == 1
    assert 'on d, without 1 image that cannot be decoded; default score' in said.out
    assert (tmp_path / 'run/run.last.safetensors').is_file()


def test_a_coco_folder_is_trained_on(tmp_path, capsys):
    assert train(tmp_path, write_coco(tmp_path / 'd', SETS)) == 0
    said = capsys.readouterr()
    assert 'Training on 4 images (cone)' in said.out and 'skipped' not in said.err


def test_nothing_but_bad_files_is_one_sentence(tmp_path, capsys):
    root = write_voc(tmp_path / 'd', SETS)
    for path in (root / 'Annotations').iterdir():
        path.write_text('')
    assert train(tmp_path, root) == 1
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1 and 'Nothing of the split "train"' in lines[0]
    assert not (tmp_path / 'run').exists()
