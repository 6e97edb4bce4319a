"""Weights are tried in a child: what hangs, fills the memory or crashes there ends there."""

from __future__ import annotations

import time

import numpy as np
import pytest

onnx = pytest.importorskip('onnx')
from onnx import helper, numpy_helper  # noqa: E402
from test_hostile_weights import write  # noqa: E402

from ssd_perception.core.metadata import WeightsError  # noqa: E402
from ssd_perception.inference.resolve import resolve_weights  # noqa: E402
from ssd_perception.inference.trial import try_weights  # noqa: E402


def growing(path, factor):
    """Write a network of allowed operators alone, which resizes its input ``factor`` times."""
    return write(path, [
        helper.make_node('Cast', ['images'], ['a'], to=onnx.TensorProto.FLOAT),
        helper.make_node('Transpose', ['a'], ['b'], perm=[0, 3, 1, 2]),
        helper.make_node('Resize', ['b', '', 'scales'], ['c'], mode='nearest'),
        helper.make_node('Reshape', ['c', 'shape'], ['logits']),
        helper.make_node('Reshape', ['c', 'shape'], ['deltas'])], [
        numpy_helper.from_array(np.array([1, 1, factor, factor], np.float32), 'scales'),
        numpy_helper.from_array(np.array([1, -1, 4]), 'shape')])


def test_good_weights_pass():
    try_weights(resolve_weights('rover'), device='cpu')


def test_what_the_detector_refuses_is_its_own_sentence(tmp_path):
    with pytest.raises(WeightsError, match='output "logits" should be'):
        try_weights(growing(tmp_path / 'other.onnx', 1), 'onnxruntime', 'cpu')


@pytest.mark.parametrize('within_s, max_bytes, says', [
    (60.0, 700_000_000, r'used 0\.[7-9] GB of memory, more than the 0\.7 GB allowed|'
     r'used [1-9].* GB of memory'),
    (0.2, 1 << 40, 'had not ended after 0.2 s')])
def test_what_goes_beyond_a_limit_is_stopped_there(tmp_path, within_s, max_bytes, says):
    path = growing(tmp_path / 'hostile.onnx', 400)  # 64 x 64 x 3 x 160 000 x 4 bytes: 7.9 GB
    start = time.monotonic()
    with pytest.raises(WeightsError, match=says) as caught:
        try_weights(path, 'onnxruntime', 'cpu', within_s=within_s, max_bytes=max_bytes)
    assert 'tried in a child process' in str(caught.value)
    assert time.monotonic() - start < 60
