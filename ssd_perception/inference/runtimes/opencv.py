"""The OpenCV runtime: an exported file in OpenCV's own dnn module, on the CPU."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import cv2
import numpy as np

from ssd_perception.core.metadata import WeightsError
from ssd_perception.inference.exported import check_outputs, find_export, grey_images
from ssd_perception.inference.older_onnx import older_form
from ssd_perception.inference.onnx_file import ExportedFile
from ssd_perception.inference.runtimes import RuntimeUnavailable

_OUTPUTS = ('logits', 'deltas')
# OpenCV 4.7 to 4.14 computes depthwise 3x3 convolutions wrongly where the map has one row or one
# column, without an error; 4.6 and 5.0 are right. Of our networks one has such a layer.
_WRONG_IN, _WRONG_FROM, _WRONG_BEFORE = 'ssdlite320_mobilenet_v3_large', (4, 7), (5, 0)


class OpenCV:
    """See ``inference.runtimes.Runtime``.

    ``threads`` is a setting of the whole process in OpenCV: decoding and resizing follow it.
    """

    name = 'opencv'
    device = 'cpu'
    precision = 'fp32'

    def __init__(self, exported: ExportedFile, threads: int | None = None):
        self.metadata, self.file = exported.metadata, exported.path
        self.threads = threads or len(os.sched_getaffinity(0))
        self._lock = threading.Lock()
        try:
            cv2.setNumThreads(self.threads)
            model = np.frombuffer(older_form(exported.path), np.uint8)
            self._network = cv2.dnn.readNetFromONNX(model)
            # A build with OpenVINO or CUDA in it would take those, with other answers.
            self._network.setPreferableBackend(cv2.dnn.DNN_BACKEND_OPENCV)
            check_outputs(exported, *self(grey_images(exported.metadata)))
        except (cv2.error, ValueError) as error:
            if isinstance(error, WeightsError):
                raise
            raise WeightsError(f'{exported.path} cannot be run by OpenCV {cv2.__version__}: '
                               f'{" ".join(str(error).split())[-300:]}') from error

    @classmethod
    def load(cls, path: Path, device: str, precision: str, threads: int | None) -> OpenCV:
        """Open weights or an exported file; see ``open_runtime``."""
        if not hasattr(cv2, 'dnn'):
            raise RuntimeUnavailable(f'this build of OpenCV {cv2.__version__} has no dnn module.')
        if device == 'cuda':
            raise RuntimeUnavailable('OpenCV runs on the CPU here; use device "cpu".')
        if precision not in ('auto', 'fp32'):
            raise RuntimeUnavailable(f'OpenCV runs exported files in fp32 here, not {precision}.')
        exported = find_export(path, precision)
        if exported.info.precision != 'fp32':
            raise RuntimeUnavailable(f'OpenCV runs exported files in fp32 here, and {path.name} '
                                     f'is in {exported.info.precision}.')
        release = tuple(int(part) for part in cv2.__version__.split('.')[:2])
        if getattr(exported.metadata.architecture, 'network', '') == _WRONG_IN \
                and _WRONG_FROM <= release < _WRONG_BEFORE:
            raise RuntimeUnavailable(
                f'OpenCV {cv2.__version__} computes {_WRONG_IN} wrongly; 4.6 and 5.0 do not: use '
                'another release, or the runtime onnxruntime or openvino.')
        return cls(exported, threads)

    def __call__(self, batch: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Run (B, H, W, 3) RGB in the metadata's pixel type; see ``Runtime``."""
        with self._lock:  # a network serves one call at a time
            found = [self._run(batch[i:i + 1]) for i in range(len(batch))]
        logits, deltas = (np.concatenate(arrays) for arrays in zip(*found))
        return logits, deltas

    def _run(self, image: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        # One by one: old releases do not change the batch size of a network.
        self._network.setInput(image, 'images')
        logits, deltas = self._network.forward(_OUTPUTS)
        return logits, deltas
