"""The ONNX Runtime runtime: an exported file on the CPU, or on CUDA where its build has that."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import onnxruntime as ort

from ssd_perception.core.metadata import WeightsError
from ssd_perception.inference.exported import check_outputs, find_export, grey_images
from ssd_perception.inference.onnx_file import ExportedFile
from ssd_perception.inference.runtimes import RuntimeUnavailable

_CUDA = 'CUDAExecutionProvider'


def session_options(threads: int) -> ort.SessionOptions:
    """Return the options to open a network with; the benchmark uses them for others, too."""
    options = ort.SessionOptions()
    options.log_severity_level = 3  # errors: hints about single operators are not for users
    options.intra_op_num_threads = threads
    # Waiting threads sleep instead of turning in a loop: camera, DDS and navigation share
    # the processor, and a loop that waits for a thread without a core holds up all.
    options.add_session_config_entry('session.intra_op.allow_spinning', '0')
    return options


class OnnxRuntime:
    """See ``inference.runtimes.Runtime``."""

    name = 'onnxruntime'

    def __init__(self, exported: ExportedFile, cuda: bool = False, threads: int | None = None):
        self.metadata, self.precision = exported.metadata, exported.info.precision
        self.file = exported.path
        self.device = 'cuda:0' if cuda else 'cpu'
        cores = len(os.sched_getaffinity(0))
        self.threads = None if cuda else threads or cores
        options = session_options(threads or cores)
        providers = [_CUDA, 'CPUExecutionProvider'] if cuda else ['CPUExecutionProvider']
        try:
            self._session = ort.InferenceSession(str(exported.path), options, providers=providers)
            check_outputs(exported.path, self.metadata, 1, self(grey_images(self.metadata)))
        except WeightsError:
            raise
        except Exception as error:  # its exceptions have no common class of their own
            raise WeightsError(f'{exported.path} cannot be run by ONNX Runtime '
                               f'{ort.__version__}: {_first_line(error)}') from error
        if cuda and _CUDA not in self._session.get_providers():
            raise RuntimeUnavailable('ONNX Runtime could not start its CUDA provider; it says '
                                     'why on stderr.')

    @classmethod
    def load(cls, path: Path, device: str, precision: str, threads: int | None) -> OnnxRuntime:
        """Open weights or an exported file; see ``open_runtime``."""
        cuda = device == 'cuda' or (device == 'auto' and _CUDA in ort.get_available_providers())
        if cuda and _CUDA not in ort.get_available_providers():
            raise RuntimeUnavailable(
                f'device "{device}" was asked for, but this build of ONNX Runtime is for '
                f'{", ".join(ort.get_available_providers())}; pip install onnxruntime-gpu.')
        if precision in ('fp16', 'bf16'):
            raise RuntimeUnavailable(f'ONNX Runtime runs exported files in fp32 or int8, not '
                                     f'{precision}.')
        return cls(find_export(path, precision), cuda, threads)

    def __call__(self, batch: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Run (B, H, W, 3) RGB in the metadata's pixel type; see ``Runtime``."""
        logits, deltas = self._session.run(('logits', 'deltas'), {'images': batch})
        return logits, deltas


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:300]
