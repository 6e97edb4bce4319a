"""The thread that turns waiting frames into published detections."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping

import numpy as np
from rclpy.clock import Clock
from rclpy.impl.rcutils_logger import RcutilsLogger
from sensor_msgs.msg import CompressedImage, Image

from ssd_perception.core.detections import Detections
from ssd_perception.core.interface import stamp_to_ns
from ssd_perception.core.postprocess import PostprocessSettings
from ssd_perception.imaging.compressed import ImageError, decode_shrunk
from ssd_perception.inference.detector import Detector
from ssd_perception.ros.camera import Camera
from ssd_perception.ros.diagnostics import LastError
from ssd_perception.ros.latest_frame import LatestFrames
from ssd_perception.ros.loading import described
from ssd_perception.ros.parameters import NodeParameters


class Worker:
    """Takes the newest frames of all cameras, detects in one batch, publishes per camera.

    Attributes:
        parameters: values in force; replaced whole, so a frame never sees half a change.
        enabled: False lets frames pass unlooked at.
        failures: batches in a row that the detector could not answer.
        failure: why the last batch failed; empty when it did not.
        last_error: the last such reason, kept.
    """

    def __init__(self, cameras: Mapping[str, Camera], frames: LatestFrames,
                 convert: Callable[[Image | CompressedImage], np.ndarray], clock: Clock,
                 logger: RcutilsLogger):
        self._cameras, self._frames, self._convert = cameras, frames, convert
        self._clock, self._logger = clock, logger
        self._thread: threading.Thread | None = None
        self._jumps, self._busy_since = 0, 0.0
        self._serving: tuple[Detector, PostprocessSettings] | None = None
        self.parameters = NodeParameters()
        self.enabled = True
        self.last_error = LastError()
        self.forget_failures()

    def use(self, detector: Detector, settings: PostprocessSettings | None = None) -> None:
        """Answer with it from the next batch on; frames in work keep theirs."""
        self._serving, self.failures = (detector, settings or detector.settings), 0

    @property
    def detector(self) -> Detector | None:
        """The one in use; None where there is none: frames are refused meanwhile."""
        return self._serving[0] if self._serving else None

    @property
    def settings(self) -> PostprocessSettings | None:
        """Thresholds in force; None without a detector."""
        return self._serving[1] if self._serving else None

    def release(self) -> None:
        """Drop the detector, and with it what it holds of its device."""
        self._serving = None

    def forget_failures(self) -> None:
        """Begin anew, but for ``last_error``."""
        self.failures, self.failure = 0, ''

    def note_failure(self, reason: str) -> None:
        """Say why frames are not answered."""
        self.failure = reason
        self.last_error.note(reason)

    def start(self) -> None:
        """Begin taking frames."""
        self._frames.open()
        self._thread = threading.Thread(target=self._run, name='inference', daemon=True)
        self._thread.start()

    def stop(self, timeout_s: float) -> None:
        """Finish the batch in work and stop; do not wait for that longer than ``timeout_s``."""
        self._frames.close()
        thread, self._thread = self._thread, None
        if thread is not None:
            thread.join(timeout_s)

    def time_jumped(self) -> None:
        """The node's clock went back: what is from before it says nothing about now."""
        self._jumps += 1
        self._frames.forget()
        for camera in self._cameras.values():
            camera.statistics.forget()

    def busy_s(self) -> float:
        """Return for how long the batch in work has been in work, s; 0 when there is none."""
        since = self._busy_since
        return time.monotonic() - since if since else 0.0

    def _run(self) -> None:
        not_before, this = 0.0, threading.current_thread()
        # A thread that hung while the worker was stopped and started again is not this one.
        while self._thread is this and (batch := self._frames.take(not_before)):
            if not self.enabled:
                continue
            started = self._busy_since = time.monotonic()
            try:
                self._answer(batch)
            except Exception as error:  # one bad batch must not end the stream
                self._fail(batch, error)
            self._busy_since = 0.0
            rate_hz = self.parameters.max_rate_hz
            not_before = started + 1 / rate_hz if rate_hz else 0.0

    def _answer(self, batch: dict) -> None:
        serving, quality, jumps = self._serving, self.parameters.jpeg_quality, self._jumps
        if serving is None:
            for name in batch:
                self._cameras[name].statistics.failed('The detector is being loaded anew.')
            return
        detector, settings = serving
        taken = []  # (camera, message, rgb, factor, decode_ms)
        for name, message in batch.items():
            start = time.perf_counter()
            try:
                rgb, factor = self._decode(self._cameras[name], message, detector)
            except Exception as error:  # an ImageError, or no memory for so large a picture
                self._refuse(self._cameras[name], error)
                continue
            taken.append((self._cameras[name], message, rgb, factor,
                          (time.perf_counter() - start) * 1e3))
        if not taken:
            return
        found = self._detect(detector, settings, [rgb for _, _, rgb, _, _ in taken])
        self.failures = 0
        for (camera, message, rgb, factor, decode_ms), (detections, timings) in zip(taken, found):
            if isinstance(detections, Exception):
                self._refuse(camera, detections)
                continue
            start = time.perf_counter()
            camera.publish(message, rgb if factor == 1 else None, detections.scaled(factor),
                           detector.class_names, quality)
            times = {'decode': decode_ms, **timings,
                     'publish': (time.perf_counter() - start) * 1e3}
            age = self._age(message) if jumps == self._jumps else {}
            camera.statistics.answered({**age, **times}, _picture(message, rgb, factor))
        self.failure = ''

    def _decode(self, camera: Camera, message: Image | CompressedImage,
                detector: Detector) -> tuple[np.ndarray, int]:
        """Return a message's picture, and the factor that takes its pixels to the message's."""
        # The whole picture is wanted only by those who look at it with its detections.
        if hasattr(message, 'format') and not camera.is_watched():
            return decode_shrunk(message.data, detector.seen)
        return self._convert(message), 1

    def _detect(self, detector: Detector, settings: PostprocessSettings,
                images: list[np.ndarray]) -> list[tuple[Detections | Exception, dict]]:
        """Return for each image Detections, or the exception it alone met with, and timings.

        Raises:
            Whatever the detector raises, when it answers none of the images.
        """
        try:
            result = detector.detect(images, settings)
            return [(found, vars(result.timings)) for found in result.detections]
        except Exception:
            pass
        # Once more, one by one: a batch takes more memory than a picture, and one camera's
        # picture must not cost the others their answers.
        found: list = []
        errors: list[Exception] = []
        for image in images:
            try:
                result = detector.detect([image], settings)
                found.append((result.detections[0], vars(result.timings)))
            except Exception as error:
                found.append((error, {}))
                errors.append(error)
        if len(errors) == len(images):
            self.failures += 1
            raise errors[0]
        return found

    def _age(self, message: Image | CompressedImage) -> dict[str, float]:
        stamp = stamp_to_ns(message.header.stamp)
        now = self._clock.now().nanoseconds
        # Zero means "not set": by the camera, or with sim time before the first clock message.
        if not stamp or not now:
            return {}
        return {'age': (now - stamp) / 1e6}

    def _refuse(self, camera: Camera, error: Exception) -> None:
        text = str(error) if isinstance(error, ImageError) else described(error)
        camera.statistics.failed(text)
        self._logger.warning(f'{camera.topic}: {text}', throttle_duration_sec=5.0)

    def _fail(self, batch: dict, error: Exception) -> None:
        if self._thread is None:  # stopping: the context may be gone
            return
        self.note_failure(described(error))
        for name in batch:
            self._cameras[name].statistics.failed(self.failure)
        self._logger.error(f'A frame could not be answered: {self.failure}',
                           throttle_duration_sec=5.0)


def _picture(message: Image | CompressedImage, rgb: np.ndarray, factor: int) -> str:
    kind = getattr(message, 'encoding', None) or getattr(message, 'format', '')
    return f'{rgb.shape[1] * factor}x{rgb.shape[0] * factor} {kind}'
