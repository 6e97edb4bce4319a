"""Convolutions as they are trained on a CPU: the same gradients as torch's, in less time."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.autograd.function import once_differentiable
from torch.nn import functional as F
from torch.nn.grad import conv2d_input, conv2d_weight

# torch leaves a 1x1 convolution of fewer images to a matrix product where it has one thread.
ENOUGH_IMAGES = 16


def conv2d(x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None = None,
           stride: tuple[int, ...] = (1, 1), padding: tuple[int, ...] = (0, 0),
           dilation: tuple[int, ...] = (1, 1), groups: int = 1) -> torch.Tensor:
    """Compute what ``F.conv2d`` does, with faster gradients on a CPU.

    Without gradients, without images, in half precision or on another device it is ``F.conv2d``.
    """
    if not torch.is_grad_enabled() or x.device.type != 'cpu' or x.dtype != torch.float32 \
            or torch.is_autocast_enabled('cpu') or len(x) == 0 \
            or not torch.backends.mkldnn.is_available():
        return F.conv2d(x, weight, bias, stride, padding, dilation, groups)
    if weight.shape[2:] == (5, 5) and len(weight) == groups == x.shape[1] \
            and padding == (2, 2) and dilation == (1, 1):
        return _Depthwise5.apply(x, weight, bias, stride)
    if weight.shape[2:] == (1, 1) and stride == (1, 1) and padding == (0, 0) and groups == 1 \
            and torch.get_num_threads() == 1 \
            and x.is_contiguous(memory_format=torch.channels_last):
        strips = -(-ENOUGH_IMAGES // len(x))
        if strips > 1 and x.shape[2] % strips == 0:
            return _Pointwise.apply(x, weight, bias, strips)
    return F.conv2d(x, weight, bias, stride, padding, dilation, groups)


class Conv2d(nn.Conv2d):
    """A convolution that is computed by ``conv2d``."""

    def _conv_forward(self, x: torch.Tensor, weight: torch.Tensor,
                      bias: torch.Tensor | None) -> torch.Tensor:
        assert not isinstance(self.padding, str) and self.padding_mode == 'zeros'
        return conv2d(x, weight, bias, self.stride, self.padding, self.dilation, self.groups)


class _Pointwise(torch.autograd.Function):
    """A 1x1 convolution of images that are cut into strips, which changes no value.

    With one thread torch computes fewer than ``ENOUGH_IMAGES`` by MKL's matrix product, which on
    an AMD processor takes twice as long as oneDNN's convolution.
    """

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None,
                strips: int) -> torch.Tensor:
        ctx.save_for_backward(x, weight)
        ctx.strips = strips
        y = F.conv2d(_cut(x, strips), weight, bias)
        # Where x has one channel, y may come in the other order of dimensions.
        y = y.contiguous(memory_format=torch.channels_last)
        count, _, height, width = x.shape
        # For autograd a view could not be changed in place by the activation that follows.
        return y.new_empty(0).set_(
            y.untyped_storage(), 0, (count, len(weight), height, width),
            (height * width * len(weight), 1, width * len(weight), len(weight)))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        x, weight = ctx.saved_tensors
        of_x, of_weight, of_bias = ctx.needs_input_grad[:3]
        dx, dw, db = torch.ops.aten.convolution_backward(
            _cut(gradient, ctx.strips), _cut(x, ctx.strips), weight, [len(weight)], [1, 1],
            [0, 0], [1, 1], False, [0, 0], 1, [of_x, of_weight, of_bias])
        if of_x:
            dx = dx.permute(0, 2, 3, 1).reshape(*x.permute(0, 2, 3, 1).shape).permute(0, 3, 1, 2)
        return dx, dw, db, None


def _cut(x: torch.Tensor, strips: int) -> torch.Tensor:
    count, channels, height, width = x.shape
    return x.permute(0, 2, 3, 1).reshape(
        count * strips, height // strips, width, channels).permute(0, 3, 1, 2)


class _Depthwise5(torch.autograd.Function):
    """A depthwise 5x5 convolution whose kernel's gradient is put together from 3x3 ones.

    oneDNN has a fast gradient for depthwise kernels of 3x3. That of 5x5 it computes as if each
    channel were sixteen, which took ten times as long and a fifth of a training step.
    """

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None,
                stride: tuple[int, ...]) -> torch.Tensor:
        ctx.save_for_backward(x, weight)
        ctx.stride = stride
        return F.conv2d(x, weight, bias, stride, 2, 1, len(weight))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        x, weight = ctx.saved_tensors
        of_x, of_weight, of_bias = ctx.needs_input_grad[:3]
        return (conv2d_input(x.shape, weight, gradient, ctx.stride, 2, 1, len(weight))
                if of_x else None,
                _kernel_gradient(x, weight, gradient, ctx.stride) if of_weight else None,
                gradient.sum((0, 2, 3)) if of_bias else None, None)


def _kernel_gradient(x: torch.Tensor, weight: torch.Tensor, gradient: torch.Tensor,
                     stride: tuple[int, ...]) -> torch.Tensor:
    """Return the gradient of a depthwise (C, 1, 5, 5) kernel."""
    channels = len(weight)
    if stride != (1, 1):  # the parts of x would be as large as with stride 1, for less work
        return conv2d_weight(x, weight.shape, gradient, stride, 2, 1, channels)
    result = torch.empty_like(weight)
    # Each quarter of the kernel, 3x3 values in one of its corners, sees x moved by that corner.
    # Neighbouring quarters share a row or a column and agree in it.
    for top in (0, 2):
        for left in (0, 2):
            moved = F.pad(x, (2 - left, left, 2 - top, top))
            result[:, :, top:top + 3, left:left + 3] = conv2d_weight(
                moved, (channels, 1, 3, 3), gradient, 1, 0, 1, channels)
    return result
