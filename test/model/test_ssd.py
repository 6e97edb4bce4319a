"""The network: shapes agree with the anchors for every backbone, and files are refused kindly."""

import json

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from ssd_perception.core.anchors import make_anchors
from ssd_perception.core.metadata import BACKBONES, KEY, Architecture, Metadata, WeightsError
from ssd_perception.model.backbones import make_backbone
from ssd_perception.model.ssd import SSD
from ssd_perception.model.weights import load_model, save_weights

SMALL = Architecture(backbone='efficientnet_lite0', input_hw=(64, 96), pyramid_channels=16,
                     head_depth=1)


@pytest.fixture
def weights(tmp_path):
    torch.manual_seed(0)
    return save_weights(tmp_path / 'w.safetensors', SSD(SMALL, 2), Metadata(('a', 'b'), SMALL))


@pytest.mark.parametrize('name', BACKBONES)
def test_a_backbone_tells_its_true_channels_and_strides(name):
    backbone = make_backbone(name).eval()
    with torch.inference_mode():
        features = backbone(torch.zeros(1, 3, 64, 96))
    assert [f.shape[1] for f in features] == list(backbone.channels)
    assert [(64 // f.shape[2], 96 // f.shape[3]) for f in features] == \
        [(s, s) for s in backbone.strides]


@pytest.mark.parametrize('name, heads', [
    *((name, 'separable') for name in BACKBONES), ('efficientnet_lite0_short', 'joint')])
@pytest.mark.parametrize('input_hw', [(64, 64), (96, 160), (320, 320)])
def test_one_prediction_per_anchor(name, heads, input_hw):
    architecture = Architecture(backbone=name, input_hw=input_hw, pyramid_channels=16,
                                heads=heads)
    with torch.inference_mode():
        logits, deltas = SSD(architecture, 3).eval()(torch.zeros(2, 3, *input_hw))
    count = len(make_anchors(architecture.anchors, input_hw, architecture.strides))
    assert logits.shape == (2, count, 3) and deltas.shape == (2, count, 4)


def test_predictions_have_the_order_of_the_anchors():
    """The one prediction that sees a changed pixel most is the one whose anchor lies there."""
    torch.manual_seed(0)
    architecture = Architecture(backbone='efficientnet_lite0', input_hw=(256, 256),
                                pyramid_channels=16, head_depth=0)
    model = SSD(architecture, 1).eval()
    torch.nn.init.normal_(model.class_head.predict[1].weight, std=1.0)
    anchors = make_anchors(architecture.anchors, (256, 256), architecture.strides)
    first_level = 32 * 32 * architecture.anchors.per_cell
    image = torch.zeros(1, 3, 256, 256)
    marked = image.clone()
    marked[..., 180:188, 60:68] = 3.0
    with torch.inference_mode():
        change = (model(marked)[0] - model(image)[0]).abs()[0, :first_level, 0].numpy()
    centre = (anchors[:first_level, :2] * change[:, None]).sum(0) / change.sum()
    assert np.abs(centre - (64, 184)).max() < 24


def test_every_anchor_starts_at_the_prior():
    with torch.inference_mode():
        logits, _ = SSD(SMALL, 2).eval()(torch.zeros(1, 3, 64, 96))
    assert logits.sigmoid().mean() == pytest.approx(0.01, abs=0.003)


def test_weights_round_trip(weights):
    model, metadata = load_model(weights)
    again = save_weights(weights.with_name('again.safetensors'), model, metadata)
    assert again.read_bytes() == weights.read_bytes()
    assert not list(weights.parent.glob('*.partial'))


def rewritten(path, change_tensors=lambda tensors: None, metadata=None):
    tensors = load_file(path)
    change_tensors(tensors)
    text = Metadata(('a', 'b'), SMALL).to_json() if metadata is None else metadata
    save_file(tensors, path, metadata={KEY: text} if text else {'other': 'x'})
    return path


@pytest.mark.parametrize('spoil, message', [
    (lambda p: p.write_bytes(b''), 'not a readable safetensors'),
    (lambda p: p.write_bytes(p.read_bytes()[:5000]), 'not a readable safetensors'),
    (lambda p: p.write_bytes(b'\x80\x04' + b'pickle' * 100), 'not a readable safetensors'),
    (lambda p: rewritten(p, metadata=False), 'not made by this package'),
    (lambda p: rewritten(p, metadata='{}'), 'format_version'),
    (lambda p: rewritten(p, metadata=Metadata(('a', 'b', 'c'), SMALL).to_json()),
     'class_head.* should be'),
    (lambda p: rewritten(p, lambda t: t.pop('pyramid.laterals.0.bias')), 'found absent'),
    (lambda p: rewritten(p, lambda t: t.update(extra=torch.zeros(1))), 'should be absent'),
])
def test_a_file_that_is_not_weights_is_refused_by_name(weights, spoil, message):
    spoil(weights)
    with pytest.raises(WeightsError, match=message) as error:
        load_model(weights)
    assert str(weights) in str(error.value)


def test_metadata_is_one_json_text(weights):
    from safetensors import safe_open
    with safe_open(weights, 'pt') as file:
        assert json.loads(file.metadata()[KEY])['class_names'] == ['a', 'b']
