"""The lifecycle node `ssd_detector`: camera images in, Detection2DArray out.

Wiring only: callbacks store, worker.py infers, camera.py publishes.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from diagnostic_msgs.msg import DiagnosticArray
from rcl_interfaces.msg import SetParametersResult
from rclpy.clock import Clock, ClockType, JumpThreshold, TimeJump
from rclpy.duration import Duration
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn
from rclpy.parameter import Parameter
from rclpy.qos import DurabilityPolicy, QoSProfile
from std_msgs.msg import Header
from std_srvs.srv import SetBool
from vision_msgs.msg import LabelInfo, VisionInfo

from ssd_perception.core import interface
from ssd_perception.inference.detector import Detector
from ssd_perception.ros import diagnostics
from ssd_perception.ros.bridge import choose_converter
from ssd_perception.ros.camera import Camera
from ssd_perception.ros.humble import call_after_setting
from ssd_perception.ros.latest_frame import LatestFrames
from ssd_perception.ros.loading import load_detector
from ssd_perception.ros.messages import label_info_message, vision_info_message
from ssd_perception.ros.parameters import NodeParameters, changed, declare
from ssd_perception.ros.process import log_errors
from ssd_perception.ros.swapping import Swapping
from ssd_perception.ros.worker import Worker

LATCHED = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
WATCH_PERIOD_S = 0.5
DIAGNOSTICS_PERIOD_S = 1.0
STOP_WITHIN_S = 1.5
# A batch that takes longer hangs: in a driver whose device is gone.
STUCK_S = 10.0

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
        self._state = 'unconfigured'
        self._version = 0
        names = self.parameters.cameras or ('',)
        self._frames = LatestFrames(names)
        self._cameras = {name: Camera(self, name, self.parameters.image_transport, self._frames)
                         for name in names}
        convert, self._converter = choose_converter()
        self._worker = Worker(self._cameras, self._frames, convert, self.get_clock(),
                              self.get_logger())
        self._worker.parameters = self.parameters
        self._swapping = Swapping(self, self._worker, load, self._announce)
        self._vision_info = self.create_publisher(VisionInfo, interface.VISION_INFO, LATCHED)
        self._label_info = self.create_publisher(LabelInfo, interface.LABEL_INFO, LATCHED)
        self._diagnostics = self.create_publisher(DiagnosticArray, interface.DIAGNOSTICS, 10)
        self.create_service(SetBool, '~/enable', self._enable)
        self._jumps = self.get_clock().create_jump_callback(
            JumpThreshold(min_forward=None, min_backward=Duration(nanoseconds=-1),
                          on_clock_change=False), post_callback=self._time_jumped)
        # Steady, so that a sim time that stands still or jumps back stops neither timer.
        steady = Clock(clock_type=ClockType.STEADY_TIME)
        self.create_timer(WATCH_PERIOD_S, self._watch, clock=steady)
        self.create_timer(DIAGNOSTICS_PERIOD_S, self._diagnose, clock=steady)
        self.add_on_set_parameters_callback(self._check_parameters)
        call_after_setting(self, self._apply_parameters)

    # Lifecycle

    @log_errors
    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Load and warm up; FAILURE, with one sentence in the log, when that is impossible."""
        error = self._swapping.configure()
        if error:
            self.get_logger().error(f'Cannot configure: {error}')
            return FAILURE
        self._state = 'inactive'
        return super().on_configure(state)

    @log_errors
    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Subscribe and begin to answer."""
        self._worker.start()
        for camera in self._cameras.values():
            camera.listen()
        self._state = 'active'
        topics = ', '.join(camera.topic for camera in self._cameras.values())
        self.get_logger().info(f'Active on {topics} ({self._converter}).')
        return super().on_activate(state)

    @log_errors
    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Stop answering and let the camera rest."""
        self._stop()
        self._state = 'inactive'
        return super().on_deactivate(state)

    @log_errors
    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Free the detector and its device."""
        self._swapping.release()
        self._state = 'unconfigured'
        return super().on_cleanup(state)

    @log_errors
    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Stop from any state."""
        self._stop()
        self._swapping.release()
        self._state = 'finalized'
        return super().on_shutdown(state)

    def on_error(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Go back to unconfigured, from where everything can be tried again."""
        self._stop()
        self._swapping.release()
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

    def _announce(self) -> None:
        """Publish the latched messages anew: weights or thresholds are others now."""
        detector, settings = self._worker.detector, self._worker.settings
        assert detector is not None and settings is not None  # the worker has just been given one
        self._version += 1
        header = Header(stamp=self.get_clock().now().to_msg())
        self._vision_info.publish(vision_info_message(
            header, detector.describe(), self._label_info.topic_name, self._version))
        self._label_info.publish(label_info_message(
            header, detector.class_names, settings.score_threshold))

    # Parameters and services

    def _check_parameters(self, changes: list[Parameter]) -> SetParametersResult:
        try:
            wanted = changed(self.parameters, changes)
            self._swapping.check(wanted)
        except ValueError as error:
            return SetParametersResult(successful=False, reason=str(error))
        return SetParametersResult(successful=True)

    def _apply_parameters(self, changes: list[Parameter]) -> None:
        self.parameters = self._worker.parameters = now = changed(self.parameters, changes)
        detector = self._worker.detector
        if detector is None:
            return
        if now.weights != self._swapping.weights:
            self._swapping.begin()
            return
        settings = now.postprocess_settings(detector.metadata.score_threshold)
        if settings != self._worker.settings:
            self._worker.use(detector, settings)
            self._announce()

    def _enable(self, request: SetBool.Request, response: SetBool.Response) -> SetBool.Response:
        self._worker.enabled = request.data
        response.success = True
        response.message = 'Detecting.' if request.data else 'Paused: images are not looked at.'
        return response

    # Watching

    def _time_jumped(self, jump: TimeJump) -> None:
        self._worker.time_jumped()
        self.get_logger().info(f'Time went back by {-jump.delta.nanoseconds / 1e9:.1f} s; frames '
                               'and figures from before that are forgotten.')

    def _watch(self) -> None:
        if self._state != 'active':
            return
        self._swapping.recover(time.monotonic())
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
        name, state, worker = self.get_fully_qualified_name(), self._state, self._worker
        if not worker.enabled:
            state += ', paused'
        failure, busy_s = worker.failure, worker.busy_s()
        if busy_s > STUCK_S:
            failure = f'The detector has been working on one batch for {busy_s:.0f} s.'
        entries = [diagnostics.detector_entry(
            name + interface.DETECTOR_ENTRY, state, failure, self._swapping.fallback,
            worker.detector, {
                'weights sha256': self._swapping.weights_hash,
                'database version': str(self._version), 'image conversion': self._converter,
                **worker.last_error.values()})]
        entries += [diagnostics.camera_entry(
            f'{name}: {camera.topic}', state, camera.watchdog.complaint,
            *camera.statistics.report(self._frames.counts(camera.name)))
            for camera in self._cameras.values()]
        self._diagnostics.publish(diagnostics.array(self.get_clock().now(), entries))
