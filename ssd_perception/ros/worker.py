"""The thread that turns waiting frames into published detections."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from rclpy.clock import Clock, ROSClock
from rclpy.impl.rcutils_logger import RcutilsLogger
from sensor_msgs.msg import CompressedImage, Image

from ssd_perception.core.detections import Detections
from ssd_perception.core.frame import Frame, Stage, prepare_stages, reset_stages, run_stages
from ssd_perception.core.interface import MAX_FRAME_ID, stamp_to_ns
from ssd_perception.core.postprocess import PostprocessSettings
from ssd_perception.core.text import describe_error, one_line, printable
from ssd_perception.imaging.compressed import ImageError
from ssd_perception.imaging.encodings import to_rgb, to_rgb_shrunk
from ssd_perception.inference.detector import DetectionResult, Detector
from ssd_perception.inference.runtimes import Call
from ssd_perception.ros.camera import Camera
from ssd_perception.ros.diagnostics import AHEAD_MS
from ssd_perception.ros.latest_frame import LONGEST_WAIT_S, LatestFrames
from ssd_perception.ros.messages import sum_up
from ssd_perception.ros.parameters import NodeParameters
from ssd_perception.ros.slot import DetectorSlot, Serving

# While the network runs and could run more, frames that came are looked for so often.
_LOOK_AFTER_S = 0.001

# A batch that takes longer hangs: in a driver whose device is gone.
STUCK_S = 10.0


@dataclass(frozen=True)
class _Begun:
    """Frames in the detector, and what was in force when they were given to it."""

    works: list[_Work]
    serving: Serving
    settings: PostprocessSettings
    jumps: int
    call: Call[DetectionResult]
    on_demand: tuple[Callable[[str], object], ...]  # who asks later wants a later frame


@dataclass(frozen=True)
class _Work:
    """A decoded frame and what its answer needs beside it."""

    camera: Camera
    message: Image | CompressedImage
    frame: Frame
    image: np.ndarray  # the frame's
    decode_ms: float


class Worker:
    """Takes the newest frames of all cameras, detects, publishes per camera.

    A detector that runs several calls at once gets one frame in each, and one call more, which
    waits for the first that ends: while the network runs, this thread decodes the next frame
    and publishes the last answer. It is one thread, so that answers keep the order of the frames.
    Any other detector gets all frames that wait in one batch.

    Args:
        slot: holds the detector.
        clock: the node's, which ages are measured by.
        stages: what detections go through before they are published.
    """

    def __init__(self, cameras: Mapping[str, Camera], frames: LatestFrames, slot: DetectorSlot,
                 clock: Clock, logger: RcutilsLogger, stages: Sequence[Stage] = ()):
        self._cameras, self._frames, self._slot = cameras, frames, slot
        self._clock, self._logger, self._stages = clock, logger, stages
        self._thread: threading.Thread | None = None
        self._parameters = NodeParameters()
        self._enabled = True
        self._on_demand: tuple[Callable[[str], object], ...] = ()
        self._on_demand_lock = threading.Lock()
        self._jumps, self._jumps_seen = 0, 0
        self._started: dict[str, float] = {}  # by camera
        self._busy_since = 0.0
        self._in_work: Serving | None = None
        self._prepared: Serving | None = None  # what the stages know of
        self._settings = PostprocessSettings()
        self._died = ''

    @property
    def enabled(self) -> bool:
        """False lets frames pass without looking at them."""
        return self._enabled

    def enable(self, enabled: bool) -> None:
        """Stop or resume looking at frames."""
        if enabled == self._enabled:
            return
        self._enabled = enabled
        self._expect_answers(enabled and self._thread is not None)

    def detect_next(self, answer: Callable[[str], object]) -> None:
        """Detect in the next frames even while paused; call ``answer`` with the result."""
        with self._on_demand_lock:
            self._on_demand = (*self._on_demand, answer)

    def forget_next(self, answer: Callable[[str], object]) -> None:
        """Take ``detect_next`` back, if it was not answered yet."""
        with self._on_demand_lock:
            self._on_demand = tuple(one for one in self._on_demand if one is not answer)

    def apply(self, parameters: NodeParameters) -> None:
        """Take over the rate and the quality of JPEGs; a wait for the old rate ends."""
        self._parameters = parameters
        self._frames.wake()

    def start(self) -> None:
        """Begin taking frames."""
        self._frames.open()
        self._expect_answers(self._enabled)
        self._start_thread()

    def stop(self, timeout_s: float) -> None:
        """Finish the batch in work and stop; do not wait for that longer than ``timeout_s``."""
        self._frames.close()
        self._expect_answers(False)
        thread, self._thread = self._thread, None
        if thread is not None:
            thread.join(timeout_s)
            if not thread.is_alive():
                self._busy_since = 0.0

    def release(self) -> None:
        """Hold the last detector no longer; for a worker that is stopped."""
        self._in_work = self._prepared = None

    def keep_alive(self) -> None:
        """Start the thread anew if it has died, or hangs with a detector that was replaced."""
        thread = self._thread
        if thread is None:
            return
        if not thread.is_alive():
            self._slot.note(f'The inference thread ended and is started again: {self._died}')
            self._logger.error(self._slot.failure)
        elif self.busy_s() > STUCK_S and self._slot.serving not in (None, self._in_work):
            self._logger.error('The inference thread hangs with the replaced detector; another '
                               'one is started.')
        else:
            return
        self._start_thread()

    def time_jumped(self) -> None:
        """Drop frames, times and tracks from before the node's clock went back."""
        self._jumps += 1
        self._frames.forget()
        for camera in self._cameras.values():
            camera.statistics.clock_jumped()

    def busy_s(self) -> float:
        """Return how long ago the batches in work began or one ended, s; 0 without any."""
        since = self._busy_since
        return time.monotonic() - since if since else 0.0

    def _expect_answers(self, expected: bool) -> None:
        for camera in self._cameras.values():
            (camera.statistics.resume if expected else camera.statistics.pause)()

    def _start_thread(self) -> None:
        self._busy_since = 0.0
        self._thread = threading.Thread(target=self._run, name='inference', daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            self._loop(threading.current_thread())
        except BaseException as error:  # keep_alive says so, and starts another thread
            self._died = describe_error(error)

    def _loop(self, this: threading.Thread) -> None:
        begun: deque[_Begun] = deque()
        # A thread that hung while the worker was stopped and started again is not this one.
        while self._thread is this or begun:
            batch, serving, jumps = self._next(begun) if self._thread is this else ({}, None, 0)
            if not batch and not begun:
                return
            if batch and not self._enabled and not self._on_demand:
                for name in batch:
                    self._cameras[name].statistics.ignored()
                continue
            if not begun:
                self._busy_since = time.monotonic()
            elif not batch and not begun[0].call.ended(self._patience_s(begun, this)):
                continue
            names = list(batch) or [work.camera.name for work in begun[0].works]
            try:
                if batch:
                    begun.extend(self._begin(batch, serving, jumps))
                else:
                    self._finish(begun.popleft())
            except Exception as error:  # one bad batch must not end the stream
                self._fail(names, error)
            if self._thread is this:
                self._busy_since = time.monotonic() if begun else 0.0

    def _next(self, begun: Sequence[_Begun]) -> tuple[dict[str, Any], Serving | None, int]:
        """Return frames to begin with, the detector and the number of jumps; no frames while
        those that were begun have to be finished first."""
        serving, jumps = self._slot.serving, self._jumps
        calls = serving.detector.concurrency if serving else 1
        most = 1 if calls > 1 else None
        if not begun:  # after the wait another detector may be there
            return (self._frames.take(self._not_before, most), self._slot.serving, self._jumps)
        full = len(begun) > calls or calls == 1
        # Stages know of one detector at a time.
        if full or serving is not self._prepared or jumps != self._jumps_seen:
            return {}, serving, jumps
        return self._frames.take(self._not_before, most, wait=False), serving, jumps

    def _patience_s(self, begun: Sequence[_Begun], this: threading.Thread) -> float:
        """Return for how long to wait for the detector alone, s."""
        more = self._thread is this and len(begun) <= begun[0].serving.detector.concurrency
        return _LOOK_AFTER_S if more else LONGEST_WAIT_S

    def _not_before(self, camera: str) -> float:
        """Return the time.monotonic() from which a camera's next frame may be taken."""
        rate_hz = self._parameters.max_rate_hz
        return self._started.get(camera, 0.0) + 1 / rate_hz if rate_hz else 0.0

    def _begin(self, batch: dict[str, Any], serving: Serving | None, jumps: int) -> list[_Begun]:
        """Decode frames and give them to the detector; return none where that is impossible."""
        self._in_work = serving
        self._started.update(dict.fromkeys(batch, time.monotonic()))
        if serving is None:
            self._prepared = None  # its memory may be what another one needs
            for name in batch:
                self._cameras[name].statistics.failed('The detector is being loaded anew.')
            return []
        self._prepare_stages(serving, jumps)
        detector = serving.detector
        works = [work for name, message in batch.items()
                 if (work := self._take(name, message, detector))]
        # They were taken for another detector if it was replaced meanwhile.
        groups = [[work] for work in works] if detector.concurrency > 1 else [works]
        return [_Begun(group, serving, self._settings, jumps,
                       self._call(detector, [work.image for work in group]), self._on_demand)
                for group in groups if group]

    def _call(self, detector: Detector, images: list[np.ndarray]) -> Call[DetectionResult]:
        if detector.concurrency > 1:
            return detector.begin(images, self._settings)
        return Call(lambda within_s: True, partial(detector.detect, images, self._settings))

    def _finish(self, begun: _Begun) -> None:
        """Wait for the detector, and publish."""
        answers, serving, jumps = [], begun.serving, begun.jumps
        for work, (detections, timings) in zip(begun.works, self._detect(begun)):
            if isinstance(detections, Exception):
                self._refuse(work.camera, detections)
                continue
            try:
                published = self._publish(work, detections, timings, serving, jumps)
            except Exception as error:  # of a stage: no fault of the detector or other cameras
                if self._thread is None:  # stopping: the context may be gone
                    return
                self._refuse(work.camera, error)
                continue
            if begun.on_demand:
                answers.append(sum_up(work.camera.name, published, serving.detector.class_names))
        self._slot.answered()
        for answer in begun.on_demand if answers else ():
            self.forget_next(answer)
            answer(' '.join(answers))

    def _prepare_stages(self, serving: Serving, jumps: int) -> None:
        """Let stages know of another detector, other thresholds, or a clock that went back."""
        before = self._prepared
        if before is None or before.detector is not serving.detector or self._jumps_seen != jumps:
            reset_stages(self._stages)
            self._jumps_seen = jumps
        if before is not serving:
            self._settings = prepare_stages(self._stages, serving.settings,
                                            serving.detector.class_names)
            self._prepared = serving

    def _take(self, name: str, message: Image | CompressedImage,
              detector: Detector) -> _Work | None:
        """Decode a message; None, and a line in the log, where that is impossible."""
        camera, header, start = self._cameras[name], message.header, time.perf_counter()
        try:
            if len(header.frame_id) > MAX_FRAME_ID:
                raise ImageError(f'A frame_id of {len(header.frame_id)} characters is refused; '
                                 f'at most {MAX_FRAME_ID} are allowed.')
            # The whole image is wanted only by those who look at it with its detections.
            if hasattr(message, 'format') and not camera.is_watched():
                rgb, factor = to_rgb_shrunk(message, detector.seen)
            else:
                rgb, factor = to_rgb(message), 1
        except Exception as error:  # an ImageError, or no memory for so large an image
            self._refuse(camera, error)
            return None
        frame = Frame(name, stamp_to_ns(header.stamp), header.frame_id, rgb, factor)
        return _Work(camera, message, frame, rgb, (time.perf_counter() - start) * 1e3)

    def _detect(self, begun: _Begun) -> list[tuple[Detections | Exception, dict[str, float]]]:
        """Return for each image its Detections, or the exception that it caused, and timings.

        Raises:
            Whatever the detector raises, when it answers none of the images.
        """
        try:
            result = begun.call.result()
            return [(found, vars(result.timings)) for found in result.detections]
        except Exception:
            pass
        # Again one by one: a batch takes more memory than an image, and one camera's image must
        # not cost the others their answers.
        found: list[tuple[Detections | Exception, dict[str, float]]] = []
        errors: list[Exception] = []
        for work in begun.works:
            try:
                result = begun.serving.detector.detect([work.image], begun.settings)
                found.append((result.detections[0], vars(result.timings)))
            except Exception as error:
                found.append((error, {}))
                errors.append(error)
        if len(errors) == len(begun.works):
            raise errors[0]
        return found

    def _publish(self, work: _Work, detections: Detections, timings: dict[str, float],
                 serving: Serving, jumps: int) -> Detections:
        start = time.perf_counter()
        frame = work.frame
        detections = run_stages(self._stages, frame, detections.scaled(frame.scale))
        stages = {'stages': (time.perf_counter() - start) * 1e3} if self._stages else {}
        start = time.perf_counter()
        # A smaller image is not drawn: nobody looked when it was decoded.
        work.camera.publish(work.message.header, frame.image if frame.scale == 1 else None,
                            detections, serving.detector.class_names,
                            self._parameters.jpeg_quality)
        times = {'decode': work.decode_ms, **timings, **stages,
                 'publish': (time.perf_counter() - start) * 1e3}
        age = self._age(frame) if jumps == self._jumps else {}
        work.camera.statistics.answered({**age, **times}, _describe(work))
        return detections

    def _age(self, frame: Frame) -> dict[str, float]:
        now_ns = self._clock.now().nanoseconds
        # Zero means "not set": by the camera, or with sim time before the first clock message.
        if not frame.stamp_ns or not now_ns:
            return {}
        age_ms = (now_ns - frame.stamp_ns) / 1e6
        # Simulated time goes on in steps, and a frame may come before the step that holds it.
        if (-AHEAD_MS <= age_ms < 0 and isinstance(self._clock, ROSClock)
                and self._clock.ros_time_is_active):
            age_ms = 0.0
        return {'age': age_ms}

    def _refuse(self, camera: Camera, error: Exception) -> None:
        text = one_line(error, 400) if isinstance(error, ImageError) else describe_error(error)
        camera.statistics.failed(text)
        self._logger.warning(f'{camera.topic}: {text}', throttle_duration_sec=5.0)

    def _fail(self, cameras: Sequence[str], error: Exception) -> None:
        if self._thread is None:  # stopping: the context may be gone
            return
        reason = self._slot.failed(error)
        for name in cameras:
            self._cameras[name].statistics.failed(reason)
        self._logger.error(f'A frame could not be answered: {reason}', throttle_duration_sec=5.0)


def _describe(work: _Work) -> str:
    """Return size and encoding of the camera's image, for the diagnostics."""
    kind = getattr(work.message, 'encoding', None) or getattr(work.message, 'format', '')
    height, width = (side * round(work.frame.scale) for side in work.image.shape[:2])
    return f'{width}x{height} {printable(kind, 40)}'
