"""Weights made to hang, to fill the memory, or to keep the node busy: refused before they can."""

from __future__ import annotations

import json
import os
import time
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest

onnx = pytest.importorskip('onnx')
from hostile_weights import SMALL, body, safetensors, write, write_examples  # noqa: E402
from onnx import TensorProto, helper, numpy_helper  # noqa: E402

from ssd_perception.core.anchors import AnchorSpec  # noqa: E402
from ssd_perception.core.metadata import (  # noqa: E402
    KEY,
    MAX_FILE_BYTES,
    MAX_OUTPUTS,
    Architecture,
    Metadata,
    MetadataError,
    WeightsError,
)
from ssd_perception.inference.detector import Detector  # noqa: E402
from ssd_perception.inference.onnx_file import read_export, sha256_of  # noqa: E402
from ssd_perception.inference.options import DetectorOptions  # noqa: E402
from ssd_perception.inference.weights_file import read_metadata  # noqa: E402

SHIPPED = sorted((Path(__file__).parents[2] / 'weights').glob('*.onnx'))
def test_the_examples_are_refused_at_once_everywhere(tmp_path):
    from ssd_perception.model.weights import load_model
    start = time.process_time()
    for path, words in write_examples(tmp_path).items():
        reads = [lambda path: Detector(path, device='cpu'),
                 lambda path: DetectorOptions(str(path), runtime='onnxruntime').load()]
        if path.suffix == '.safetensors':
            reads.append(load_model)
        for read in reads:
            with pytest.raises(WeightsError) as caught:
                read(path)
            assert words in str(caught.value) and len(str(caught.value)) < 500
    assert time.process_time() - start < 15


def external(name):
    tensor = numpy_helper.from_array(np.zeros(3, np.float32), name)
    tensor.ClearField('raw_data')
    tensor.data_location = TensorProto.EXTERNAL
    entry = tensor.external_data.add()
    entry.key, entry.value = 'location', '/etc/passwd'
    return tensor


@pytest.mark.parametrize('nodes, initializers, says', [
    ([helper.make_node('Loop', ['n', ''], [], body=body())],
     [numpy_helper.from_array(np.array(2 ** 60), 'n')], 'graph of its own'),
    ([helper.make_node('If', ['c'], ['x'], then_branch=body(), else_branch=body())], [],
     'graph of its own'),
    ([helper.make_node('Scan', ['a'], ['b'], body=body(), num_scan_inputs=1)], [],
     'graph of its own'),
    ([helper.make_node('ConstantOfShape', ['n'], ['x'])],
     [numpy_helper.from_array(np.array([2 ** 40]), 'n')], 'operator "ConstantOfShape"'),
    ([helper.make_node('Expand', ['images', 'n'], ['x'])], [], 'operator "Expand"'),
    ([helper.make_node('Relu', ['a'], ['b'], domain='com.acme')], [], 'operator "com.acme Relu"'),
    ([helper.make_node('a\nb' * 100, ['a'], ['b'])], [], 'operator "a\\nba\\nb'),
    ([], [external('w')], 'data in other files'),
    ([helper.make_node('Constant', [], ['c'], value=external('w'))], [], 'data in other files'),
    ([helper.make_node('Relu', ['a'], ['b'], x=[external('w')])], [], 'data in other files'),
    ([helper.make_node('Constant', [], ['c'], sparse_value=helper.make_sparse_tensor(
        external('w'), external('i'), [3]))], [], 'sparse tensors'),
    # Small in the trial with a grey image, and gigabytes with another one.
    ([helper.make_node('Cast', ['images'], ['s'], to=TensorProto.FLOAT),
      helper.make_node('Resize', ['images', '', 's'], ['x'])], [], 'computes a shape'),
    ([helper.make_node('Cast', ['images'], ['s'], to=TensorProto.INT64),
      helper.make_node('Reshape', ['images', 's'], ['x'])], [], 'computes a shape'),
])
def test_graphs_that_no_export_has_are_refused_unrun(tmp_path, nodes, initializers, says):
    path = write(tmp_path / 'hostile.onnx', nodes, initializers)
    start = time.process_time()
    with pytest.raises(WeightsError) as caught:
        Detector(path, device='cpu')
    assert says in str(caught.value) and str(caught.value).isprintable()
    assert time.process_time() - start < 5


def test_functions_of_its_own_are_refused(tmp_path):
    function = helper.make_function('acme', 'f', ['a'], ['b'], [
        helper.make_node('Identity', ['a'], ['b'])], [helper.make_opsetid('', 17)])
    path = write(tmp_path / 'hostile.onnx', [], functions=[function])
    with pytest.raises(WeightsError, match='functions of its own'):
        read_export(path)


def test_a_file_that_becomes_a_pipe_does_not_block(tmp_path):
    """Between the check of its kind and its reading."""
    from ssd_perception.model.weights import load_model
    os.mkfifo(tmp_path / 'a.onnx')
    os.mkfifo(tmp_path / 'a.safetensors')
    for read, name in ((read_export, 'a.onnx'), (read_metadata, 'a.safetensors'),
                       (load_model, 'a.safetensors')):
        with pytest.raises(WeightsError, match='no regular file|0 bytes'):
            read(tmp_path / name)
    with pytest.raises(OSError, match='no regular file'):
        sha256_of(tmp_path / 'a.onnx')


@pytest.mark.parametrize('path', SHIPPED, ids=lambda path: path.name)
def test_the_shipped_networks_are_not_refused(path):
    assert read_export(path).metadata.class_names


@pytest.mark.parametrize('size', [200_000_000, MAX_FILE_BYTES + 1])
def test_a_sparse_onnx_is_refused_at_once(tmp_path, size):
    path = tmp_path / 'sparse.onnx'
    path.touch()
    os.truncate(path, size)
    start = time.process_time()
    with pytest.raises(WeightsError, match='cannot be used|can be used'):
        read_export(path)
    assert time.process_time() - start < 5


@pytest.mark.parametrize('sizes', [
    dict(input_hw=(2048, 2048)),
    dict(input_hw=(2048, 2048), anchors=AnchorSpec(octave_scales=(1.0,) * 8,
                                                   aspect_ratios=(1.0,) * 8))])
def test_metadata_whose_product_is_gigabytes_are_refused(sizes):
    names = tuple(f'class {i}' for i in range(1000))
    with pytest.raises(MetadataError, match=f'at most {MAX_OUTPUTS}'):
        Metadata(names, Architecture('efficientnet_lite0', **sizes))
    data = json.loads(SMALL.to_json())
    data['class_names'], data['architecture'] = names, asdict(Architecture(**sizes))
    with pytest.raises(MetadataError, match=f'at most {MAX_OUTPUTS}'):
        Metadata.from_json(json.dumps(data))


GOOD = {KEY: SMALL.to_json()}


@pytest.mark.parametrize('header, size, says', [
    ({'__metadata__': GOOD}, 6_000_000_000, 'at most'),
    ({'__metadata__': GOOD}, 200_000_000, 'its header says'),
    ({'__metadata__': GOOD, 'w': {'dtype': 'F32', 'shape': [10], 'data_offsets': [0, 40]}}, None,
     'its header says'),
    ({'__metadata__': GOOD, 'w': {'dtype': 'F32', 'shape': [10], 'data_offsets': [0, 10 ** 12]}},
     None, 'other bytes than its shape'),
    ({'__metadata__': GOOD, 'w': {'dtype': 'F32', 'shape': 'x', 'data_offsets': [0, 4]}}, None,
     'no tensor'),
    ({'__metadata__': GOOD, 'w': 3}, None, 'no tensor'),
    ({'w': {'dtype': 'F32', 'shape': [0], 'data_offsets': [0, 0]}}, None, 'not made by'),
    ({'__metadata__': {KEY: 7}}, None, 'not made by'),
    ({'__metadata__': {KEY: '{"format_version": 99}'}}, None, 'format_version'),
    # The product of a million numbers takes minutes, and the interpreter with it.
    (b'{"w":{"dtype":"F32","shape":[' + b'999,' * 900_000 + b'1],"data_offsets":[0,4]}}', None,
     'no tensor'),
    ({'w': {'dtype': 'F32', 'shape': [-2, -2], 'data_offsets': [0, 16]}}, None, 'no tensor'),
    ({'__metadata__': {KEY: SMALL.to_json().replace(
        '"metrics": {}', f'"metrics": {{"a": {"[" * 300}{"]" * 300}}}')}}, None,
     'nested more than the 20 levels'),
    (b'[' * 100_000, None, 'not a readable safetensors'),
    (b'{}' + b' ' * 5_000_000, None, 'its header has'),
    (b'[1]', None, 'no object'),
])
def test_a_lying_safetensors_is_refused_before_it_is_read(tmp_path, header, size, says):
    path = safetensors(tmp_path / 'lying.safetensors', header, size)
    start = time.process_time()
    for read in (read_metadata, lambda path: Detector(path, device='cpu')):
        with pytest.raises(WeightsError) as caught:
            read(path)
        assert says in str(caught.value) and len(str(caught.value)) < 500
    assert time.process_time() - start < 5
