"""Weights made to hang, to fill the memory, or to keep a process busy, for tests."""

from __future__ import annotations

import json
import os
import struct
from dataclasses import asdict
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from ssd_perception.core.anchors import AnchorSpec
from ssd_perception.core.metadata import KEY, Architecture, Metadata
from ssd_perception.inference.onnx_file import EXPORT_KEY, EXPORT_VERSION, ExportInfo

SMALL = Metadata(('cone',), Architecture('efficientnet_lite0', (64, 64)))


def write(path: Path, nodes, initializers=(), metadata: str = SMALL.to_json(), **fields) -> Path:
    """Write an .onnx with good metadata around any graph."""
    images = helper.make_tensor_value_info('images', TensorProto.UINT8, ['batch', 64, 64, 3])
    outputs = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ['batch', None, None])
               for name in ('logits', 'deltas')]
    graph = helper.make_graph(nodes, 'hostile', [images], outputs, list(initializers))
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid('', 17)], **fields)
    helper.set_model_props(model, {
        KEY: metadata, EXPORT_KEY: ExportInfo(EXPORT_VERSION, '0' * 64, 'fp32', {}).to_json()})
    path.write_bytes(model.SerializeToString())
    return path


def body():
    """Return a loop's body that does nothing."""
    condition = helper.make_tensor_value_info('c', TensorProto.BOOL, [])
    count = helper.make_tensor_value_info('i', TensorProto.INT64, [])
    kept = helper.make_tensor_value_info('c2', TensorProto.BOOL, [])
    return helper.make_graph([helper.make_node('Identity', ['c'], ['c2'])], 'body',
                             [count, condition], [kept])


def growing(path: Path, factor: int) -> Path:
    """Write a network of allowed operators alone, which resizes its input ``factor`` times."""
    return write(path, [
        helper.make_node('Cast', ['images'], ['a'], to=onnx.TensorProto.FLOAT),
        helper.make_node('Transpose', ['a'], ['b'], perm=[0, 3, 1, 2]),
        helper.make_node('Resize', ['b', '', 'scales'], ['c'], mode='nearest'),
        helper.make_node('Reshape', ['c', 'shape'], ['logits']),
        helper.make_node('Reshape', ['c', 'shape'], ['deltas'])], [
        numpy_helper.from_array(np.array([1, 1, factor, factor], np.float32), 'scales'),
        numpy_helper.from_array(np.array([1, -1, 4]), 'shape')])


def safetensors(path: Path, header, size=None) -> Path:
    """Write a header, and zeros up to ``size``, which take no place on the disk."""
    text = json.dumps(header).encode() if isinstance(header, dict) else header
    path.write_bytes(struct.pack('<Q', len(text)) + text)
    if size is not None:
        os.truncate(path, size)
    return path


def product() -> str:
    """Return metadata each within its bounds, for 4 GB of outputs of one image."""
    data = json.loads(SMALL.to_json())
    data['class_names'] = [f'{i}' for i in range(1000)]
    data['architecture'] = asdict(Architecture(input_hw=(2048, 2048), anchors=AnchorSpec(
        octave_scales=(1.0,) * 8, aspect_ratios=(1.0,) * 8)))
    return json.dumps(data)


def write_examples(folder: Path) -> dict[Path, str]:
    """Write the files of which strangers showed what they did; return what each error holds."""
    folder.mkdir(exist_ok=True)
    loop = write(folder / 'loop.onnx', [helper.make_node('Loop', ['n', ''], [], body=body())],
                 [numpy_helper.from_array(np.array(2 ** 60), 'n')])
    fills = write(folder / 'fills.onnx', [helper.make_node('ConstantOfShape', ['n'], ['x'])],
                  [numpy_helper.from_array(np.array([2 ** 40]), 'n')])
    assert loop.stat().st_size < 2500 and fills.stat().st_size < 2500
    sparse = folder / 'sparse.onnx'
    sparse.touch()
    os.truncate(sparse, 200_000_000)
    whole = 6_000_000_000
    good = {'__metadata__': {KEY: SMALL.to_json()}}
    # Its header is true: one tensor of zeros.
    tensor = {'w': {'dtype': 'U8', 'shape': [whole - 4096], 'data_offsets': [0, whole - 4096]}}
    text = json.dumps(good | tensor).encode()
    return {
        loop: 'a node of it holds a graph of its own',
        fills: 'operator "ConstantOfShape"',
        write(folder / 'product.onnx', [helper.make_node('Relu', ['a'], ['b'])],
              metadata=product()): 'anchors times classes',
        safetensors(folder / 'product.safetensors', {'__metadata__': {KEY: product()}}):
            'anchors times classes',
        safetensors(folder / 'sparse.safetensors', text + b' ' * (4088 - len(text)), whole):
            'at most 268435456 are read',
        sparse: 'is not an ONNX file that can be used'}
