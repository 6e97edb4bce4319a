"""The slot of the node's detector: load it, replace it, load it anew when it fails."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from rclpy.impl.rcutils_logger import RcutilsLogger

from ssd_perception.core.postprocess import PostprocessSettings
from ssd_perception.core.text import describe_error, one_line
from ssd_perception.inference.detector import Detector
from ssd_perception.inference.trial import BUILD_WITHIN_S, ensure_tried
from ssd_perception.ros.diagnostics import LastError
from ssd_perception.ros.loading import Loading, Recovery, check_swap
from ssd_perception.ros.parameters import NodeParameters

# A load that takes longer hangs, and is abandoned; with TensorRT one of BUILD_WITHIN_S.
LOAD_WITHIN_S = 180.0
# A load may take so long when other weights are wanted already.
SWAP_AFTER_S = 10.0


@dataclass(frozen=True)
class Serving:
    """A detector in use.

    Attributes:
        detector: loaded and warm.
        settings: thresholds in force.
        weights: the parameter's value that it was made from.
        weights_hash: SHA-256 of its file.
    """

    detector: Detector
    settings: PostprocessSettings
    weights: str
    weights_hash: str


class DetectorSlot:
    """Loads detectors in threads, because that takes seconds, and hands out the one in use.

    The node's thread calls all methods but ``answered`` and ``failed``, which are the worker's.

    Args:
        load: makes a detector, warm.
        parameters: returns the node's parameters of now.
        logger: the node's.
        wake: called from a loading thread when it has ended; then ``update`` is to be called.
        changed: called whenever another detector or other thresholds are in use.

    Attributes:
        failures: batches in a row that the detector could not answer.
        failure: why frames are not answered at present; empty when they are.
        last_error: the last such reason, kept.
    """

    def __init__(self, load: Callable[[NodeParameters], Detector],
                 parameters: Callable[[], NodeParameters], logger: RcutilsLogger,
                 wake: Callable[[], object], changed: Callable[[], object]):
        self._load, self._parameters, self._logger = load, parameters, logger
        self._wake, self._changed = wake, changed
        self._start_weights = self._weights = parameters().weights  # and those that served last
        self._serving: Serving | None = None
        self._loading: Loading | None = None
        self._recovery = Recovery()
        self.last_error = LastError()
        self.failures, self.failure = 0, ''

    @property
    def serving(self) -> Serving | None:
        """What answers now; None where there is none: frames are refused meanwhile."""
        return self._serving

    @property
    def warning(self) -> str:
        """What is unusual although frames are answered; else empty."""
        return ('On the CPU, because the configured device failed.' if self._recovery.on_cpu
                else '')

    # The worker's

    def answered(self) -> None:
        """A batch was answered."""
        self.failures, self.failure = 0, ''

    def failed(self, error: BaseException) -> str:
        """A batch could not be answered at all; return the reason in words."""
        self.failures += 1
        self.note(describe_error(error))
        return self.failure

    def note(self, reason: str) -> None:
        """Remember why frames are not answered."""
        self.failure = reason
        self.last_error.note(reason)

    # The node's

    def check(self, wanted: NodeParameters) -> None:
        """Refuse weights that may not be loaded, or classes that those in use do not have.

        Raises:
            ValueError: one sentence.
        """
        if wanted.weights != self._start_weights:
            check_swap(wanted.weights, wanted.weights_dirs)
        serving = self._serving
        if serving and wanted.weights == serving.weights:
            wanted.postprocess_settings(0.5).per_class(serving.detector.class_names)

    def configure(self, is_running: Callable[[], bool]) -> str:
        """Load and wait for it; return why that was impossible, or nothing.

        Raises:
            SystemExit: when ``is_running`` says no meanwhile; a transition cannot be ended then.
        """
        self._recovery = Recovery()
        self._loading = loading = Loading(self._load_allowed, self._parameters())
        while not loading.ended and loading.age_s() < _limit_s(loading.parameters):
            loading.join(0.05)
            if not is_running():
                raise SystemExit(0)
        self._loading = None
        if not loading.ended:
            return f'{self._abandon(loading)}.'
        if loading.detector:
            self._use(loading.detector, loading.parameters)
        return loading.error

    def release(self) -> None:
        """Drop the detector and its device; a load that ends later changes nothing."""
        if self._loading:
            self._loading.abandoned = True
        self._loading = self._serving = None
        self.failures, self.failure = 0, ''

    def apply(self) -> None:
        """Take over parameters that have changed: thresholds at once, weights when loaded."""
        serving, wanted = self._serving, self._parameters()
        if serving is None and self._loading is None:
            return
        if serving is None or wanted.weights != serving.weights:
            self._begin()
            return
        settings = wanted.postprocess_settings(serving.detector.metadata.score_threshold)
        if settings != serving.settings:
            self._serving = replace(serving, settings=settings)
            self._changed()

    def update(self, now: float) -> dict[str, Any]:
        """Take what has been loaded, abandon what hangs, load anew what fails.

        Args:
            now: seconds of ``time.monotonic``.

        Returns:
            Parameters that are to be set back, and their values; empty for none.
        """
        loading, wanted = self._loading, self._parameters()
        if loading is None:
            self._recover(now)
            return {}
        if not loading.ended:
            limit_s = _limit_s(loading.parameters)
            if wanted.weights != loading.parameters.weights:
                limit_s = SWAP_AFTER_S
            if loading.age_s() < limit_s:
                return {}
            loading.detector, loading.error = None, self._abandon(loading)
        self._loading = None
        if wanted.weights != loading.parameters.weights:  # changed again
            if not self._serving or wanted.weights != self._serving.weights:
                self._begin()
            return {}
        try:
            if loading.detector:  # thresholds may have changed meanwhile
                self._use(loading.detector, wanted)
                return {}
        except ValueError as error:
            loading.error = one_line(error)
        return self._keep(loading.error, wanted)

    def _begin(self) -> None:
        """Load what the parameters want now; frames are answered by the one in use until then."""
        wanted = self._recovery.place(self._parameters())
        if self._loading is not None:  # ``update`` sees that something else is wanted now
            return
        if self._serving:
            self._logger.info(f'Loading {one_line(wanted.weights)}; '
                              f'{one_line(self._serving.weights)} answers until then.')
        self._loading = Loading(self._load_allowed, wanted, self._wake)

    def _recover(self, now: float) -> None:
        """Load a detector anew that fails again and again."""
        if not self._recovery.due(self.failures, bool(self.failure), now):
            return
        self._serving = None  # first, for its memory may be what is missing
        wanted = self._recovery.attempt(self._parameters(), now)
        self._logger.warning(
            f'Loading the detector anew on {wanted.device}, attempt {self._recovery.attempts}, '
            f'after: {self.failure}')
        self._begin()

    def _load_allowed(self, parameters: NodeParameters,
                      is_abandoned: Callable[[], bool]) -> Detector:
        # Who starts the node may name any file; who sets a parameter may not.
        if parameters.weights != self._start_weights:
            path = check_swap(parameters.weights, parameters.weights_dirs)
            parameters = replace(parameters, weights=str(path))
        # Whatever weights do there that are new here, the detector in use answers meanwhile.
        ensure_tried(parameters.weights, parameters.runtime, parameters.device,
                     parameters.precision, max(1, len(parameters.cameras)), is_abandoned)
        return self._load(parameters)

    def _abandon(self, loading: Loading) -> str:
        loading.abandoned = True  # ends the child process that tries the weights
        reason = (f'Loading {one_line(loading.parameters.weights)} has not ended after '
                  f'{loading.age_s():.0f} s and is abandoned')
        self._logger.error(f'{reason}.')
        return reason

    def _keep(self, error: str, wanted: NodeParameters) -> dict[str, Any]:
        """Say why the wanted detector is not available; return what to set back."""
        if self._serving:
            self._logger.error(f'Keeping {one_line(self._weights)}: {error}')
        else:
            self.note(f'The detector cannot be loaded anew: {error}')
            self._logger.error(self.failure)
        return self._set_back(wanted) if wanted.weights != self._weights else {}

    def _set_back(self, wanted: NodeParameters) -> dict[str, Any]:
        """Return the weights that served last, and classes where they lack those wanted."""
        back: dict[str, Any] = {'weights': self._weights}
        if self._serving:
            settings = self._serving.settings
            try:
                wanted.postprocess_settings(0.5).per_class(self._serving.detector.class_names)
            except ValueError:  # they were set together, or while the others were being loaded
                back['classes'] = settings.classes or ('',)
                back['class_thresholds'] = tuple(
                    f'{name}={score}' for name, score in settings.class_thresholds) or ('',)
        return back

    def _use(self, detector: Detector, parameters: NodeParameters) -> None:
        settings = parameters.postprocess_settings(detector.metadata.score_threshold)
        settings.per_class(detector.class_names)  # refuses classes that it does not have
        digest = detector.weights_hash
        self._serving = Serving(detector, settings, parameters.weights, digest)
        self._weights = parameters.weights
        self.failures = 0
        self._logger.info(f'Using {detector.describe()}, sha256 {digest[:12]}.')
        self._changed()


def _limit_s(parameters: NodeParameters) -> float:
    return BUILD_WITHIN_S if parameters.runtime == 'tensorrt' else LOAD_WITHIN_S
