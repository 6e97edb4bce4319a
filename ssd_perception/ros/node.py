"""The lifecycle node `ssd_detector`: camera images in, Detection2DArray out.

Wiring only: callbacks store, worker.py infers, camera.py publishes.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import fields
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray
from rcl_interfaces.msg import SetParametersResult
from rclpy.clock import Clock, ClockType, JumpThreshold, TimeJump
from rclpy.duration import Duration
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn
from rclpy.logging import LoggingSeverity, set_logger_level
from rclpy.node import Node
from rclpy.parameter import Parameter
from rclpy.qos import DurabilityPolicy, QoSProfile
from std_msgs.msg import Header
from std_srvs.srv import SetBool
from vision_msgs.msg import LabelInfo, VisionInfo

from ssd_perception.core import interface
from ssd_perception.core.frame import Stage
from ssd_perception.core.memory import Growth, give_back_freed_memory
from ssd_perception.core.text import describe_error, one_line, quoted
from ssd_perception.inference.detector import Detector
from ssd_perception.ros import bond, diagnostics
from ssd_perception.ros.camera import Camera
from ssd_perception.ros.humble import call_after_setting
from ssd_perception.ros.latest_frame import LatestFrames
from ssd_perception.ros.loading import load_detector
from ssd_perception.ros.messages import MESSAGES
from ssd_perception.ros.on_demand import OnDemand
from ssd_perception.ros.parameters import NodeParameters, changed, declare
from ssd_perception.ros.process import log_errors
from ssd_perception.ros.receiver import Receiver
from ssd_perception.ros.slot import DetectorSlot
from ssd_perception.ros.stages import make_stages, position_stages
from ssd_perception.ros.worker import STUCK_S, Worker

LATCHED = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
WATCH_PERIOD_S = 0.5
DIAGNOSTICS_PERIOD_S = 1.0
STOP_WITHIN_S = 1.5
WARN_FOR_S = 5.0  # about a callback that failed
MANY_JUMPS = 3  # of the time, within WARN_FOR_S

SUCCESS, FAILURE = TransitionCallbackReturn.SUCCESS, TransitionCallbackReturn.FAILURE


class DetectorNode(LifecycleNode):
    """See docs/interface.md for topics, services and transitions.

    Args:
        load: makes the detector; tests give another one.
        stages: makes what detections go through before they are published.

    Raises:
        ParameterError: for an impossible parameter value.
    """

    def __init__(self, load: Callable[[NodeParameters], Detector] = load_detector,
                 stages: Callable[[Node, NodeParameters], Sequence[Stage]] = make_stages,
                 **arguments: Any) -> None:
        super().__init__('ssd_detector', **arguments)
        # It logs labels of transitions as they come; the answers to calls say what was wrong.
        set_logger_level('rcl_lifecycle', LoggingSeverity.FATAL)
        self.parameters = declare(self)
        self._state = 'unconfigured'
        self._version = 0
        self._memory = Growth()
        self._watched_at = 0.0
        self._callback_error = diagnostics.LastError()
        names = self.parameters.cameras or ('',)
        self._frames = LatestFrames(names)
        self._receiver = Receiver(self, self.callback_failed)
        self._cameras = {name: Camera(self, name, self.parameters.image_transport, self._frames,
                                      self._receiver) for name in names}
        loaded = self.create_guard_condition(self._update_slot)
        self._slot = DetectorSlot(load, lambda: self.parameters, self.get_logger(),
                                  loaded.trigger, self._announce)
        made = stages(self, self.parameters)
        self._positions = position_stages(made)
        self._worker = Worker(self._cameras, self._frames, self._slot, self.get_clock(),
                              self.get_logger(), made)
        self._worker.apply(self.parameters)
        self._vision_info = self.create_publisher(VisionInfo, interface.VISION_INFO, LATCHED)
        self._label_info = self.create_publisher(LabelInfo, interface.LABEL_INFO, LATCHED)
        self._diagnostics = self.create_publisher(DiagnosticArray, interface.DIAGNOSTICS, 10)
        self.create_service(SetBool, '~/enable', self._enable)
        self._on_demand = OnDemand(self, self._worker, lambda: self._state == 'active')
        # Without autostart a manager activates the node, and nav2's expects a bond.
        bonds = None if self.parameters.autostart else bond.messages()
        self._bond = bond.Bond(self, bonds) if bonds else None
        self._jumped_at: deque[float] = deque(maxlen=MANY_JUMPS)
        self._jumps = self.get_clock().create_jump_callback(
            JumpThreshold(min_forward=None, min_backward=Duration(nanoseconds=-1),
                          on_clock_change=False), post_callback=self._time_jumped)
        # A steady clock: if simulated time stands still or jumps back, both timers still run.
        steady = Clock(clock_type=ClockType.STEADY_TIME)
        self.create_timer(WATCH_PERIOD_S, self._watch, clock=steady)
        self.create_timer(DIAGNOSTICS_PERIOD_S, self._diagnose, clock=steady)
        self.add_on_set_parameters_callback(self._check_parameters)
        call_after_setting(self, self._apply_parameters)

    # Lifecycle

    @log_errors
    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Load and warm up; FAILURE, with one sentence in the log, when that is impossible."""
        error = self._slot.configure(self.context.ok)
        if error:
            self.get_logger().error(f'Cannot configure: {error}')
            return FAILURE
        self._state = 'inactive'
        return super().on_configure(state)

    @log_errors
    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Subscribe and begin to answer."""
        self._worker.start()
        for stage in self._positions:
            stage.listen()
        for camera in self._cameras.values():
            camera.listen()
        self._state, self._watched_at = 'active', time.monotonic()
        topics = ', '.join(camera.topic for camera in self._cameras.values())
        self.get_logger().info(f'Active on {topics}.')
        if self._bond:
            self._bond.form()
        return super().on_activate(state)

    @log_errors
    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Stop answering and let the camera rest."""
        self._stop()
        self._state = 'inactive'
        self.get_logger().info('Deactivated: the camera is released.')
        return super().on_deactivate(state)

    @log_errors
    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Free the detector and its device."""
        self._release()
        for camera in self._cameras.values():
            camera.statistics.forget()
        self._state = 'unconfigured'
        self.get_logger().info('Cleaned up: the detector and its device are released.')
        return super().on_cleanup(state)

    @log_errors
    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Stop from any state."""
        self._stop()
        self._release()
        self._state = 'finalized'
        return super().on_shutdown(state)

    def on_error(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Go back to unconfigured, from where everything can be tried again."""
        self._stop()
        self._release()
        self._state = 'unconfigured'
        return super().on_error(state)

    def start(self) -> bool:
        """Configure and activate, as a lifecycle manager would; return whether it worked."""
        return self.trigger_configure() == SUCCESS and self.trigger_activate() == SUCCESS

    def close(self) -> None:
        """Stop the worker before the process ends, within ``STOP_WITHIN_S``."""
        self._stop(STOP_WITHIN_S)

    def callback_failed(self, error: Exception) -> None:
        """Log it, and let diagnostics warn for some seconds; see ``ros.process.spin``."""
        self._callback_error.note(f'A message, request or timer failed: {describe_error(error)}')
        self.get_logger().error(self._callback_error.recent(WARN_FOR_S), throttle_duration_sec=5.0)

    def _stop(self, timeout_s: float = 10.0) -> None:
        if self._bond:
            self._bond.end()
        for stage in self._positions:
            stage.stop()
        for camera in self._cameras.values():
            camera.stop()
        self._worker.stop(timeout_s)

    def _release(self) -> None:
        """Hold the detector no longer: neither slot, worker nor what watches its size."""
        self._slot.release()
        self._worker.release()
        self._memory.begin()

    def _announce(self) -> None:
        """Publish the latched messages again, because weights or thresholds have changed."""
        serving = self._slot.serving
        assert serving is not None  # the slot calls this when another one is in use
        detector, settings = serving.detector, serving.settings
        self._version += 1
        header = Header(stamp=self.get_clock().now().to_msg())
        self._vision_info.publish(MESSAGES.vision_info_message(
            header, detector.describe(), self._label_info.topic_name, self._version))
        self._label_info.publish(MESSAGES.label_info_message(
            header, detector.class_names, settings.score_threshold))

    # Parameters and services

    def _check_parameters(self, changes: list[Parameter]) -> SetParametersResult:
        try:
            wanted = changed(self.parameters, changes)
            self._slot.check(wanted)
        except ValueError as error:
            return SetParametersResult(successful=False, reason=one_line(error))
        return SetParametersResult(successful=True)

    def _apply_parameters(self, changes: list[Parameter]) -> None:
        before, self.parameters = self.parameters, changed(self.parameters, changes)
        for spec in fields(before):
            value = getattr(self.parameters, spec.name)
            if value != getattr(before, spec.name):
                self.get_logger().info(f'Parameter {spec.name} is now {quoted(value)}.')
        self._worker.apply(self.parameters)
        for stage in self._positions:
            stage.choose_target(self.parameters.scene_settings().target)
        self._slot.apply()

    def _update_slot(self) -> None:
        back = self._slot.update(time.monotonic())
        if back:
            self.set_parameters_atomically(
                [Parameter(name, value=value) for name, value in back.items()])

    def _enable(self, request: SetBool.Request, response: SetBool.Response) -> SetBool.Response:
        response.success = True
        response.message = 'Detecting.' if request.data else 'Paused: images are not looked at.'
        if request.data != self._worker.enabled:  # a caller may ask again and again
            self.get_logger().info(response.message)
        self._worker.enable(request.data)
        return response

    # Watching

    def _time_jumped(self, jump: TimeJump) -> None:
        self._worker.time_jumped()
        self._jumped_at.append(time.monotonic())
        if self._jumped_at[-1] - self._jumped_at[0] < WARN_FOR_S \
                and len(self._jumped_at) == MANY_JUMPS:
            self._callback_error.note('The time goes back again and again, which ends all tracks '
                                      'each time: only one node may publish /clock.')
        self.get_logger().info(f'Time went back by {-jump.delta.nanoseconds / 1e9:.1f} s; frames '
                               'and figures from before that are forgotten.',
                               throttle_duration_sec=5.0)

    def _watch(self) -> None:
        self._update_slot()
        if self._state != 'active':
            return
        self._notice_delay()
        self._receiver.keep_alive()
        self._worker.keep_alive()
        self._watch_memory()
        for camera in self._cameras.values():
            camera.follow()
            loss = camera.check_losses(time.monotonic())
            if loss:
                self.get_logger().warning(loss)
            elif loss is not None:
                self.get_logger().info(f'No more frames are lost on {camera.topic}.')
            warning = camera.watchdog.check(time.monotonic(), self.parameters.no_image_timeout_s,
                                            camera.why_silent)
            if warning:
                self.get_logger().warning(f'No image for {self.parameters.no_image_timeout_s:g} '
                                          f's: {warning}')
            elif warning is not None:
                self.get_logger().info(f'Images arrive on {camera.topic}.')

    def _notice_delay(self) -> None:
        """Warn when the executor's callbacks had to wait: nothing was watched or reported then.

        Where the whole process was stopped, images of that time were lost as well.
        """
        now = time.monotonic()
        late_s, self._watched_at = now - self._watched_at - WATCH_PERIOD_S, now
        if late_s > diagnostics.ANSWER_WITHIN_S:
            self._callback_error.note(
                f'This node was held up for {late_s:.1f} s: the process was stopped or starved, '
                'or a message or request took so long.')
            self.get_logger().warning(self._callback_error.recent(WARN_FOR_S))

    def _watch_memory(self) -> None:
        """Make subscriptions anew that hold too much memory.

        Fast DDS keeps a buffer for each message that waited, of the largest message's size: an
        image of 25 MB among small ones that come at 1000 Hz took 250 MB a second, without an end.
        """
        serving = self._slot.serving
        if not self._memory.is_large(serving.detector if serving else None):
            return
        self.get_logger().warning(
            'This process has grown much; its subscriptions are made anew, because the '
            'middleware keeps memory where images of very different sizes come on one topic.')
        for camera in self._cameras.values():
            camera.listen_anew()
        for stage in self._positions:
            stage.listen_anew()
        give_back_freed_memory()
        self._memory.begin()

    def _diagnose(self) -> None:
        name, state = self.get_fully_qualified_name(), self._state
        slot, worker = self._slot, self._worker
        if not worker.enabled:
            state += ', paused'
        failure, busy_s, serving = slot.failure, worker.busy_s(), slot.serving
        if busy_s > STUCK_S:
            failure = f'The detector has been working on one batch for {busy_s:.0f} s.'
        unanswered = {camera.name: self._unanswered(camera) for camera in self._cameras.values()}
        failure = failure or next(filter(None, unanswered.values()), '')
        entries = [diagnostics.detector_entry(
            name + interface.DETECTOR_ENTRY, state, failure,
            slot.warning or self._callback_error.recent(WARN_FOR_S),
            serving.detector if serving else None, {
                'weights sha256': serving.weights_hash if serving else '',
                'database version': str(self._version), **slot.last_error.values()})]
        for camera in self._cameras.values():
            problem, values = camera.statistics.report(self._frames.counts(camera.name))
            for stage in self._positions:
                values.update(stage.values(camera.name))
            # Named after the camera's topic whatever transport is in use: an aggregator takes a
            # name that is never reported again for a part that has failed.
            values['topic'] = camera.topic
            entries.append(diagnostics.camera_entry(
                f'{name}: {camera.image_topic}', state, camera.watchdog.complaint,
                unanswered[camera.name], camera.loss or problem, values))
        self._diagnostics.publish(diagnostics.array(self.get_clock().now(), entries))

    def _unanswered(self, camera: Camera) -> str:
        """Say so when images come and are not answered; the rate asked for may be a low one."""
        rate_hz = self.parameters.max_rate_hz
        allowed_s = diagnostics.ANSWER_WITHIN_S + (1 / rate_hz if rate_hz else 0.0)
        unanswered_s = camera.statistics.unanswered_s()
        if self._state != 'active' or not self._worker.enabled or unanswered_s <= allowed_s:
            return ''
        return f'Images arrive on {camera.topic}, but none was answered for {unanswered_s:.0f} s.'
