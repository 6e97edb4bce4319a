"""The faster gradients are those of torch."""

import pytest
import torch
from torch.nn import functional as F

from ssd_perception.model.convolution import _Depthwise5, _Pointwise, conv2d


@pytest.fixture(autouse=True)
def one_thread():
    """With more threads torch has a fast gradient for 1x1 kernels itself."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize('shape, kernel, stride, grouped, path', [
    ((2, 32, 12, 9), 5, 1, True, _Depthwise5), ((1, 16, 5, 4), 5, 1, True, _Depthwise5),
    ((2, 16, 2, 1), 5, 1, True, _Depthwise5), ((2, 32, 13, 10), 5, 2, True, _Depthwise5),
    ((8, 6, 10, 7), 1, 1, False, _Pointwise), ((3, 6, 12, 2), 1, 1, False, _Pointwise),
    ((8, 6, 5, 7), 1, 1, False, None),  # cannot be cut into strips
    ((8, 1, 10, 7), 1, 1, False, _Pointwise),  # of one channel, in any order of dimensions
    ((16, 6, 4, 4), 1, 1, False, None), ((2, 8, 6, 6), 1, 2, False, None),
    ((0, 6, 16, 4), 1, 1, False, None),
    ((2, 8, 6, 6), 3, 1, True, None)])
@pytest.mark.parametrize('bias', [True, False])
def test_gradients_are_those_of_torch(shape, kernel, stride, grouped, path, bias):
    torch.manual_seed(0)
    groups = shape[1] if grouped else 1
    outputs = shape[1] if grouped else 4
    found = []
    for function in (F.conv2d, conv2d):
        torch.manual_seed(1)
        x = torch.randn(shape)
        x = (x if shape[1] == 1 else x.to(memory_format=torch.channels_last)).requires_grad_()
        weight = torch.randn(outputs, shape[1] // groups, kernel, kernel, requires_grad=True)
        shift = torch.randn(outputs, requires_grad=True) if bias else None
        y = function(x, weight, shift, (stride, stride), (kernel // 2, kernel // 2), (1, 1),
                     groups)
        if function is conv2d and path:
            assert y.grad_fn.name() == f'{path.__name__}Backward'
        # In place, as the activations of the backbones are.
        (F.relu6(y, inplace=True) * torch.randn(y.shape)).sum().backward()
        found.append([y, x.grad, weight.grad, *([shift.grad] if bias else [])])
    for expected, got in zip(*found):
        torch.testing.assert_close(got, expected, rtol=1e-4, atol=1e-4)


def test_only_what_is_trained_gets_a_gradient():
    # Frozen stages come first, so their output wants no gradient.
    x = torch.randn(2, 16, 6, 6).to(memory_format=torch.channels_last)
    for weight in (torch.randn(16, 1, 5, 5), torch.randn(4, 16, 1, 1)):
        weight.requires_grad_()
        groups, padding = (16, 2) if len(weight) == 16 else (1, 0)
        conv2d(x, weight, None, (1, 1), (padding,) * 2, (1, 1), groups).sum().backward()
        assert weight.grad is not None and x.grad is None


@pytest.mark.parametrize('outputs, kernel', [(4, 1), (16, 5)])
def test_half_precision_is_torchs_own(outputs, kernel):
    torch.manual_seed(0)
    x = torch.randn(2, 16, 8, 6).to(memory_format=torch.channels_last)
    weight = torch.randn(outputs, 1 if kernel == 5 else 16, kernel, kernel, requires_grad=True)
    with torch.autocast('cpu', torch.bfloat16):
        expected, got = (function(x, weight, None, (1, 1), (kernel // 2,) * 2, (1, 1),
                                  16 if kernel == 5 else 1) for function in (F.conv2d, conv2d))
    assert got.dtype == torch.bfloat16 and torch.equal(got, expected)
    got.float().sum().backward()
