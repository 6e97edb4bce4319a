"""One module per runtime, imported only when it is chosen; ``open_runtime`` chooses."""

from __future__ import annotations

import ctypes
import importlib
from pathlib import Path
from typing import Protocol

import numpy as np

from ssd_perception.core.errors import SettingError, UserError
from ssd_perception.core.metadata import Metadata

NAMES = ('auto', 'torch', 'onnxruntime', 'openvino', 'tensorrt')
DEVICES = ('auto', 'cpu', 'cuda')
PRECISIONS = ('auto', 'fp32', 'fp16', 'bf16', 'int8')

# Fastest first: docs/deploying.md has the measurement. TensorRT is used only by name: building
# an engine takes minutes, which nobody who did not ask for it should wait.
_ORDER = {'cpu': ('openvino', 'onnxruntime', 'torch'), 'cuda': ('torch', 'onnxruntime')}
_CLASSES = {'torch': 'TorchRuntime', 'onnxruntime': 'OnnxRuntime', 'openvino': 'OpenVino',
            'tensorrt': 'TensorRT'}
_INSTALL = {'torch': 'torch torchvision (together, so that their builds match)',
            'tensorrt': '"tensorrt<11" cuda-python'}


class RuntimeUnavailable(UserError, RuntimeError):
    """The runtime, device or precision asked for cannot be had here; the message says why."""


class Runtime(Protocol):
    """A loaded network on one device.

    Attributes:
        name: runtime, as in ``NAMES``.
        device: what is really used, for example ``cpu`` or ``cuda:0``.
        precision: ``fp32``, ``fp16``, ``bf16`` or ``int8``.
        threads: CPU threads of the network; None where it runs elsewhere.
        metadata: the weights' own.
        file: what is run, the weights or what was exported from them; None for a network that
            came from no file.
    """

    name: str
    device: str
    precision: str
    threads: int | None
    metadata: Metadata
    file: Path | None

    def __call__(self, batch: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Run uint8 (B, H, W, 3) RGB at the input size.

        Returns:
            float32 logits (B, A, C) and deltas (B, A, 4); A and its order are those of
            ``core.anchors.make_anchors``.
        """


def open_runtime(path: Path, name: str, device: str, precision: str,
                 threads: int | None) -> Runtime:
    """Load the weights at ``path`` in the runtime ``name``.

    Args:
        path: .safetensors, or an exported .onnx file, which torch does not run.
        name: ``auto`` takes the fastest one that can be had for the device.
        threads: CPU threads of the network; None leaves the runtime's default.

    Raises:
        ValueError: for a name, device or precision that does not exist.
        RuntimeUnavailable: when it exists but not on this machine.
        WeightsError: when the file is not what its name says.
    """
    for what, value, known in (('runtime', name, NAMES), ('device', device, DEVICES),
                               ('precision', precision, PRECISIONS)):
        if value not in known:
            raise SettingError(f'{what} must be one of {", ".join(known)}, got "{value}".')
    if name != 'auto':
        return _open(name, path, device, precision, threads)
    reasons = []
    for where in _places(device):
        for candidate in _ORDER[where]:
            try:
                return _open(candidate, path, where, precision, threads)
            except RuntimeUnavailable as error:
                reasons.append(f'{candidate}: {str(error).rstrip(".")}')
    raise RuntimeUnavailable(f'No runtime can be used for {path.name} with device "{device}" and '
                             f'precision "{precision}" ({"; ".join(dict.fromkeys(reasons))}).')


def has_cuda() -> bool:
    """Say whether there is a CUDA device, by asking the driver: torch would take seconds."""
    try:
        driver = ctypes.CDLL('libcuda.so.1')
        count = ctypes.c_int(0)
        return driver.cuInit(0) == 0 and driver.cuDeviceGetCount(ctypes.byref(count)) == 0 \
            and count.value > 0
    except OSError:
        return False


def _places(device: str) -> tuple[str, ...]:
    """Return the devices that ``device`` allows, best first."""
    if device != 'auto':
        return (device,)
    return ('cuda', 'cpu') if has_cuda() else ('cpu',)


def _open(name: str, path: Path, device: str, precision: str, threads: int | None) -> Runtime:
    try:
        module = importlib.import_module(f'{__name__}.{name}')
    except ImportError as error:
        missing = getattr(error, 'name', None) or str(error)
        raise RuntimeUnavailable(
            f'The {name} runtime needs the Python module "{missing}"; install it with '
            f'pip install {_INSTALL.get(name, name)}.') from error
    return getattr(module, _CLASSES[name]).load(path, device, precision, threads)
