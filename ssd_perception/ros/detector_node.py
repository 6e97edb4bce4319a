"""The lifecycle node `ssd_detector`: camera images in, Detection2DArray out.

    ros2 run ssd_perception detector_node --ros-args -r image:=/camera/image_raw
    python -m ssd_perception.ros.detector_node --ros-args -r image:=/camera/image_raw

Wiring only: callbacks store, worker.py infers, camera.py publishes.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import replace

import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from rcl_interfaces.msg import SetParametersResult
from rclpy.clock import Clock, ClockType
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.lifecycle import LifecycleNode, TransitionCallbackReturn
from rclpy.parameter import Parameter
from rclpy.qos import DurabilityPolicy, QoSProfile
from std_msgs.msg import Header
from std_srvs.srv import SetBool
from vision_msgs.msg import LabelInfo, VisionInfo

from ssd_perception.inference.detector import Detector
from ssd_perception.ros import diagnostics
from ssd_perception.ros.bridge import choose_converter
from ssd_perception.ros.camera import Camera
from ssd_perception.ros.latest_frame import LatestFrames
from ssd_perception.ros.loading import Loading, check_swap, load_detector, sentence
from ssd_perception.ros.messages import label_info_message, vision_info_message
from ssd_perception.ros.parameters import NodeParameters, ParameterError, changed, declare
from ssd_perception.ros.worker import Worker

LATCHED = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
WATCH_PERIOD_S = 0.5
DIAGNOSTICS_PERIOD_S = 1.0
STOP_WITHIN_S = 1.5

SUCCESS, FAILURE = TransitionCallbackReturn.SUCCESS, TransitionCallbackReturn.FAILURE


class DetectorNode(LifecycleNode):
    """See docs/interface.md for topics, services and transitions.

    Args:
        load: makes the detector; another one serves tests.

    Raises:
        ParameterError: for an impossible parameter value.
    """

    def __init__(self, load: Callable[[NodeParameters], Detector] = load_detector, **arguments):
        super().__init__('ssd_detector', **arguments)
        self.parameters = declare(self)
        self._load = load
        self._loading: Loading | None = None
        self._state = 'unconfigured'
        self._version = 0
        self._start_weights = self._weights = self.parameters.weights
        self._weights_hash = ''
        names = self.parameters.cameras or ('',)
        self._frames = LatestFrames(names)
        self._cameras = {name: Camera(self, name, self.parameters.image_transport, self._frames)
                         for name in names}
        convert, self._converter = choose_converter()
        self._worker = Worker(self._cameras, self._frames, convert, self.get_clock(),
                              self.get_logger())
        self._worker.parameters = self.parameters
        self._vision_info = self.create_publisher(VisionInfo, 'vision_info', LATCHED)
        self._label_info = self.create_publisher(LabelInfo, 'label_info', LATCHED)
        self._diagnostics = self.create_publisher(DiagnosticArray, '/diagnostics', 10)
        self.create_service(SetBool, '~/enable', self._enable)
        # Steady, so that a sim time that stands still or jumps back stops neither.
        steady = Clock(clock_type=ClockType.STEADY_TIME)
        self.create_timer(WATCH_PERIOD_S, self._watch, clock=steady)
        self.create_timer(DIAGNOSTICS_PERIOD_S, self._diagnose, clock=steady)
        self._loaded = self.create_guard_condition(self._finish_swap)
        self.add_on_set_parameters_callback(self._check_parameters)
        self.add_post_set_parameters_callback(self._apply_parameters)

    # Lifecycle

    def on_configure(self, state) -> TransitionCallbackReturn:
        """Load and warm up; FAILURE, with one sentence in the log, when that is impossible."""
        self._loading = loading = Loading(self._load_allowed, self.parameters)
        while loading.is_alive():
            loading.join(0.05)
            if not self.context.ok():  # a signal: the transition cannot be ended any more
                raise SystemExit(0)
        self._loading = None
        if not loading.detector:
            self.get_logger().error(f'Cannot configure: {loading.error}')
            return FAILURE
        self._use(loading.detector, loading.parameters.weights)
        self._state = 'inactive'
        return super().on_configure(state)

    def on_activate(self, state) -> TransitionCallbackReturn:
        """Subscribe and begin to answer."""
        self._worker.start()
        for camera in self._cameras.values():
            camera.listen()
        self._state = 'active'
        topics = ', '.join(camera.topic for camera in self._cameras.values())
        self.get_logger().info(f'Active on {topics} ({self._converter}).')
        return super().on_activate(state)

    def on_deactivate(self, state) -> TransitionCallbackReturn:
        """Stop answering and let the camera rest."""
        self._stop()
        self._state = 'inactive'
        return super().on_deactivate(state)

    def on_cleanup(self, state) -> TransitionCallbackReturn:
        """Free the detector and its device."""
        self._worker.detector = None
        self._state = 'unconfigured'
        return super().on_cleanup(state)

    def on_shutdown(self, state) -> TransitionCallbackReturn:
        """Stop from any state."""
        self._stop()
        self._worker.detector = None
        self._state = 'finalized'
        return super().on_shutdown(state)

    def on_error(self, state) -> TransitionCallbackReturn:
        """Go back to unconfigured, from where everything can be tried again."""
        self._stop()
        self._worker.detector = None
        self._state = 'unconfigured'
        return super().on_error(state)

    def start(self) -> bool:
        """Configure and activate, as a lifecycle manager would; return whether it worked."""
        return self.trigger_configure() == SUCCESS and self.trigger_activate() == SUCCESS

    def close(self) -> None:
        """Stop the worker before the process ends, within ``STOP_WITHIN_S``."""
        self._stop(STOP_WITHIN_S)

    def _stop(self, timeout_s: float = 10.0) -> None:
        for camera in self._cameras.values():
            camera.stop()
        self._worker.stop(timeout_s)

    def _use(self, detector: Detector, weights: str) -> None:
        self._worker.detector, self._weights = detector, weights
        self._weights_hash = detector.weights_hash
        self.get_logger().info(f'Using {detector.describe()}, sha256 {self._weights_hash[:12]}.')
        self._announce()

    def _announce(self) -> None:
        """Publish the latched messages anew: weights or thresholds are others now."""
        detector = self._worker.detector
        self._version += 1
        header = Header(stamp=self.get_clock().now().to_msg())
        self._vision_info.publish(vision_info_message(
            header, detector.describe(), self._label_info.topic_name, self._version))
        self._label_info.publish(label_info_message(
            header, detector.class_names, detector.settings.score_threshold))

    # Parameters and services

    def _check_parameters(self, changes: list[Parameter]) -> SetParametersResult:
        try:
            wanted = changed(self.parameters, changes)
            if wanted.weights != self._start_weights:
                check_swap(wanted.weights, wanted.weights_dirs)
            if self._worker.detector and wanted.weights == self._weights:
                wanted.postprocess_settings(0.5).per_class(self._worker.detector.class_names)
        except ValueError as error:
            return SetParametersResult(successful=False, reason=str(error))
        return SetParametersResult(successful=True)

    def _apply_parameters(self, changes: list[Parameter]) -> None:
        self.parameters = self._worker.parameters = now = changed(self.parameters, changes)
        detector = self._worker.detector
        if detector is None:
            return
        if now.weights != self._weights:
            self._start_swap()
            return
        settings = now.postprocess_settings(detector.metadata.score_threshold)
        if settings != detector.settings:
            detector.settings = settings
            self._announce()

    def _load_allowed(self, parameters: NodeParameters) -> Detector:
        # Who starts the node may name any file; who sets a parameter may not.
        if parameters.weights != self._start_weights:
            path = check_swap(parameters.weights, parameters.weights_dirs)
            parameters = replace(parameters, weights=str(path))
        return self._load(parameters)

    def _start_swap(self) -> None:
        # The stream goes on with the old weights until the new ones are warm.
        if self._loading is None:  # else _finish_swap sees that these are wanted now
            self._loading = Loading(self._load_allowed, self.parameters, self._loaded.trigger)

    def _finish_swap(self) -> None:
        loading, self._loading = self._loading, None
        if loading is None or self._worker.detector is None:  # cleaned up meanwhile
            return
        if self.parameters != loading.parameters:  # changed again: load what is wanted now
            if self.parameters.weights != self._weights:
                self._start_swap()
        elif loading.detector:
            self._use(loading.detector, loading.parameters.weights)
        else:
            self.get_logger().error(f'Keeping {self._weights}: {loading.error}')
            self.set_parameters([Parameter('weights', value=self._weights)])

    def _enable(self, request: SetBool.Request, response: SetBool.Response) -> SetBool.Response:
        self._worker.enabled = request.data
        response.success = True
        response.message = 'Detecting.' if request.data else 'Paused: images are not looked at.'
        return response

    # Watching

    def _watch(self) -> None:
        if self._state != 'active':
            return
        for camera in self._cameras.values():
            camera.follow()
            told = camera.watchdog.check(time.monotonic(), self.parameters.no_image_timeout_s,
                                         camera.why_silent)
            if told:
                self.get_logger().warning(f'No image for {self.parameters.no_image_timeout_s:g} '
                                          f's: {told}')
            elif told is not None:
                self.get_logger().info(f'Images arrive on {camera.topic}.')

    def _diagnose(self) -> None:
        name, state = self.get_fully_qualified_name(), self._state
        if not self._worker.enabled:
            state += ', paused'
        entries = [diagnostics.detector_entry(
            f'{name}: detector', state, self._worker.failure, self._worker.detector,
            {'weights sha256': self._weights_hash, 'database version': str(self._version),
             'image conversion': self._converter})]
        entries += [diagnostics.camera_entry(
            f'{name}: {camera.topic}', state, camera.watchdog.complaint,
            *camera.statistics.report(self._frames.counts(camera.name)))
            for camera in self._cameras.values()]
        self._diagnostics.publish(diagnostics.array(self.get_clock().now().to_msg(), entries))


def main(arguments: list[str] | None = None) -> None:
    """Run until a signal, then leave the process: 0 after a signal, 1 when it cannot work."""
    # rclpy's own handlers, installed by init, end the spinning. They pass SIGINT on to Python's,
    # whose KeyboardInterrupt could then strike anywhere, so that one is replaced.
    signal.signal(signal.SIGINT, lambda *_: None)
    node, code, initialised = None, 0, False
    try:
        rclpy.init(args=arguments)
        initialised = True
        node = DetectorNode()
        if node.parameters.autostart and not node.start():
            code = 1
        else:
            rclpy.spin(node, SingleThreadedExecutor())
    except (ExternalShutdownException, SystemExit):
        pass
    except ParameterError as error:
        code = _complain(str(error))
    except Exception as error:
        # Whatever breaks after a signal breaks because of it: the context is gone by then, even
        # while the node is still being made.
        if not initialised or rclpy.ok():
            code = _complain(f'{type(error).__name__}: {sentence(error)}')
    if node is not None:
        node.close()
        node.destroy_node()  # tells the other nodes; they need not wait for a lease to end
    rclpy.try_shutdown()
    sys.stdout.flush()
    sys.stderr.flush()
    # Nothing is left to save, and an interpreter with torch in it takes seconds to dissolve, or
    # crashes when a thread is still loading inside native code.
    os._exit(code)


def _complain(message: str) -> int:
    print(f'detector_node: {message}', file=sys.stderr)
    return 1


if __name__ == '__main__':
    main()
