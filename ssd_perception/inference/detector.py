"""Detector: images in, Detections out; the one object that node and commands share."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from ssd_perception.core.anchors import make_anchors
from ssd_perception.core.detections import Detections
from ssd_perception.core.metadata import Metadata
from ssd_perception.core.placement import Placement
from ssd_perception.core.postprocess import PostprocessSettings, postprocess
from ssd_perception.imaging.placing import check_image, place
from ssd_perception.inference.onnx_file import sha256_of
from ssd_perception.inference.resolve import resolve_weights
from ssd_perception.inference.runtimes import Runtime, open_runtime


class Detector:
    """An SSD detector with its weights, runtime and thresholds.

    Args:
        runtime: the loaded network.
        settings: None takes the weights' own score threshold.
        path: of the weights, for people; None when there is no file.

    Attributes:
        path: as given.
        settings: PostprocessSettings in force. Assign a new one at any time, also from
            another thread: a call in progress keeps the one it began with.
        timings_ms: stage -> milliseconds of the last call: preprocess, network, postprocess.
    """

    def __init__(self, runtime: Runtime, settings: PostprocessSettings | None = None,
                 path: Path | None = None):
        self._runtime = runtime
        self.path = path
        a = self.metadata.architecture
        self._anchors = make_anchors(a.anchors, a.input_hw, a.strides)  # (A, 4)
        self.settings = settings or PostprocessSettings(self.metadata.score_threshold)
        self.timings_ms: dict[str, float] = {}

    @classmethod
    def from_weights(cls, weights: str | os.PathLike = '', runtime: str = 'auto',
                     device: str = 'auto', precision: str = 'auto',
                     score_threshold: float | None = None, threads: int | None = None,
                     **settings: Any) -> Detector:
        """Load weights by path or name.

        Args:
            weights: see ``resolve_weights``; empty means the default, ``rover``.
            runtime: one of ``runtimes.NAMES``; ``auto`` takes the fastest installed one. All
                but torch run NAME.onnx beside the weights, or export it once into a cache.
            device: ``auto`` (CUDA if there is one, else CPU), ``cpu`` or ``cuda``.
            precision: ``auto`` (fp32 on CPU, fp16 on CUDA), ``fp32``, ``fp16``, ``bf16`` or
                ``int8`` (NAME.int8.onnx beside the weights).
            score_threshold: None takes the weights' own measured default.
            threads: CPU threads of the network.
            settings: further fields of PostprocessSettings.

        Raises:
            WeightsNotFound, WeightsError (not a weights file of this package),
            RuntimeUnavailable (for example ``device='cuda'`` without CUDA), ValueError.
        """
        path = resolve_weights(weights)
        detector = cls(open_runtime(path, runtime, device, precision, threads), path=path)
        if score_threshold is not None:
            settings['score_threshold'] = score_threshold
        detector.settings = replace(detector.settings, **settings)
        return detector

    @property
    def metadata(self) -> Metadata:
        """The weights' own description."""
        return self._runtime.metadata

    @property
    def class_names(self) -> tuple[str, ...]:
        """Names that ``Detections.labels`` index into."""
        return self.metadata.class_names

    @property
    def settings(self) -> PostprocessSettings:
        """Thresholds in force."""
        return self._settings

    @settings.setter
    def settings(self, settings: PostprocessSettings) -> None:
        settings.per_class(self.class_names)  # refuses classes that the weights do not have
        self._settings = settings

    @property
    def runtime(self) -> str:
        """Name of the runtime really used."""
        return self._runtime.name

    @property
    def device(self) -> str:
        """Device really used, for example ``cpu`` or ``cuda:0``."""
        return self._runtime.device

    @property
    def precision(self) -> str:
        """Precision really used."""
        return self._runtime.precision

    @property
    def threads(self) -> int | None:
        """CPU threads of the network; None where it runs elsewhere."""
        return self._runtime.threads

    @property
    def weights_hash(self) -> str:
        """SHA-256 of the weights file, hexadecimal; empty when there is no file."""
        return sha256_of(self.path) if self.path else ''

    @property
    def network_hash(self) -> str:
        """SHA-256 of the file that is run, hexadecimal: ``weights_hash``, or the exported file's.

        One weights file may have been quantised twice, with other answers. Empty when there is no
        file.
        """
        file = self._runtime.file
        return sha256_of(file) if file else ''

    def describe(self) -> str:
        """Return one line for a log: weights, classes, runtime, device, precision, input."""
        height, width = self.metadata.architecture.input_hw
        return (f'{self.path.name if self.path else "weights"} ({", ".join(self.class_names)}; '
                f'{self.metadata.architecture.backbone} at {width}x{height}) in {self.runtime} '
                f'on {self.device}, {self.precision}')

    def seen(self, height: int, width: int) -> tuple[int, int]:
        """Return to what height and width, px, a picture is resized for the network."""
        placement = Placement.of((height, width), self.metadata.architecture.input_hw,
                                 self.metadata.preprocessing.resize)
        return placement.height, placement.width

    def warm_up(self, batch_size: int = 1) -> None:
        """Run once on grey images, so that the first camera frame is not the slow one."""
        height, width = self.metadata.architecture.input_hw
        self([np.full((height, width, 3), 127, np.uint8)] * batch_size)

    def __call__(self, images: Sequence[np.ndarray]) -> list[Detections]:
        """Detect in a batch of images.

        Args:
            images: uint8 (H, W, 3) RGB each, of any and of differing sizes; may be empty.

        Returns:
            One Detections per image, in that image's own pixels.

        Raises:
            ValueError: naming the shape and type of what is not such an image.
        """
        settings = self.settings
        if len(images) == 0:
            return []
        start = time.perf_counter()
        for image in images:
            check_image(image)
        batch = np.empty((len(images), *self.metadata.architecture.input_hw, 3), np.uint8)
        placements = [place(image, canvas, self.metadata.preprocessing)
                      for image, canvas in zip(images, batch)]
        placed = time.perf_counter()
        logits, deltas = self._runtime(batch)  # (B, A, C), (B, A, 4)
        ran = time.perf_counter()
        found = [postprocess(logits[i], deltas[i], self._anchors,
                             self.metadata.architecture.box_coder, settings, self.class_names,
                             placements[i]) for i in range(len(images))]
        self.timings_ms = {'preprocess': (placed - start) * 1e3, 'network': (ran - placed) * 1e3,
                           'postprocess': (time.perf_counter() - ran) * 1e3}
        return found
