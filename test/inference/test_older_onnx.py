"""The form for old releases of OpenCV: the same numbers, and nothing in it that they refuse."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto

from ssd_perception.inference.older_onnx import older_form

WEIGHTS = Path(__file__).resolve().parents[2] / 'weights'


@pytest.fixture(scope='module', params=['rover', 'rover_b1'])
def pair(request):
    """Return a shipped file's bytes and their older form."""
    path = WEIGHTS / f'{request.param}.onnx'
    return path.read_bytes(), older_form(path)


def test_nothing_is_left_that_opencv_4_6_refuses(pair):
    before, after = (onnx.load_model_from_string(data) for data in pair)
    kernels = {tensor.name for tensor in after.graph.initializer}
    assert TensorProto.FLOAT16 in {t.data_type for t in before.graph.initializer}
    assert {t.data_type for t in after.graph.initializer} <= {TensorProto.FLOAT,
                                                              TensorProto.INT64}
    for node in after.graph.node:
        assert node.op_type != 'Identity' or node.input[0] not in kernels
        assert node.op_type != 'Clip' or (len(node.input) == 1 and [
            (a.name, a.f) for a in node.attribute] == [('min', 0.0), ('max', 6.0)])
    count = {kind: sum(node.op_type == kind for node in before.graph.node)
             for kind in ('Conv', 'Clip', 'Relu', 'Sigmoid', 'Resize', 'Concat')}
    assert count == {kind: sum(node.op_type == kind for node in after.graph.node)
                     for kind in count}


def test_every_kernel_has_the_same_numbers(pair):
    before, after = (onnx.load_model_from_string(data) for data in pair)
    kernels = {t.name: t for t in after.graph.initializer}
    convolutions = zip((n for n in before.graph.node if n.op_type == 'Conv'),
                       (n for n in after.graph.node if n.op_type == 'Conv'))
    found = {t.name: t for t in before.graph.initializer}
    makers = {n.output[0]: n for n in before.graph.node}
    for old, new in convolutions:
        name = old.input[1]
        while name not in found:
            name = makers[name].input[0]
        np.testing.assert_array_equal(
            onnx.numpy_helper.to_array(found[name]).astype(np.float32),
            onnx.numpy_helper.to_array(kernels[new.input[1]]))
        assert old.output == new.output and old.input[0] == new.input[0]


def test_metadata_inputs_and_outputs_stay(pair):
    before, after = (onnx.load_model_from_string(data) for data in pair)
    assert before.metadata_props == after.metadata_props
    assert before.graph.input == after.graph.input and before.graph.output == after.graph.output


def changed(tmp_path, change):
    model = onnx.load(WEIGHTS / 'rover.onnx')
    change(model.graph)
    path = tmp_path / 'changed.onnx'
    path.write_bytes(model.SerializeToString())
    return path


def test_bounds_that_are_computed_stay_inputs(tmp_path):
    def compute(graph):
        clip = next(node for node in graph.node if node.op_type == 'Clip')
        clip.input[2] = 'mean'
        clip.input[1] = 'nowhere'
    after = onnx.load_model_from_string(older_form(changed(tmp_path, compute)))
    assert sorted(len(n.input) for n in after.graph.node if n.op_type == 'Clip')[-1] == 3


@pytest.mark.parametrize('change', [
    lambda graph: next(t for t in graph.initializer
                       if t.data_type == TensorProto.FLOAT16).ClearField('raw_data'),
    lambda graph: next(n for n in graph.node if n.op_type == 'Constant').attribute[0].t.ClearField(
        'raw_data')])
def test_a_tensor_without_its_numbers_is_refused(tmp_path, change):
    with pytest.raises(ValueError, match='raw_data'):
        older_form(changed(tmp_path, change))
