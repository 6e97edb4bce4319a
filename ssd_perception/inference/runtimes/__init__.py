"""One module per runtime, imported only when it is chosen; ``open_runtime`` chooses."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

import numpy as np

from ssd_perception.core.metadata import Metadata

NAMES = ('auto', 'torch')
DEVICES = ('auto', 'cpu', 'cuda')
PRECISIONS = ('auto', 'fp32', 'fp16', 'bf16')


class RuntimeUnavailable(RuntimeError):
    """The runtime, device or precision asked for cannot be had here; the message says why."""


class Runtime(Protocol):
    """A loaded network on one device.

    Attributes:
        name: runtime, as in ``NAMES``.
        device: what is really used, for example ``cpu`` or ``cuda:0``.
        precision: ``fp32``, ``fp16`` or ``bf16``.
        metadata: the weights' own.
    """

    name: str
    device: str
    precision: str
    metadata: Metadata

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
        threads: CPU threads of the network; None leaves the runtime's default.

    Raises:
        ValueError: for a name, device or precision that does not exist.
        RuntimeUnavailable: when it exists but not on this machine.
    """
    for what, value, known in (('runtime', name, NAMES), ('device', device, DEVICES),
                               ('precision', precision, PRECISIONS)):
        if value not in known:
            raise ValueError(f'{what} must be one of {", ".join(known)}, got "{value}".')
    try:
        from ssd_perception.inference.runtimes.torch import TorchRuntime
    except ModuleNotFoundError as error:
        raise RuntimeUnavailable(
            f'The torch runtime needs the Python module "{error.name}"; install it with '
            'pip install torch torchvision (together, so that their builds match).') from error
    return TorchRuntime.load(path, device, precision, threads)
