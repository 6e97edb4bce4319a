"""The thread that takes images from the middleware.

For each message rclpy's executor makes two wait sets of everything in the node, which takes more
processor time than to take the image. This thread waits for the images of all cameras and for
nothing else.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from typing import Any, cast

from rclpy.callback_groups import CallbackGroup
from rclpy.guard_condition import GuardCondition
from rclpy.impl.implementation_singleton import rclpy_implementation
from rclpy.node import Node
from rclpy.subscription import Subscription

_LONGEST_WAIT_NS = 1_000_000_000
_PAUSE_S = 0.1  # after an error of the middleware
_RELEASE_WITHIN_S = 2.0


class _ReceiverGroup(CallbackGroup):
    """A callback group whose members the executor neither waits for nor runs.

    Events of a subscription are members, too: in Fast DDS whoever waits for one wakes up for each
    message.
    """

    def can_execute(self, entity: Any) -> bool:
        return False

    def beginning_execution(self, entity: Any) -> bool:
        return False

    def ending_execution(self, entity: Any) -> None:
        pass


class Receiver:
    """Runs the callbacks of subscriptions and of their events in a thread, while there are any.

    Args:
        node: whose subscriptions they are.
        failed: called with what a callback, or the middleware, has raised.

    Attributes:
        group: the callback group to make these subscriptions in; None, the node's own, where rclpy
            has other wait sets than it had from Humble to Kilted: then the executor runs them.
    """

    def __init__(self, node: Node, failed: Callable[[Exception], object]):
        self._context, self._failed = node.context, failed
        self._lock = threading.Condition()  # held while a callback runs
        self._subscriptions: tuple[Subscription, ...] = ()
        self._waited_for: tuple[Subscription, ...] = ()
        self._thread: threading.Thread | None = None
        self._changed = GuardCondition(None, None, context=node.context)
        self._context.on_shutdown(self._wake)
        self.group: CallbackGroup | None = _ReceiverGroup()
        try:
            self._wait_once()
        except (AttributeError, TypeError):
            self.group = None

    def add(self, subscription: Subscription) -> None:
        """Run the callback of a subscription in ``group`` from now on."""
        if self.group is None:
            return
        with self._lock:
            self._subscriptions += (subscription,)
            if self._thread is None:
                self._start()
        self._wake()

    def keep_alive(self) -> None:
        """Start the thread anew if it has died, or could not be started."""
        thread = self._thread
        if thread is None or thread.is_alive():
            return
        error = RuntimeError('the thread that receives images had ended; it is started again')
        with self._lock:
            if self._thread is not thread:
                return
            try:
                self._start()
            except RuntimeError as failure:  # the system gives this process no more threads
                error = failure
        self._failed(error)

    def _start(self) -> None:
        self._thread = threading.Thread(target=self._run, name='receiver', daemon=True)
        self._thread.start()

    def remove(self, subscription: Subscription) -> None:
        """Run its callback no longer, and wait until the thread holds it no longer.

        The middleware destroys it only then, and refuses another type of message on its topic
        before that.
        """
        with self._lock:
            self._subscriptions = tuple(s for s in self._subscriptions if s is not subscription)
            self._wake()
            self._lock.wait_for(lambda: subscription not in self._waited_for, _RELEASE_WITHIN_S)

    def _wake(self) -> None:
        self._changed.trigger()

    def _run(self) -> None:
        while True:
            with self._lock:
                subscriptions = self._subscriptions if self._context.ok() else ()
                self._waited_for = subscriptions
                self._lock.notify_all()
                if not subscriptions:
                    self._thread = None
                    return
            try:
                self._receive(subscriptions)
            except rclpy_implementation.InvalidHandle:  # destroyed, with its node
                with self._lock:
                    if subscriptions is self._subscriptions:
                        self._subscriptions = ()
            except Exception as error:
                if self._context.ok():
                    self._failed(error)
                    time.sleep(_PAUSE_S)

    def _receive(self, subscriptions: tuple[Subscription, ...]) -> None:
        """Wait for these subscriptions, again and again, until there are others."""
        # Jazzy's rclpy has a wrong type for the list of handlers.
        events = [event for subscription in subscriptions
                  for event in cast(Any, subscription).event_handlers]
        with ExitStack() as held:  # nothing is destroyed while it is waited for
            entities: list[Any] = [self._context.handle, self._changed.handle, *events,
                                   *(subscription.handle for subscription in subscriptions)]
            for entity in entities:
                held.enter_context(entity)
            wait_set = self._wait_set(subscriptions, events)
            while subscriptions is self._subscriptions and self._context.ok():
                wait_set.clear_entities()
                wait_set.add_guard_condition(self._changed.handle)
                for subscription in subscriptions:
                    wait_set.add_subscription(subscription.handle)
                for event in events:
                    event.add_to_wait_set(wait_set)
                wait_set.wait(_LONGEST_WAIT_NS)
                for event in events:
                    if event.is_ready(wait_set):
                        self._call(event.callback, event.take_data())
                ready = wait_set.get_ready_entities('subscription')
                for subscription in subscriptions:
                    if subscription.handle.pointer in ready:
                        self._take(subscription)

    def _wait_once(self) -> None:
        """Call what ``_receive`` calls of a wait set, which is no public part of rclpy."""
        context: Any = self._context.handle
        with context, self._changed.handle:
            wait_set = self._wait_set((), ())
            wait_set.clear_entities()
            wait_set.add_guard_condition(self._changed.handle)
            _ = wait_set.add_subscription  # without one it cannot be called
            wait_set.wait(0)
            wait_set.get_ready_entities('subscription')

    def _wait_set(self, subscriptions: Sequence[Subscription], events: Sequence[Any]) -> Any:
        context: Any = self._context.handle
        return rclpy_implementation.WaitSet(len(subscriptions), 1, 0, 0, 0, len(events), context)

    def _take(self, subscription: Subscription) -> None:
        """Take one message, so that each camera has its turn."""
        try:
            taken = subscription.handle.take_message(subscription.msg_type, subscription.raw)
        except Exception as error:  # not of this form
            self._failed(error)
            return
        with self._lock:
            if subscription in self._subscriptions:
                self._call(subscription.callback, taken and taken[0])

    def _call(self, callback: Callable, message: Any) -> None:
        """Run a callback, unless somebody else has taken what it was to be called with."""
        try:
            if message is not None:
                callback(message)
        except Exception as error:
            self._failed(error)
