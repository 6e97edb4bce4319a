"""The OpenVINO runtime: an exported file on the CPU, compiled for each batch size once."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import numpy as np

from ssd_perception.core.metadata import WeightsError
from ssd_perception.inference.exported import check_outputs, find_export, grey_images
from ssd_perception.inference.onnx_file import ExportedFile
from ssd_perception.inference.runtimes import RuntimeUnavailable
from ssd_perception.inference.runtimes.quiet_openvino import ov


def cpu_settings(threads: int) -> dict[str, str | int | bool]:
    """Return the settings to compile a network with; the benchmark uses them for others, too."""
    return {
        'PERFORMANCE_HINT': 'LATENCY',
        'NUM_STREAMS': 1,
        'INFERENCE_NUM_THREADS': threads,
        # Left alone it takes bf16 where the processor has it, and scores would differ.
        'INFERENCE_PRECISION_HINT': 'f32',
        # Bound to cores, two processes on one robot would choose the same ones.
        'ENABLE_CPU_PINNING': False,
    }


class OpenVino:
    """See ``inference.runtimes.Runtime``."""

    name = 'openvino'
    device = 'cpu'

    def __init__(self, exported: ExportedFile, threads: int | None = None):
        self.metadata, self.precision = exported.metadata, exported.info.precision
        self.file = exported.path
        self.threads = threads or len(os.sched_getaffinity(0))
        self._settings = cpu_settings(self.threads)
        self._core, self._lock = ov.Core(), threading.Lock()
        self._requests: dict[int, ov.InferRequest] = {}  # by batch size
        try:
            self._model = self._core.read_model(exported.path)
            check_outputs(exported, *self(grey_images(exported.metadata)))
        except WeightsError:
            raise
        except Exception as error:  # its exceptions are RuntimeError and others
            text = ' '.join(str(error).split())[-300:]
            raise WeightsError(f'{exported.path} cannot be run by OpenVINO {ov.__version__}: '
                               f'{text or type(error).__name__}') from error

    @classmethod
    def load(cls, path: Path, device: str, precision: str, threads: int | None) -> OpenVino:
        """Open weights or an exported file; see ``open_runtime``."""
        if device == 'cuda':
            raise RuntimeUnavailable('OpenVINO has no CUDA devices; use device "cpu".')
        if precision in ('fp16', 'bf16'):
            raise RuntimeUnavailable(f'OpenVINO runs exported files in fp32 or int8 here, not '
                                     f'{precision}.')
        return cls(find_export(path, precision), threads)

    def __call__(self, batch: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Run uint8 (B, H, W, 3) RGB; see ``Runtime``."""
        with self._lock:  # a request serves one call at a time
            request = self._requests.get(len(batch)) or self._compile(batch.shape)
            request.infer([batch], share_inputs=True)
            return tuple(request.get_tensor(name).data.copy() for name in ('logits', 'deltas'))

    def _compile(self, shape: tuple[int, ...]) -> ov.InferRequest:
        """Make a request for one batch size: a network of fixed shape is a tenth faster."""
        model = self._model.clone()
        model.reshape(list(shape))
        compiled = self._core.compile_model(model, 'CPU', self._settings)
        request = self._requests[shape[0]] = compiled.create_infer_request()
        return request
