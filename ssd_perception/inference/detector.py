"""Detector: images in, Detections out; the one object that node and commands share."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, overload

import numpy as np

from ssd_perception.core.detections import Detections
from ssd_perception.core.metadata import Metadata
from ssd_perception.core.placement import Placement
from ssd_perception.core.postprocess import PostprocessSettings, postprocess
from ssd_perception.core.text import listed, printable
from ssd_perception.imaging.placing import check_image, empty_batch, place
from ssd_perception.inference.exported import check_outputs, is_exported
from ssd_perception.inference.onnx_file import sha256_of
from ssd_perception.inference.resolve import resolve_weights
from ssd_perception.inference.runtimes import Call, Result, Runtime, open_runtime
from ssd_perception.inference.weights_file import read_metadata


@dataclass(frozen=True)
class Timings:
    """Milliseconds that one call spent in each stage."""

    preprocess: float = 0.0
    network: float = 0.0
    postprocess: float = 0.0


@dataclass(frozen=True)
class DetectionResult:
    """What ``Detector.detect`` returns.

    Attributes:
        detections: one Detections per image, in that image's own pixels.
        timings: of this call, for all its images together.
    """

    detections: list[Detections]
    timings: Timings


class Detector:
    """An SSD detector: weights loaded in a runtime, and default thresholds.

    It never changes, so threads may share one as far as its runtime allows.

    Args:
        weights: path or name, see ``resolve_weights``; empty means the default, ``rover``.
        runtime: one of ``runtimes.NAMES``; ``auto`` takes the fastest installed one. All
            but torch run NAME.onnx beside the weights, or export it once into a cache.
        device: ``auto`` (CUDA if there is one, else CPU), ``cpu`` or ``cuda``.
        precision: ``auto`` (fp32 on CPU, fp16 on CUDA), ``fp32``, ``fp16``, ``bf16`` or
            ``int8`` (NAME.int8.onnx beside the weights).
        score_threshold: None takes the default that was measured for the weights.
        threads: CPU threads of the network.
        concurrency: how many calls of ``begin`` are to run at once, where the runtime can; they
            share ``threads``.
        settings: further fields of PostprocessSettings.

    Attributes:
        path: of the weights; None for a network that came from no file.
        settings: PostprocessSettings of calls that give none.

    Raises:
        WeightsNotFound, WeightsError (not a weights file of this package),
        RuntimeUnavailable (for example ``device='cuda'`` without CUDA), SettingError.
    """

    path: Path | None
    settings: PostprocessSettings

    def __init__(self, weights: str | os.PathLike = '', runtime: str = 'auto',
                 device: str = 'auto', precision: str = 'auto',
                 score_threshold: float | None = None, threads: int | None = None,
                 concurrency: int = 1,
                 **settings: Any):
        path = resolve_weights(weights)
        if not is_exported(path):  # the runtimes check exported files
            read_metadata(path)  # before its hash is taken, or torch is imported
        network = open_runtime(path, runtime, device, precision, threads, concurrency)
        if score_threshold is None:
            score_threshold = network.metadata.score_threshold
        self._set(network, PostprocessSettings(score_threshold, **settings), path)

    @classmethod
    def from_weights(cls, *arguments: Any, **options: Any) -> Detector:
        """Load weights by path or name; the same as calling the class."""
        return cls(*arguments, **options)

    @classmethod
    def from_runtime(cls, runtime: Runtime) -> Detector:
        """Return a Detector around a network that is loaded already, at its own threshold."""
        detector = cls.__new__(cls)
        detector._set(runtime, PostprocessSettings(runtime.metadata.score_threshold), None)
        return detector

    def _set(self, runtime: Runtime, settings: PostprocessSettings, path: Path | None) -> None:
        self._runtime, self.path = runtime, path
        self._anchors = self.metadata.architecture.make_anchors()  # (A, 4)
        settings.per_class(self.class_names)  # refuses classes that the weights do not have
        self.settings = settings

    @property
    def metadata(self) -> Metadata:
        """The weights' own description."""
        return self._runtime.metadata

    @property
    def class_names(self) -> tuple[str, ...]:
        """Names that ``Detections.labels`` index into."""
        return self.metadata.class_names

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
    def concurrency(self) -> int:
        """How many calls of ``begin`` really run at once; 1 where a batch is as good."""
        return getattr(self._runtime, 'concurrency', 1)

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
        name = printable(self.path.name) if self.path else 'weights'
        return (f'{name} ({listed(self.class_names, 5)}; {self.metadata.architecture.backbone} at '
                f'{width}x{height}) in {self.runtime} on {self.device}, {self.precision}')

    def seen(self, height: int, width: int) -> tuple[int, int]:
        """Return to what height and width, px, an image is resized for the network."""
        placement = Placement.of((height, width), self.metadata.architecture.input_hw,
                                 self.metadata.preprocessing.resize)
        return placement.height, placement.width

    def warm_up(self, batch_size: int = 1) -> None:
        """Run once on grey images, so that the first camera frame is not the slow one."""
        height, width = self.metadata.architecture.input_hw
        self([np.full((height, width, 3), 127, np.uint8)] * batch_size)

    @overload
    def __call__(self, images: np.ndarray) -> Detections: ...

    @overload
    def __call__(self, images: Sequence[np.ndarray]) -> list[Detections]: ...

    def __call__(self, images: np.ndarray | Sequence[np.ndarray]) -> Detections | list[Detections]:
        """Detect in one image or in a batch.

        Args:
            images: uint8 (H, W, 3) RGB; or a sequence of such images, of any and of differing
                sizes, which may be empty.

        Returns:
            One image's Detections; for a sequence one Detections per image. Boxes are in the
            image's own pixels.

        Raises:
            ValueError: naming the shape and type of what is not such an image.
        """
        if isinstance(images, np.ndarray) and images.ndim == 3:
            return self.detect([images]).detections[0]
        return self.detect(list(images)).detections

    def detect(self, images: Sequence[np.ndarray],
               settings: PostprocessSettings | None = None) -> DetectionResult:
        """Detect in a batch; return also how long it took.

        Args:
            images: uint8 (H, W, 3) RGB each, of any and of differing sizes; may be empty.
            settings: thresholds of this call; None takes the Detector's own.

        Raises:
            ValueError: naming the shape and type of what is not such an image.
            WeightsError: where the network's answer is NaN, infinite, or not of the shape and
                type that the metadata promise.
            SettingError: for a class in ``settings`` that the weights do not have.
        """
        return self.begin(images, settings).result()

    def begin(self, images: Sequence[np.ndarray], settings: PostprocessSettings | None = None
              ) -> Call[DetectionResult]:
        """Start what ``detect`` does, where ``concurrency`` is more than 1; else do it."""
        settings = settings or self.settings
        if len(images) == 0:
            return _done(DetectionResult([], Timings()))
        start = time.perf_counter()
        for image in images:
            check_image(image)
        batch = empty_batch(len(images), self.metadata)
        placements = [place(image, canvas, self.metadata.preprocessing)
                      for image, canvas in zip(images, batch)]
        placed = time.perf_counter()
        running = (self._runtime.begin(batch)  # type: ignore[attr-defined]  # see Runtime
                   if self.concurrency > 1 else _done(self._runtime(batch)))

        def result() -> DetectionResult:
            logits, deltas = check_outputs(  # (B, A, columns), (B, A, 4)
                self.path or 'The network', self.metadata, len(images), running.result())
            ran = time.perf_counter()
            found = [postprocess(logits[i], deltas[i], self._anchors,
                                 self.metadata.architecture.box_coder, settings, self.class_names,
                                 placements[i], self.metadata.scoring) for i in range(len(images))]
            return DetectionResult(found, Timings((placed - start) * 1e3, (ran - placed) * 1e3,
                                                  (time.perf_counter() - ran) * 1e3))
        return Call(running.ended, result)


def _done(result: Result) -> Call[Result]:
    return Call(lambda within_s: True, lambda: result)
