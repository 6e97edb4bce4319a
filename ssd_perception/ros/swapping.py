"""Gives the worker its detector: at configure, on new weights, and anew when it fails."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from rclpy.parameter import Parameter

from ssd_perception.inference.detector import Detector
from ssd_perception.ros.loading import Loading, Recovery, check_swap
from ssd_perception.ros.parameters import NodeParameters
from ssd_perception.ros.worker import Worker

if TYPE_CHECKING:  # it imports this module
    from ssd_perception.ros.node import DetectorNode


class Swapping:
    """Loads one detector at a time, in a thread, because that takes seconds.

    Args:
        node: for its log, its context and its ``parameters``.
        worker: is given the detector.
        load: makes it.
        in_use: called whenever the worker has got another one.

    Attributes:
        weights: the parameter's value that the detector in use was made from.
        weights_hash: SHA-256 of its file.
    """

    def __init__(self, node: DetectorNode, worker: Worker,
                 load: Callable[[NodeParameters], Detector], in_use: Callable[[], None]):
        self._node, self._worker, self._load, self._in_use = node, worker, load, in_use
        self._start_weights = self.weights = node.parameters.weights
        self.weights_hash = ''
        self._loading: Loading | None = None
        self._recovery = Recovery()
        self._loaded = node.create_guard_condition(self._finish)

    @property
    def fallback(self) -> str:
        """Say so when the detector is not where the parameters want it; else empty."""
        return ('On the CPU, because the configured device failed.' if self._recovery.on_cpu
                else '')

    def check(self, wanted: NodeParameters) -> None:
        """Refuse weights that may not be loaded, or classes that those in use do not have.

        Raises:
            ValueError: one sentence.
        """
        if wanted.weights != self._start_weights:
            check_swap(wanted.weights, wanted.weights_dirs)
        if self._worker.detector and wanted.weights == self.weights:
            wanted.postprocess_settings(0.5).per_class(self._worker.detector.class_names)

    def configure(self) -> str:
        """Load and wait for it; return why that was impossible, or nothing.

        Raises:
            SystemExit: when a signal came meanwhile; the transition cannot be ended any more.
        """
        self._recovery = Recovery()
        self._loading = loading = Loading(self._load_allowed, self._node.parameters)
        while loading.is_alive():
            loading.join(0.05)
            if not self._node.context.ok():
                raise SystemExit(0)
        self._loading = None
        if loading.detector:
            self._use(loading.detector, loading.parameters)
        return loading.error

    def release(self) -> None:
        """Let go of the detector and its device; a loading that ends later changes nothing."""
        self._loading = None
        self._worker.release()
        self._worker.forget_failures()

    def begin(self) -> None:
        """Load what the parameters want now; the stream goes on with what it has until then."""
        if self._loading is None:  # else _finish sees that something else is wanted now
            self._loading = Loading(self._load_allowed,
                                    self._recovery.place(self._node.parameters),
                                    self._loaded.trigger)

    def recover(self, now: float) -> None:
        """Load a detector anew that fails again and again; ``now`` is a steady clock's."""
        worker = self._worker
        due = self._recovery.due(worker.failures, bool(worker.failure), now)
        if not due or self._loading:
            return
        worker.release()  # first, for its memory may be what is missing
        wanted = self._recovery.attempt(self._node.parameters, now)
        self._node.get_logger().warning(
            f'Loading the detector anew on {wanted.device}, attempt {self._recovery.attempts}, '
            f'after: {worker.failure}')
        self.begin()

    def _load_allowed(self, parameters: NodeParameters) -> Detector:
        # Who starts the node may name any file; who sets a parameter may not.
        if parameters.weights != self._start_weights:
            path = check_swap(parameters.weights, parameters.weights_dirs)
            parameters = replace(parameters, weights=str(path))
        return self._load(parameters)

    def _finish(self) -> None:
        loading, self._loading = self._loading, None
        if loading is None:  # cleaned up meanwhile
            return
        if not loading.ended:  # woken by one that was cleaned up; this one is still at work
            self._loading = loading
            return
        wanted, detector = self._node.parameters, loading.detector
        if wanted.weights != loading.parameters.weights:  # changed again
            if wanted.weights != self.weights or not self._worker.detector:
                self.begin()
            return
        try:
            if detector:  # thresholds may have changed meanwhile
                self._use(detector, wanted)
                return
        except ValueError as error:
            loading.error = str(error)
        self._keep(loading.error)
        if wanted.weights != self.weights:
            self._node.set_parameters([Parameter('weights', value=self.weights)])

    def _keep(self, error: str) -> None:
        """Say why the wanted detector is not to be had."""
        if self._worker.detector:
            self._node.get_logger().error(f'Keeping {self.weights}: {error}')
            return
        self._worker.note_failure(f'The detector cannot be loaded anew: {error}')
        self._node.get_logger().error(self._worker.failure)

    def _use(self, detector: Detector, parameters: NodeParameters) -> None:
        settings = parameters.postprocess_settings(detector.metadata.score_threshold)
        settings.per_class(detector.class_names)  # refuses classes that it does not have
        self._worker.use(detector, settings)
        self.weights, self.weights_hash = parameters.weights, detector.weights_hash
        self._node.get_logger().info(f'Using {detector.describe()}, sha256 '
                                     f'{self.weights_hash[:12]}.')
        self._in_use()
