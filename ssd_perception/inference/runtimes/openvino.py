"""The OpenVINO runtime: an exported file on the CPU, compiled for each batch size once.

Compiling takes most of a start; compiled networks are therefore kept in the cache folder, with a
checksum: OpenVINO's own cache does not notice a damaged file, and detects something else.
"""

from __future__ import annotations

import hashlib
import os
import threading
from pathlib import Path

import numpy as np

from ssd_perception.core.metadata import WeightsError
from ssd_perception.core.safe_path import read_file
from ssd_perception.inference.exported import (
    MAX_CACHE_BYTES,
    cache_folder,
    check_outputs,
    find_export,
    grey_images,
    keep_in_cache,
)
from ssd_perception.inference.onnx_file import ExportedFile, sha256_of
from ssd_perception.inference.runtimes import Call, RuntimeUnavailable
from ssd_perception.inference.runtimes.quiet_openvino import ov

# What the processor can do decides how a network is compiled.
_PROCESSOR = ('FULL_DEVICE_NAME', 'DEVICE_ARCHITECTURE', 'OPTIMIZATION_CAPABILITIES')
_CHECKSUM_BYTES = hashlib.sha256().digest_size


def cpu_settings(threads: int, precision: str = 'fp32',
                 concurrency: int = 1) -> dict[str, str | int | bool]:
    """Return the settings to compile a network with; the benchmark uses them for others, too.

    Args:
        threads: of the network, all batches that run at once together.
        precision: ``bf16``, or another, with which everything that is not int8 is fp32.
        concurrency: how many batches run at once.
    """
    return {
        'PERFORMANCE_HINT': 'LATENCY',
        'NUM_STREAMS': concurrency,
        'INFERENCE_NUM_THREADS': max(threads, concurrency),
        # Left alone it takes bf16 where the processor has it, and scores would differ.
        'INFERENCE_PRECISION_HINT': 'bf16' if precision == 'bf16' else 'f32',
        # Bound to cores, two processes on one robot would choose the same ones.
        'ENABLE_CPU_PINNING': False,
    }


class OpenVino:
    """See ``inference.runtimes.Runtime``."""

    name = 'openvino'
    device = 'cpu'

    def __init__(self, exported: ExportedFile, threads: int | None = None,
                 bf16: bool = False, concurrency: int = 1):
        self.metadata = exported.metadata
        self.precision = 'bf16' if bf16 else exported.info.precision
        self.file = exported.path
        self.threads = threads or len(os.sched_getaffinity(0))
        self.concurrency = concurrency
        self._settings = cpu_settings(self.threads, self.precision, concurrency)
        self._core, self._lock = ov.Core(), threading.Lock()
        self._networks: dict[int, ov.CompiledModel] = {}  # by batch size
        self._free: dict[int, list[_Request]] = {}  # those that run nothing at present
        self._model: ov.Model | None = None  # read where it must be compiled
        self._digest = sha256_of(exported.path)
        try:
            check_outputs(exported.path, self.metadata, 1, self(grey_images(self.metadata)))
        except WeightsError:
            raise
        except Exception as error:  # its exceptions are RuntimeError and others
            text = ' '.join(str(error).split())[-300:]
            raise WeightsError(f'{exported.path} cannot be run by OpenVINO {ov.__version__}: '
                               f'{text or type(error).__name__}') from error

    @classmethod
    def load(cls, path: Path, device: str, precision: str, threads: int | None,
             concurrency: int = 1) -> OpenVino:
        """Open weights or an exported file; see ``open_runtime``."""
        if device == 'cuda':
            raise RuntimeUnavailable('OpenVINO has no CUDA devices; use device "cpu".')
        if precision == 'fp16':
            raise RuntimeUnavailable('OpenVINO runs exported files in fp32, bf16 or int8 here, '
                                     'not fp16.')
        bf16 = precision == 'bf16'
        if bf16 and 'BF16' not in ov.Core().get_property('CPU', 'OPTIMIZATION_CAPABILITIES'):
            raise RuntimeUnavailable('this processor does not compute in bf16 (AVX512_BF16 or '
                                     'AMX): use precision "fp32" or "int8".')
        return cls(find_export(path, 'fp32' if bf16 else precision), threads, bf16, concurrency)

    def __call__(self, batch: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Run (B, H, W, 3) RGB in the metadata's pixel type; see ``Runtime``."""
        return self.begin(batch).result()

    def begin(self, batch: np.ndarray) -> Call[tuple[np.ndarray, np.ndarray]]:
        """Start to run a batch as ``__call__`` does; see ``Runtime``."""
        with self._lock:  # a request runs one batch at a time
            network = self._networks.get(len(batch)) or self._compile(batch.shape)
            free = self._free[len(batch)]
            request = free.pop() if free else _Request(network)
        request.start(batch)

        def result() -> tuple[np.ndarray, np.ndarray]:
            outputs = request.wait()
            free.append(request)
            return outputs
        return Call(request.ended, result)

    def _compile(self, shape: tuple[int, ...]) -> ov.CompiledModel:
        """Compile for one batch size: a network of fixed shape is a tenth faster."""
        path = self._cached(shape)
        compiled = self._kept(path)
        if compiled is None:
            if self._model is None:
                self._model = self._core.read_model(self.file)
                if sha256_of(self.file) != self._digest:
                    raise WeightsError(f'{self.file} was replaced while it was in use; load it '
                                       'again.')
            model = self._model.clone()
            model.reshape(list(shape))
            compiled = self._core.compile_model(model, 'CPU', self._settings)
            _keep(path, compiled)
        self._free[shape[0]] = []
        self._networks[shape[0]] = compiled
        return compiled

    def _cached(self, shape: tuple[int, ...]) -> Path | None:
        """Return where the compiled network is kept; None where there is no cache folder."""
        processor = [str(self._core.get_property('CPU', name)) for name in _PROCESSOR]
        parts = [self._digest, ov.__version__, shape, sorted(self._settings.items()), processor]
        key = hashlib.sha256(repr(parts).encode()).hexdigest()
        try:
            return cache_folder() / f'openvino-{key[:32]}.blob'
        except RuntimeUnavailable:
            return None

    def _kept(self, path: Path | None) -> ov.CompiledModel | None:
        """Return the compiled network that an earlier start kept; None where there is none."""
        try:
            data = b'' if path is None else read_file(path, MAX_CACHE_BYTES)
        except OSError:
            return None
        if hashlib.sha256(data[_CHECKSUM_BYTES:]).digest() != data[:_CHECKSUM_BYTES]:
            return None
        try:
            return self._core.import_model(data[_CHECKSUM_BYTES:], 'CPU', self._settings)
        except RuntimeError:  # of a build that names itself alike
            return None


class _Request:
    """Room for the input and the outputs of one batch at a time.

    Its arrays are views of OpenVINO's: looking them up by name, and handing over an array, took
    0.18 ms of a call.
    """

    def __init__(self, network: ov.CompiledModel):
        self._request = network.create_infer_request()
        self._images = self._request.get_input_tensor(0).data
        self._outputs = [self._request.get_tensor(name).data for name in ('logits', 'deltas')]

    def start(self, batch: np.ndarray) -> None:
        """Start to run (B, H, W, 3)."""
        self._images[:] = batch
        self._request.start_async()

    def ended(self, within_s: float) -> bool:
        """Wait so many seconds at most; return whether it has run, or failed."""
        try:
            return self._request.wait_for(round(within_s * 1e3))
        except RuntimeError:  # the network's, which ``wait`` raises as well
            return True

    def wait(self) -> tuple[np.ndarray, np.ndarray]:
        """Wait for the end; return copies of logits (B, A, columns) and deltas (B, A, 4)."""
        self._request.wait()
        logits, deltas = self._outputs
        return logits.copy(), deltas.copy()


def _keep(path: Path | None, compiled: ov.CompiledModel) -> None:
    """Keep a compiled network for the next start; without a folder that is slower, no error."""
    if path is None:
        return
    try:
        data = compiled.export_model().getvalue()
        keep_in_cache(path, hashlib.sha256(data).digest() + data)
    except (OSError, RuntimeError):
        pass
