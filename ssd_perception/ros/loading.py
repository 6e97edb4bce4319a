"""Load and warm up a Detector beside the running node, from places that are allowed."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import cv2

from ssd_perception.core.memory import give_back_freed_memory
from ssd_perception.core.text import one_line, printable
from ssd_perception.inference.detector import Detector
from ssd_perception.inference.resolve import SUFFIX, is_shipped, resolve_weights
from ssd_perception.ros.parameters import NodeParameters, ParameterError


def load_detector(parameters: NodeParameters) -> Detector:
    """Return a Detector, warm for all cameras: for one call of each at once, or for batches.

    Raises:
        Whatever ``Detector.from_weights`` raises; the message is one sentence.
    """
    cameras = max(1, len(parameters.cameras))
    detector = _load(parameters, cameras)
    # Known only now: it runs one call at a time, whose threads wait for each other.
    if detector.concurrency == 1 and (detector.threads or 0) > (
            parameters.threads or spare_threads()):
        detector = _load(parameters, 1)
    parameters.postprocess_settings(0.5).per_class(detector.class_names)  # refuses unknown classes
    for batch_size in range(1, (cameras if detector.concurrency == 1 else 1) + 1):
        detector.warm_up(batch_size)
    if detector.runtime != 'opencv':  # whose network has these threads
        # Others wait in a loop for parts of images to resize, and take a core from the network.
        _set_opencv_threads(1 if detector.concurrency > 1 else detector.threads or spare_threads())
    give_back_freed_memory()
    return detector


def _load(parameters: NodeParameters, calls: int) -> Detector:
    threads = parameters.threads or spare_threads(calls)
    return Detector.from_weights(
        parameters.weights, runtime=parameters.runtime, device=parameters.device,
        precision=parameters.precision, threads=threads, concurrency=min(calls, threads))


def _set_opencv_threads(count: int) -> None:
    """Set how many threads OpenCV uses in this process.

    Nothing is done where that changes nothing: the detector in use may be resizing an image, and
    OpenCV with TBB, as Ubuntu's is, ends its threads at each setting.
    """
    if cv2.getNumThreads() != count:
        cv2.setNumThreads(count)


def spare_threads(calls: int = 1) -> int:
    """Return how many CPU threads the network takes by itself.

    All cores but one: threads of one call wait for each other in a loop, and one that shares its
    core with the camera or with DDS delays all others. On two busy cores two threads took 85 ms
    where one took 13. Calls that run at once do not wait for each other: with as many of them as
    cores every core may run one. With more, one more: it runs while another one's answer is
    read and published. Four cameras on two cores got 5 to 8 % more answers by that.
    """
    cores = len(os.sched_getaffinity(0))
    return min(calls, cores + 1) if calls >= cores else max(1, cores - 1)


def check_swap(weights: str, weights_dirs: tuple[str, ...]) -> Path:
    """Return the file that a running node may change to.

    A parameter can be set by anybody on the network, so it must not become a way to make
    the node open any file: links and ``..`` are followed before the folder is compared.

    Raises:
        ParameterError: when there is no such file, or it lies elsewhere.
    """
    try:
        folders = [Path(folder).expanduser().resolve() for folder in weights_dirs]
        candidates = [folder / name for folder in folders for name in (weights, weights + SUFFIX)]
        path = next((path.resolve() for path in candidates if path.is_file()), None)
        path = path or resolve_weights(weights)
    except (OSError, ValueError, RuntimeError) as error:  # not found, too long, no such user
        raise ParameterError(f'Parameter "weights" is refused: {one_line(error)}') from error
    if not any(folder in path.parents for folder in folders) and not is_shipped(path):
        raise ParameterError(
            f'Parameter "weights" is refused: {printable(path, 1000)} is neither shipped nor '
            'inside weights_dirs; that parameter is set when the node starts.')
    return path


class Loading(threading.Thread):
    """Loads in the background, because torch alone takes seconds and a signal must not wait.

    Attributes:
        parameters: what is loaded.
        detector: the result, or None.
        error: why there is none; empty otherwise.
        ended: the result is there; the thread itself may take a moment longer to end.
        abandoned: nobody waits for it any more.

    Args:
        load: makes a detector of parameters; it ends early where the function that it is given
            returns True.
    """

    def __init__(self, load: Callable[[NodeParameters, Callable[[], bool]], Detector],
                 parameters: NodeParameters, done: Callable[[], object] = lambda: None):
        super().__init__(name='loading', daemon=True)
        self._load, self._done = load, done
        self.parameters = parameters
        self._began = time.monotonic()
        self.detector: Detector | None = None
        self.error = ''
        self.ended = self.abandoned = False
        try:
            self.start()
        except RuntimeError as error:  # the system gives this process no more threads
            self._end(one_line(error))

    def age_s(self) -> float:
        """Return for how long it has been loading, s."""
        return time.monotonic() - self._began

    def run(self) -> None:
        """See ``threading.Thread``."""
        try:
            self.detector = self._load(self.parameters, lambda: self.abandoned)
        except Exception as error:  # whatever a file or a driver does, the node says and lives
            self._end(one_line(error))
        else:
            self._end()

    def _end(self, error: str = '') -> None:
        self.error, self.ended = error, True
        self._done()


# One batch may fail, because memory is short for a moment. The worker tries again by itself; so
# many failures in a row mean a broken device or a broken detector.
PATIENCE = 3
FIRST_PAUSE_S = 1.0
LONGEST_PAUSE_S = 60.0


class Recovery:
    """Counts attempts; pauses between them double, because a lost device may stay lost.

    Attributes:
        attempts: how often the detector was loaded anew since it last worked.
        on_cpu: the CPU stands in for the configured device until the next configure.
    """

    def __init__(self) -> None:
        self.attempts = 0
        self.on_cpu = False
        self._not_before = 0.0

    def due(self, failures: int, failing: bool, now: float) -> bool:
        """Say whether it is time to load anew.

        Args:
            failures: batches in a row that failed with the detector in use.
            failing: no batch was answered since the last failure, whatever the detector.
            now: seconds of a steady clock.
        """
        if not failing:
            self.attempts, self._not_before = 0, 0.0
        return failures >= PATIENCE and now >= self._not_before

    def attempt(self, parameters: NodeParameters, now: float) -> NodeParameters:
        """Return what to load: as configured first, on the CPU after that where allowed."""
        self.attempts += 1
        pause = min(FIRST_PAUSE_S * 2 ** (self.attempts - 1), LONGEST_PAUSE_S)
        self._not_before = now + pause
        if self.attempts > 1 and parameters.cpu_fallback and parameters.device != 'cpu':
            self.on_cpu = True
        return self.place(parameters)

    def place(self, parameters: NodeParameters) -> NodeParameters:
        """Return the parameters with the device that is in use at present."""
        if not self.on_cpu:
            return parameters
        # The configured runtime and precision may exist on the lost device only.
        return replace(parameters, device='cpu', runtime='auto', precision='auto')
