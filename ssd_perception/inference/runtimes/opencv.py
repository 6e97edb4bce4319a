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
# column, 4.7 also where it has two: without an error, from memory that it has not written. 4.6
# and 5.0 are right. Release -> the least rows and columns that are right from it on.
_RIGHT_FROM = {(4, 7): 3, (4, 8): 2, (5, 0): 1}
_WITHOUT_DEPTHWISE = 'vgg16'  # of the backbones


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
            check_outputs(exported.path, self.metadata, 1, self(grey_images(self.metadata)))
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
        _check_release(exported)
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


def _check_release(exported: ExportedFile) -> None:
    """Raise RuntimeUnavailable where this release computes the network wrongly."""
    release = tuple(int(part) for part in cv2.__version__.split('.')[:2])
    right = next((least for since, least in reversed(_RIGHT_FROM.items()) if release >= since), 1)
    architecture = exported.metadata.architecture
    least = architecture.least_map
    if least < right and architecture.backbone != _WITHOUT_DEPTHWISE:
        raise RuntimeUnavailable(
            f'OpenCV {cv2.__version__} computes {exported.path.name} wrongly, because its coarsest'
            f' map has {least} rows or columns; 4.6 and 5.0 do not: use another release, or the '
            'runtime onnxruntime or openvino.')
