"""The service ~/detect: one frame's detections on demand, also while detection is paused."""

from __future__ import annotations

import threading
from collections.abc import Callable

from rclpy.callback_groups import ReentrantCallbackGroup
from rclpy.clock import Clock, ClockType
from rclpy.node import Node
from rclpy.task import Future
from std_srvs.srv import Trigger

from ssd_perception.ros.worker import Worker

ANSWER_WITHIN_S = 5.0
MAX_CALLERS = 100  # that wait at a time: each has a timer of its own


class OnDemand:
    """Answers with the next frame, which is published like any other.

    The node's executor answers the call, and runs timers and other services meanwhile.

    Args:
        node: whose service it is.
        worker: detects.
        is_active: whether images are subscribed to.
    """

    def __init__(self, node: Node, worker: Worker, is_active: Callable[[], bool]):
        self._node, self._worker, self._is_active = node, worker, is_active
        self._lock = threading.Lock()
        self._answers: list[tuple[Future, str]] = []
        self._callers = 0
        self._answered = node.create_guard_condition(self._deliver)
        # A group of its own: a waiting call must not hold up timers and other services.
        node.create_service(Trigger, '~/detect', self._detect,
                            callback_group=ReentrantCallbackGroup())

    async def _detect(self, request: Trigger.Request,
                      response: Trigger.Response) -> Trigger.Response:
        if not self._is_active():
            response.message = 'The node is not active; activate it first.'
            return response
        if self._callers >= MAX_CALLERS:
            response.message = f'{MAX_CALLERS} callers wait already; try again later.'
            return response
        self._callers += 1
        future: Future = Future(executor=self._node.executor)

        def answer(text: str) -> None:  # called by the worker's thread
            with self._lock:
                self._answers.append((future, text))
            self._answered.trigger()

        def give_up() -> None:
            if not future.done():
                future.set_result('')

        # Steady, so that a sim time that stands still does not hold up the answer.
        timer = self._node.create_timer(ANSWER_WITHIN_S, give_up,
                                        clock=Clock(clock_type=ClockType.STEADY_TIME))
        self._worker.detect_next(answer)
        try:
            text = await future
        finally:
            self._callers -= 1
            self._node.destroy_timer(timer)
            self._worker.forget_next(answer)
        response.success = bool(text)
        response.message = text or (f'No image was answered within {ANSWER_WITHIN_S:g} s; see '
                                    '/diagnostics.')
        return response

    def _deliver(self) -> None:
        with self._lock:
            answers, self._answers = self._answers, []
        for future, text in answers:
            if not future.done():
                future.set_result(text)
