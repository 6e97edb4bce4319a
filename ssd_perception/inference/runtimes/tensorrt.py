"""The TensorRT runtime: engines built from exported files. UNTESTED: no GPU was at hand."""

from __future__ import annotations

import logging
import re
from pathlib import Path
from typing import Any

import numpy as np
import tensorrt as trt
from cuda.bindings import runtime as cuda

from ssd_perception.core.metadata import WeightsError
from ssd_perception.core.text import printable
from ssd_perception.inference.exported import (
    cache_folder,
    check_outputs,
    find_export,
    grey_images,
    is_exported,
    keep_in_cache,
)
from ssd_perception.inference.onnx_file import ExportedFile, read_export, sha256_of
from ssd_perception.inference.runtimes import RuntimeUnavailable, has_cuda

MAX_BATCH = 8  # cameras served at once by one engine
_FLAGS = {'fp32': (), 'fp16': ('FP16',), 'int8': ('INT8', 'FP16')}
_OUTPUTS = ('logits', 'deltas')

_log = logging.getLogger(__name__)


class TensorRT:
    """See ``inference.runtimes.Runtime``. Written against TensorRT 10.

    An engine is native code for one GPU and one version of TensorRT: it is made here and kept
    in the cache, never taken from anywhere else.
    """

    name = 'tensorrt'
    device = 'cuda:0'
    threads = None

    def __init__(self, exported: ExportedFile, precision: str):
        self.metadata, self.precision = exported.metadata, precision
        self.file = exported.path
        logger = trt.Logger(trt.Logger.WARNING)
        engine = trt.Runtime(logger).deserialize_cuda_engine(_engine(exported, precision, logger))
        if engine is None:
            raise RuntimeUnavailable('TensorRT cannot load the engine it built; it says why on '
                                     f'stderr. Empty {cache_folder()} and try again.')
        self._engine, self._context = engine, engine.create_execution_context()
        self._stream = _checked(cuda.cudaStreamCreate())
        self._buffers: dict[str, int] = {}
        for name in ('images', *_OUTPUTS):
            dtype = np.dtype(trt.nptype(engine.get_tensor_dtype(name)))
            per_image = int(np.prod(engine.get_tensor_shape(name)[1:])) * dtype.itemsize
            self._buffers[name] = _checked(cuda.cudaMalloc(MAX_BATCH * per_image))
            self._context.set_tensor_address(name, self._buffers[name])
        check_outputs(exported.path, self.metadata, 1, self(grey_images(self.metadata)))

    @classmethod
    def load(cls, path: Path, device: str, precision: str, threads: int | None) -> TensorRT:
        """Open weights or an exported file; see ``open_runtime``."""
        if device == 'cpu' or not has_cuda():
            raise RuntimeUnavailable(f'TensorRT needs a CUDA device, and device "{device}" has '
                                     'none here; use openvino or onnxruntime.')
        if precision == 'auto':
            holds_int8 = is_exported(path) and read_export(path).info.precision == 'int8'
            precision = 'int8' if holds_int8 else 'fp16'
        if precision not in _FLAGS:
            raise RuntimeUnavailable(f'TensorRT runs in {", ".join(_FLAGS)} here, not '
                                     f'{precision}.')
        missing = [flag for flag in _FLAGS[precision] if not hasattr(trt.BuilderFlag, flag)]
        if missing:
            raise RuntimeUnavailable(f'TensorRT {trt.__version__} no longer chooses {precision} '
                                     'by itself; install tensorrt below version 11.')
        return cls(find_export(path, 'int8' if precision == 'int8' else 'fp32'), precision)

    def __call__(self, batch: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Run (B, H, W, 3) RGB in the metadata's pixel type; see ``Runtime``."""
        parts = [self._run(np.ascontiguousarray(batch[i:i + MAX_BATCH]))
                 for i in range(0, len(batch), MAX_BATCH)]
        logits, deltas = (np.concatenate(part) for part in zip(*parts))
        return logits, deltas

    def _run(self, batch: np.ndarray) -> list[np.ndarray]:
        self._context.set_input_shape('images', batch.shape)
        _checked(cuda.cudaMemcpyAsync(
            self._buffers['images'], batch.ctypes.data, batch.nbytes,
            cuda.cudaMemcpyKind.cudaMemcpyHostToDevice, self._stream))
        if not self._context.execute_async_v3(self._stream):
            raise RuntimeError('TensorRT could not run the network; it says why on stderr.')
        outputs = []
        for name in _OUTPUTS:
            output = np.empty(tuple(self._context.get_tensor_shape(name)), np.float32)
            _checked(cuda.cudaMemcpyAsync(
                output.ctypes.data, self._buffers[name], output.nbytes,
                cuda.cudaMemcpyKind.cudaMemcpyDeviceToHost, self._stream))
            outputs.append(output)
        _checked(cuda.cudaStreamSynchronize(self._stream))
        return outputs


def _engine(exported: ExportedFile, precision: str, logger: trt.Logger) -> bytes:
    """Return a serialised engine: from the cache, or built, which takes minutes."""
    gpu = _checked(cuda.cudaGetDeviceProperties(0)).name.split(b'\0')[0].decode()
    name = re.sub(r'[^\w.-]+', '_', f'{exported.path.stem}-{sha256_of(exported.path)[:32]}-{gpu}-'
                                    f'trt{trt.__version__}-{precision}.engine')
    path = cache_folder() / name
    if path.is_file():
        return path.read_bytes()
    _log.warning('Building a TensorRT engine once, to %s; this takes minutes.',
                 printable(path))
    builder = trt.Builder(logger)
    network, config = builder.create_network(0), builder.create_builder_config()
    parser = trt.OnnxParser(network, logger)
    if not parser.parse(exported.path.read_bytes()):
        raise WeightsError(f'{exported.path} cannot be read by TensorRT {trt.__version__}: '
                           f'{parser.get_error(0).desc()}')
    for flag in _FLAGS[precision]:
        config.set_flag(getattr(trt.BuilderFlag, flag))
    height, width = exported.metadata.architecture.input_hw
    profile = builder.create_optimization_profile()
    profile.set_shape('images', *((size, height, width, 3) for size in (1, 1, MAX_BATCH)))
    config.add_optimization_profile(profile)
    engine = builder.build_serialized_network(network, config)
    if engine is None:
        raise RuntimeUnavailable(f'TensorRT could not build an engine in {precision}; it says '
                                 'why on stderr.')
    return keep_in_cache(path, engine).read_bytes()


def _checked(result: tuple) -> Any:
    """Return what a CUDA call gives beside its status, or raise."""
    status, *values = result
    if status != cuda.cudaError_t.cudaSuccess:
        raise RuntimeUnavailable(f'CUDA reports {status.name}.')
    return values[0] if values else None
