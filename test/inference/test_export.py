"""Export: the same function as torch, its origin inside; foreign and stale files refused."""

import errno
import os
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch

from ssd_perception.__main__ import main
from ssd_perception.core.metadata import KEY, Architecture, Metadata, WeightsError
from ssd_perception.inference.detector import Detector
from ssd_perception.inference.export import export_onnx
from ssd_perception.inference.exported import beside, cache_folder, find_export
from ssd_perception.inference.onnx_file import EXPORT_KEY, read_export, sha256_of
from ssd_perception.inference.quantise import predicting_layers
from ssd_perception.inference.resolve import resolve_weights
from ssd_perception.inference.runtimes import RuntimeUnavailable, open_runtime
from ssd_perception.model.ssd import SSD
from ssd_perception.model.weights import save_weights

ROOT = Path(__file__).resolve().parents[2]
SMALL = Architecture(backbone='efficientnet_lite0', input_hw=(64, 64), pyramid_channels=8,
                     head_depth=1)


def make_weights(folder, seed=0):
    torch.manual_seed(seed)
    return save_weights(folder / 'small.safetensors', SSD(SMALL, 2),
                        Metadata(('cone', 'cube'), SMALL))


@pytest.fixture(scope='module')
def made(tmp_path_factory):
    """Weights and their export, made once; tests copy them."""
    folder = tmp_path_factory.mktemp('made')
    weights = make_weights(folder)
    return weights, export_onnx(weights, beside(weights, 'fp32'))


@pytest.fixture
def pair(made, tmp_path):
    return tuple(Path(shutil.copy(path, tmp_path)) for path in made)


def rewritten(path, **entries):
    """Change metadata of an exported file in place; None removes an entry."""
    model = onnx.load(path)
    held = {entry.key: entry.value for entry in model.metadata_props} | entries
    del model.metadata_props[:]
    onnx.helper.set_model_props(model, {k: v for k, v in held.items() if v is not None})
    path.write_bytes(model.SerializeToString())


def test_the_file_tells_what_onnx_reads_in_it(made):
    weights, exported = made
    found = read_export(exported)
    props = {entry.key: entry.value for entry in onnx.load(exported).metadata_props}
    assert found.metadata.to_json() == props[KEY] and found.info.to_json() == props[EXPORT_KEY]
    assert found.metadata.class_names == ('cone', 'cube')
    assert found.info.weights_sha256 == sha256_of(weights) and found.info.precision == 'fp32'


def test_the_graph_takes_pixels_and_holds_no_norm_and_no_place_of_this_machine(made):
    model = onnx.load(made[1])
    pixels, = model.graph.input
    assert pixels.type.tensor_type.elem_type == onnx.TensorProto.UINT8
    assert [d.dim_value or d.dim_param for d in pixels.type.tensor_type.shape.dim] == [
        'batch', 64, 64, 3]
    operators = {node.op_type for node in model.graph.node}
    # Shape and Gather would be sizes computed in every run, Div the standard deviation.
    assert not operators & {'BatchNormalization', 'Shape', 'Gather', 'Div'}
    assert b'/site-packages/' not in made[1].read_bytes() and str(ROOT).encode() not in \
        made[1].read_bytes()


def test_a_matching_file_beside_the_weights_is_used(pair):
    assert find_export(pair[0], 'auto').path == pair[1]


def test_a_stale_file_is_not_used_but_made_anew_in_the_cache(pair, tmp_path, monkeypatch, caplog):
    monkeypatch.setenv('SSD_PERCEPTION_CACHE', str(tmp_path / 'cache'))
    make_weights(tmp_path, seed=1)  # retrained under the same name
    found = find_export(pair[0], 'auto')
    assert found.path.parent == tmp_path / 'cache' == cache_folder()
    assert found.info.weights_sha256 == sha256_of(pair[0])
    assert 'exported from other weights' in caplog.text
    stamp = found.path.stat().st_mtime_ns
    assert find_export(pair[0], 'fp32').path.stat().st_mtime_ns == stamp  # once
    found.path.write_bytes(b'cut short')
    assert read_export(find_export(pair[0], 'fp32').path).info == found.info
    assert [path.name for path in cache_folder().iterdir()] == [found.path.name]  # no remains


def test_a_stale_file_named_directly_is_refused(pair, tmp_path):
    make_weights(tmp_path, seed=1)
    with pytest.raises(WeightsError, match='is stale: it was exported from other weights'):
        Detector.from_weights(pair[1])
    pair[0].unlink()  # a robot that has the exported file alone
    assert Detector.from_weights(pair[1]).path == pair[1]


@pytest.mark.parametrize('entries, says', [
    ({KEY: None}, 'not made by'),
    ({EXPORT_KEY: None}, 'not made by'),
    ({KEY: '{"format_version": 99}'}, 'format_version'),
    ({KEY: '[' * 2000}, 'not JSON'),
    ({EXPORT_KEY: '{}'}, 'missing'),
    ({EXPORT_KEY: '[' * 200000}, ''),
    ({EXPORT_KEY: '{"version": 0, "weights_sha256": "", "precision": "fp32", '
                  '"calibration": {}}'}, 'another version'),
    ({'padding': 'x' * 2_000_000}, 'larger than any'),
    ({str(i): '' for i in range(200)}, 'larger than any'),
])
def test_foreign_metadata_are_refused_in_one_sentence(pair, entries, says):
    rewritten(pair[1], **entries)
    with pytest.raises(WeightsError) as refusal:
        read_export(pair[1])
    assert says in str(refusal.value) and str(pair[1]) in str(refusal.value)
    assert len(str(refusal.value)) < 500


def test_files_that_are_no_onnx_are_refused(pair):
    whole = pair[1].read_bytes()
    for content in (b'', b'no network', b'\xff' * 100, whole[:5000], whole[:-10], b'\x3a\xff\xff'):
        pair[1].write_bytes(content)
        with pytest.raises(WeightsError, match='ONNX'):
            read_export(pair[1])


@pytest.mark.parametrize('runtime', ['onnxruntime', 'openvino', 'opencv'])
def test_a_network_that_does_not_keep_its_promise_is_refused(pair, runtime):
    other = replace(SMALL, strides=(8, 16, 32))  # fewer anchors than the graph gives
    rewritten(pair[1], **{KEY: Metadata(('cone', 'cube'), other).to_json()})
    with pytest.raises(WeightsError, match='"logits" should be'):
        Detector.from_weights(pair[1], runtime=runtime)


@pytest.mark.parametrize('runtime', ['onnxruntime', 'openvino', 'opencv'])
def test_a_graph_that_is_broken_is_refused(pair, runtime):
    model = onnx.load(pair[1])
    model.graph.node[5].input[0] = 'nowhere'
    pair[1].write_bytes(model.SerializeToString())
    with pytest.raises(WeightsError, match='cannot be run by'):
        Detector.from_weights(pair[1], runtime=runtime)


def test_int8_that_is_not_there_says_how_to_make_it(pair):
    with pytest.raises(RuntimeUnavailable, match='ssd_perception export .* --int8 --data'):
        find_export(pair[0], 'int8')
    with pytest.raises(RuntimeUnavailable, match='holds fp32, not the precision int8'):
        find_export(pair[1], 'int8')


def test_an_unwritable_cache_is_one_sentence(pair, tmp_path, monkeypatch):
    pair[1].unlink()
    (tmp_path / 'file').touch()
    monkeypatch.setenv('SSD_PERCEPTION_CACHE', str(tmp_path / 'file'))
    with pytest.raises(RuntimeUnavailable, match='set SSD_PERCEPTION_CACHE'):
        find_export(pair[0], 'auto')
    assert Detector.from_weights(pair[0], device='cpu').runtime == 'torch'  # auto goes on


def full(*_, **__):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_cache_that_all_may_write_to_has_a_folder_of_each_user(tmp_path, monkeypatch):
    shared, own = tmp_path / 'cache', tmp_path / 'cache' / f'user_{os.getuid()}'
    monkeypatch.setenv('SSD_PERCEPTION_CACHE', str(shared))
    shared.mkdir()
    shared.chmod(0o755)
    assert cache_folder() == shared
    shared.chmod(0o1777)
    assert cache_folder() == own == cache_folder() and own.stat().st_mode & 0o777 == 0o700
    own.chmod(0o777)
    with pytest.raises(RuntimeUnavailable, match='set SSD_PERCEPTION_CACHE to a folder of your'):
        cache_folder()
    own.rmdir()
    with monkeypatch.context() as patch, pytest.raises(RuntimeUnavailable, match='No space left'):
        patch.setattr(Path, 'mkdir', full)  # what others put into the shared one is not used
        cache_folder()
    own.symlink_to(tmp_path)
    with pytest.raises(RuntimeUnavailable, match='belongs to another user'):
        cache_folder()


def test_names_find_exported_files(pair, tmp_path, monkeypatch):
    share = tmp_path / 'share' / 'ssd_perception' / 'weights'
    share.mkdir(parents=True)
    shutil.copy(pair[1], share / 'alone.onnx')
    shutil.copy(pair[1], share / 'alone.int8.onnx')
    monkeypatch.setenv('AMENT_PREFIX_PATH', str(tmp_path))
    assert resolve_weights('alone') == resolve_weights('alone.onnx') == share / 'alone.onnx'
    assert resolve_weights('alone.int8') == share / 'alone.int8.onnx'


def test_the_verb_quantises_and_measures(tmp_path, capsys):
    weights, data = make_weights(tmp_path), tmp_path / 'rendered_val'
    shutil.copytree(ROOT / 'demo' / 'rendered_val', data)
    first, second, *_ = (data / 'ImageSets/Main/val.txt').read_text().split()
    (data / 'ImageSets/Main/calibrate.txt').write_text(f'{first}\n{first}_bad\n{second}\n')
    (data / 'ImageSets/Main/val.txt').write_text(f'{first}\n{first}_bad\n{second}\n')
    shutil.copy(data / f'Annotations/{first}.xml', data / f'Annotations/{first}_bad.xml')
    (data / f'JPEGImages/{first}_bad.jpg').write_bytes(b'x')  # costs itself
    code = main(['export', '--weights', str(weights), '--int8', '--data', str(data), '--split',
                 'calibrate', '--pictures', '4'])
    printed = capsys.readouterr()
    assert code == 0, printed.err
    for line in ('small.onnx: AP50 0.', 'small.int8.onnx: AP50 0.', ' on 2 images; ',
                 'lost: AP50 ', 'objects are too few to judge int8 by'):
        assert line in printed.out
    found = read_export(tmp_path / 'small.int8.onnx')
    assert found.info.precision == 'int8' and found.info.weights_sha256 == sha256_of(weights)
    assert f'{first}_bad.jpg is not an image' in printed.out
    assert found.info.calibration['pictures'] == 2
    assert found.info.calibration['data'] == 'rendered_val calibrate'
    assert {'fp32', 'int8', 'measured_on'} <= set(found.info.calibration)
    assert read_export(tmp_path / 'small.onnx').info.precision == 'fp32'
    graph = onnx.load(found.path)
    floats = set(predicting_layers(graph))
    consumers = {name: node for node in graph.graph.node for name in node.input}
    convolutions = [node for node in graph.graph.node if node.op_type == 'Conv']
    quantised = [node for node in convolutions if node.name not in floats]
    makers = {name: node.op_type for node in graph.graph.node for name in node.output}
    assert all(makers[node.input[0]] == 'DequantizeLinear' for node in quantised)
    assert len(convolutions) - len(quantised) == 2 * len(SMALL.strides)
    assert not [n for n in convolutions if n.name in floats
                and consumers[n.output[0]].op_type == 'QuantizeLinear']


@pytest.mark.parametrize('words, says', [
    (['--int8'], '--int8 needs --data'),
    (['--int8', '--data', '{tmp}'], '{tmp}'),
    (['--int8', '--data', str(ROOT / 'demo' / 'rendered_val'), '--pictures', '0'], 'at least 1'),
    (['--weights', '{onnx}'], 'is exported already'),
])
def test_what_cannot_be_exported_is_one_sentence(pair, tmp_path, capsys, words, says):
    names = {'tmp': tmp_path, 'onnx': pair[1]}
    words = [word.format(**names) for word in words]
    assert main(['export', *(() if '--weights' in words else ('--weights', str(pair[0]))),
                 *words]) == 1
    err = capsys.readouterr().err
    assert says.format(**names) in err and len(err.splitlines()) == 1


@pytest.mark.parametrize('backbone, heads', [
    ('efficientnet_b1', 'separable'), ('efficientnet_lite0_short', 'joint')])
def test_another_network_and_mean_are_exported_exactly(tmp_path, backbone, heads):
    torch.manual_seed(3)
    architecture = Architecture(backbone=backbone, input_hw=(64, 64), pyramid_channels=8,
                                head_depth=2, heads=heads)
    metadata = Metadata(('cone',), architecture)
    metadata = replace(metadata, preprocessing=replace(
        metadata.preprocessing, mean=(123.675, 116.28, 103.53), std=(58.395, 57.12, 57.375)))
    model = SSD(architecture, 1)
    blocks = np.random.default_rng(0).integers(0, 256, (8, 4, 4, 3), np.uint8)
    image = blocks.repeat(16, 1).repeat(16, 2)
    p = metadata.preprocessing
    inputs = torch.tensor((image - np.array(p.mean)) / np.array(p.std)).permute(0, 3, 1, 2).float()
    with torch.no_grad():
        for norm in model.modules():
            if isinstance(norm, torch.nn.BatchNorm2d):
                norm.momentum = 1.0  # statistics of these pictures, so that they reach the outputs
        model.train()(inputs)
        for head in (model.tower, model.class_head, model.box_head):
            for norm in head.norms.modules():  # and scales that differ from level to level
                if isinstance(norm, torch.nn.BatchNorm2d):
                    norm.weight.uniform_(0.5, 2)
                    norm.bias.uniform_(0, 1)
        for head in (model.class_head, model.box_head):
            head.predict[1].weight.normal_(std=1)
        wanted = model.eval()(inputs)
    weights = save_weights(tmp_path / 'w.safetensors', model, metadata)
    exported = export_onnx(weights, tmp_path / 'w.onnx')
    import onnxruntime
    session = onnxruntime.InferenceSession(exported, providers=['CPUExecutionProvider'])
    for found, expected in zip(session.run(['logits', 'deltas'], {'images': image}), wanted):
        assert (expected[0] - expected[1]).std() > 0.1  # or any pictures would do
        np.testing.assert_allclose(found, expected.numpy(), atol=0.01 * expected.std().item())


def test_weights_stored_in_halves_give_a_file_in_halves_that_every_runtime_widens(tmp_path):
    torch.manual_seed(0)
    model, metadata = SSD(SMALL, 2), Metadata(('cone', 'cube'), SMALL)
    whole = save_weights(tmp_path / 'whole.safetensors', model, metadata)
    half = save_weights(tmp_path / 'half.safetensors', model, metadata, half=True)
    files = [export_onnx(path, beside(path, 'fp32')) for path in (whole, half)]
    assert half.stat().st_size < 0.6 * whole.stat().st_size
    assert files[1].stat().st_size < 0.65 * files[0].stat().st_size
    images = np.random.default_rng(0).integers(0, 256, (1, 64, 64, 3)).astype(np.uint8)
    expected = open_runtime(whole, 'torch', 'cpu', 'fp32', 1)(images)
    for name in ('torch', 'onnxruntime', 'openvino', 'opencv'):
        found = open_runtime(half, name, 'cpu', 'fp32', 1)(images)
        for a, b in zip(found, expected):
            assert a.dtype == np.float32
            np.testing.assert_allclose(a, b, atol=0.02)
    assert open_runtime(half, 'onnxruntime', 'cpu', 'fp32', 1).file == files[1]


def test_without_a_home_folder_the_cache_is_named_and_auto_goes_on(pair, monkeypatch):
    pair[1].unlink()
    for name in ('SSD_PERCEPTION_CACHE', 'XDG_CACHE_HOME', 'HOME'):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr('pwd.getpwuid', lambda uid: {}[uid])  # as for a container's user
    with pytest.raises(RuntimeUnavailable, match='no home folder; set SSD_PERCEPTION_CACHE'):
        find_export(pair[0], 'fp32')
    assert Detector(pair[0], device='cpu').runtime == 'torch'
