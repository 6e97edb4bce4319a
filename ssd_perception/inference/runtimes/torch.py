"""The torch runtime: the trained network itself, on CPU or CUDA."""

from __future__ import annotations

import copy
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from ssd_perception.core.metadata import Metadata
from ssd_perception.inference.runtimes import RuntimeUnavailable
from ssd_perception.model.ssd import SSD
from ssd_perception.model.weights import load_model

_DTYPES = {'fp32': torch.float32, 'fp16': torch.float16, 'bf16': torch.bfloat16}


class TorchRuntime:
    """See ``inference.runtimes.Runtime``."""

    name = 'torch'

    def __init__(self, model: SSD, metadata: Metadata, device: str = 'auto',
                 precision: str = 'auto'):
        self.device = choose_device(device)
        if precision == 'auto':
            precision = 'fp32' if self.device == 'cpu' else 'fp16'
        if precision == 'fp16' and self.device == 'cpu':
            raise RuntimeUnavailable('precision fp16 needs a CUDA device; on the CPU use fp32 '
                                     'or bf16.')
        self.precision, self.metadata = precision, metadata
        # A copy: while training, the model that is measured goes on being averaged.
        model = fold_norms(copy.deepcopy(model).eval())
        self._model = model.to(self.device, memory_format=torch.channels_last)
        p = metadata.preprocessing
        self._mean = torch.tensor(p.mean, device=self.device).view(1, 3, 1, 1)
        self._std = torch.tensor(p.std, device=self.device).view(1, 3, 1, 1)

    @classmethod
    def load(cls, path: Path, device: str, precision: str, threads: int | None) -> TorchRuntime:
        """Open a weights file; see ``open_runtime``."""
        choose_device(device)  # refuses before the file is read
        if threads:
            torch.set_num_threads(threads)
        return cls(*load_model(path), device, precision)

    @torch.inference_mode()
    def __call__(self, batch: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Run uint8 (B, H, W, 3) RGB; see ``Runtime``."""
        # permute of an NHWC buffer is channels-last already: no copy.
        pixels = torch.from_numpy(batch).to(self.device).permute(0, 3, 1, 2)
        inputs = (pixels.float() - self._mean) / self._std
        with torch.autocast(torch.device(self.device).type, _DTYPES[self.precision],
                            enabled=self.precision != 'fp32'):
            logits, deltas = self._model(inputs)
        return logits.float().cpu().numpy(), deltas.float().cpu().numpy()


def fold_norms(model: nn.Module) -> nn.Module:
    """Fold each batch norm into the convolution before it, in place; the function is the same.

    The heads' norms stay: their convolutions serve several levels, each with its own norm.
    """
    for block in model.modules():
        if not isinstance(block, nn.Sequential):
            continue
        for i in range(len(block) - 1):
            holder, index = (block, i) if isinstance(block[i], nn.Conv2d) else (block[i], -1)
            convolution = holder[index] if isinstance(holder, nn.Sequential) else None
            if isinstance(convolution, nn.Conv2d) and isinstance(block[i + 1], nn.BatchNorm2d):
                holder[index] = fuse_conv_bn_eval(convolution, block[i + 1])
                block[i + 1] = nn.Identity()
    return model


def choose_device(device: str) -> str:
    """Return the torch device for ``auto``, ``cpu`` or ``cuda``.

    Raises:
        RuntimeUnavailable: for ``cuda`` without a usable CUDA device.
    """
    if device == 'cpu' or (device == 'auto' and not torch.cuda.is_available()):
        return 'cpu'
    if not torch.cuda.is_available():
        raise RuntimeUnavailable(
            f'device "{device}" was asked for, but torch {torch.__version__} finds no CUDA device '
            'here; use device "cpu" or "auto".')
    return 'cuda:0'
