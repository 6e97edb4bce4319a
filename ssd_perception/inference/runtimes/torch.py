"""The torch runtime: the trained network itself, on CPU or CUDA."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from ssd_perception.core.metadata import Metadata
from ssd_perception.inference.exported import is_exported
from ssd_perception.inference.runtimes import RuntimeUnavailable
from ssd_perception.model.fold import PixelNetwork
from ssd_perception.model.published import PublishedSSD
from ssd_perception.model.ssd import SSD
from ssd_perception.model.weights import load_model

_DTYPES = {'fp32': torch.float32, 'fp16': torch.float16, 'bf16': torch.bfloat16}


class TorchRuntime:
    """See ``inference.runtimes.Runtime``."""

    name = 'torch'

    def __init__(self, model: SSD | PublishedSSD, metadata: Metadata, device: str = 'auto',
                 precision: str = 'auto', graphs: bool = False):
        """Take a copy of ``model``: training continues to change the original.

        Args:
            graphs: record CUDA graphs, one for each batch size, when it first occurs.
        """
        self.device = choose_device(device)
        if precision == 'auto':
            precision = 'fp32' if self.device == 'cpu' else 'fp16'
        _check(precision, self.device)
        self.precision, self.metadata = precision, metadata
        self.file: Path | None = None
        self.threads = torch.get_num_threads() if self.device == 'cpu' else None
        network = PixelNetwork(model, metadata.preprocessing).eval()
        self._network = network.to(self.device).to(memory_format=torch.channels_last)
        self._graphs: dict[int, _CudaGraph] | None = (
            {} if graphs and self.device != 'cpu' else None)

    @classmethod
    def load(cls, path: Path, device: str, precision: str, threads: int | None) -> TorchRuntime:
        """Open a weights file; see ``open_runtime``."""
        _check(precision, choose_device(device))  # refuses before the file is read
        if is_exported(path):
            raise RuntimeUnavailable(f'torch runs .safetensors files, and {path.name} is an '
                                     'exported one: use the runtime onnxruntime or openvino.')
        if threads:
            torch.set_num_threads(threads)
        runtime = cls(*load_model(path), device, precision, graphs=True)
        runtime.file = path
        return runtime

    @torch.inference_mode()
    def __call__(self, batch: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Run (B, H, W, 3) RGB in the metadata's pixel type; see ``Runtime``."""
        pixels = torch.from_numpy(batch)
        if self._graphs is None:
            outputs = self._run(pixels.to(self.device))
        else:
            if len(batch) not in self._graphs:
                self._graphs[len(batch)] = _CudaGraph(self._run, pixels.to(self.device))
            outputs = self._graphs[len(batch)](pixels)
        logits, deltas = (output.cpu().numpy() for output in outputs)
        return logits, deltas

    def _run(self, pixels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        with torch.autocast(torch.device(self.device).type, _DTYPES[self.precision],
                            enabled=self.precision != 'fp32'):
            logits, deltas = self._network(pixels)
        return logits.float(), deltas.float()


class _CudaGraph:
    """A CUDA graph for one batch size: 200 single launches take longer than the operators.

    Not tested: no machine with a GPU was at hand.
    """

    def __init__(self, run: Callable[[torch.Tensor], tuple[torch.Tensor, torch.Tensor]],
                 pixels: torch.Tensor):
        self._pixels = pixels.clone()
        stream = torch.cuda.Stream()
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):  # recording must not see the libraries' first-use work
            for _ in range(3):
                run(self._pixels)
        torch.cuda.current_stream().wait_stream(stream)
        self._graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(self._graph):
            self._outputs = run(self._pixels)

    def __call__(self, pixels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        self._pixels.copy_(pixels)
        self._graph.replay()
        return self._outputs


def _check(precision: str, device: str) -> None:
    if precision == 'fp16' and device == 'cpu':
        raise RuntimeUnavailable('precision fp16 needs a CUDA device; on the CPU use fp32 '
                                 'or bf16.')
    if precision == 'int8':
        raise RuntimeUnavailable('torch does not run int8 here; use the runtime openvino or '
                                 'onnxruntime.')


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
