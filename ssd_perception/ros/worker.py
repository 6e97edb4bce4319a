"""The thread that turns waiting frames into published detections."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping

import numpy as np
from rclpy.time import Time

from ssd_perception.inference.detector import Detector
from ssd_perception.ros.camera import Camera
from ssd_perception.ros.images import ImageError
from ssd_perception.ros.latest_frame import LatestFrames
from ssd_perception.ros.loading import sentence
from ssd_perception.ros.parameters import NodeParameters


class Worker:
    """Takes the newest frames of all cameras, detects in one batch, publishes per camera.

    Attributes:
        detector: the one in use; assign another at any time, frames in work keep theirs.
        parameters: values in force; replaced whole, so a frame never sees half a change.
        enabled: False lets frames pass unlooked at.
        failure: why the last batch failed; empty when it did not.
    """

    def __init__(self, cameras: Mapping[str, Camera], frames: LatestFrames,
                 convert: Callable[..., np.ndarray], clock, logger):
        self._cameras, self._frames, self._convert = cameras, frames, convert
        self._clock, self._logger = clock, logger
        self._thread: threading.Thread | None = None
        self.detector: Detector | None = None
        self.parameters = NodeParameters()
        self.enabled = True
        self.failure = ''

    def start(self) -> None:
        """Begin taking frames; ``detector`` must be set."""
        self._frames.open()
        self._thread = threading.Thread(target=self._run, name='inference', daemon=True)
        self._thread.start()

    def stop(self, timeout_s: float) -> None:
        """Finish the batch in work and stop; do not wait for that longer than ``timeout_s``."""
        self._frames.close()
        thread, self._thread = self._thread, None
        if thread is not None:
            thread.join(timeout_s)

    def _run(self) -> None:
        not_before = 0.0
        while batch := self._frames.take(not_before):
            started = time.monotonic()
            if not self.enabled:
                continue
            try:
                self._answer(batch)
                self.failure = ''
            except Exception as error:  # one bad batch must not end the stream
                self._fail(batch, error)
            rate_hz = self.parameters.max_rate_hz
            not_before = started + 1 / rate_hz if rate_hz else 0.0

    def _answer(self, batch: dict) -> None:
        detector, quality = self.detector, self.parameters.jpeg_quality
        taken = []  # (camera, message, rgb, decode_ms)
        for name, message in batch.items():
            start = time.perf_counter()
            try:
                rgb = self._convert(message)
            except ImageError as error:
                self._cameras[name].statistics.failed(str(error))
                self._logger.warning(f'{self._cameras[name].topic}: {error}',
                                     throttle_duration_sec=5.0)
                continue
            taken.append((self._cameras[name], message, rgb,
                          (time.perf_counter() - start) * 1e3))
        found = detector([rgb for _, _, rgb, _ in taken])
        stages = dict(detector.timings_ms)
        for (camera, message, rgb, decode_ms), detections in zip(taken, found):
            start = time.perf_counter()
            camera.publish(message, rgb, detections, detector.class_names, quality)
            times = {'decode': decode_ms, **stages,
                     'publish': (time.perf_counter() - start) * 1e3}
            camera.statistics.answered({**self._age(message), **times}, _picture(message, rgb))

    def _age(self, message) -> dict[str, float]:
        stamp = Time.from_msg(message.header.stamp, clock_type=self._clock.clock_type)
        now = self._clock.now()
        # Zero means "not set": by the camera, or with sim time before the first clock message.
        if not stamp.nanoseconds or not now.nanoseconds:
            return {}
        return {'age': (now - stamp).nanoseconds / 1e6}

    def _fail(self, batch: dict, error: Exception) -> None:
        if self._thread is None:  # stopping: the context may be gone
            return
        self.failure = f'{type(error).__name__}: {sentence(error)}'
        for name in batch:
            self._cameras[name].statistics.failed(self.failure)
        self._logger.error(f'A frame could not be answered: {self.failure}',
                           throttle_duration_sec=5.0)


def _picture(message, rgb: np.ndarray) -> str:
    kind = getattr(message, 'encoding', None) or getattr(message, 'format', '')
    return f'{rgb.shape[1]}x{rgb.shape[0]} {kind}'
