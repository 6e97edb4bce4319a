"""Run a node as a process: signals, exit codes, and one sentence for what went wrong."""

from __future__ import annotations

import functools
import gc
import os
import signal
import sys
import time
from collections.abc import Callable
from typing import Any

import rclpy
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn

from ssd_perception.core.memory import keep_freed_memory
from ssd_perception.core.text import describe_error, one_line
from ssd_perception.ros.parameters import ParameterError


def run(make: Callable, arguments: list[str] | None = None) -> None:
    """Run until a signal, then leave the process: 0 after a signal, 1 when it cannot work.

    Args:
        make: makes the node, which has ``parameters``, ``start``, ``close`` and
            ``callback_failed``.
        arguments: of the command line; None takes the process's own.
    """
    # rclpy's own handlers, installed by init, end the spinning. They pass SIGINT on to Python's,
    # whose KeyboardInterrupt could then strike anywhere, so that one is replaced.
    signal.signal(signal.SIGINT, lambda *_: None)
    # A decoded 1920x1080 frame has 2000 pages; to zero them took 6 of 13 ms.
    keep_freed_memory(block=32 << 20, unused=64 << 20)
    gc.freeze()  # what was imported stays; searching it for garbage took 2 % of the time
    node, code, initialised = None, 0, False
    try:
        rclpy.init(args=arguments)
        initialised = True
        node = make()
        if node.parameters.autostart and not node.start():
            code = 1
        else:
            spin(node)
    except (ExternalShutdownException, SystemExit):
        pass
    except ParameterError as error:
        code = _complain(one_line(error))
    except Exception as error:
        # Whatever breaks after a signal breaks because of it: the context is gone by then, even
        # while the node is still being made.
        if not initialised or rclpy.ok():
            code = _complain(f'{type(error).__name__}: {one_line(error)}')
    if node is not None:
        node.close()
        node.destroy_node()  # other nodes learn of it at once, not when a lease ends
    rclpy.try_shutdown()
    sys.stdout.flush()
    sys.stderr.flush()
    # Nothing is left to save, and an interpreter with torch in it takes seconds to dissolve, or
    # crashes when a thread is still loading inside native code.
    os._exit(code)


# Callbacks of timers run in between, so nothing but failures for so long is a broken executor.
BROKEN_AFTER_S = 10.0


def spin(node: Any) -> None:
    """Run callbacks until the context ends; one that fails costs itself, and not the node.

    rclpy's own services raise where a request is malformed, as a parameter of an unknown type is.

    Args:
        node: has ``callback_failed``, which is called with the exception.
    """
    executor = SingleThreadedExecutor()
    executor.add_node(node)
    failing_since: float | None = None
    try:
        while executor.context.ok():
            try:
                executor.spin_once()
                failing_since = None
            except ExternalShutdownException:
                raise
            except Exception as error:
                failing_since = failing_since or time.monotonic()
                if not rclpy.ok() or time.monotonic() - failing_since > BROKEN_AFTER_S:
                    raise
                node.callback_failed(error)
    finally:
        executor.remove_node(node)


def _complain(message: str) -> int:
    print(f'detector_node: {message}', file=sys.stderr)
    return 1


Transition = Callable[[Any, LifecycleState], TransitionCallbackReturn]


def log_errors(transition: Transition) -> Transition:
    """Wrap ``on_...`` of a lifecycle node: an exception is logged and becomes ERROR.

    rclpy turns it into ERROR as well, but silently.
    """
    @functools.wraps(transition)
    def wrapped(node: LifecycleNode, state: LifecycleState) -> TransitionCallbackReturn:
        try:
            return transition(node, state)
        except Exception as error:
            verb = transition.__name__.removeprefix('on_').replace('_', ' ')
            node.get_logger().error(f'Cannot {verb}: {describe_error(error)}')
            return TransitionCallbackReturn.ERROR
    return wrapped
