"""Transforms at an image's stamp, from tf2_ros where that is installed."""

from __future__ import annotations

import importlib
from typing import Any

import numpy as np
from geometry_msgs.msg import TransformStamped
from rclpy.duration import Duration
from rclpy.node import Node
from rclpy.time import Time

from ssd_perception.core.errors import UserError
from ssd_perception.core.interface import MAX_FRAME_ID

# A transform is published some milliseconds after the image that needs it.
WAIT_S = 0.05


class TransformError(UserError):
    """A transform is not available; the text says which and what to do."""


class Transforms:
    """Listens to /tf and /tf_static.

    Args:
        node: whose subscriptions they are.

    Raises:
        TransformError: where tf2_ros is not installed.
    """

    def __init__(self, node: Node):
        try:
            tf2 = importlib.import_module('tf2_ros')
        except ImportError as error:
            raise TransformError('tf2_ros is not installed; install it, or set the parameter '
                                 'camera_mount.') from error
        self._failed, self._tf2, self._node = tf2.TransformException, tf2, node
        self._listen()

    def _listen(self) -> None:
        self._buffer = _checked(self._tf2.Buffer)()
        self._listener = self._tf2.TransformListener(self._buffer, self._node, spin_thread=False)

    def listen_anew(self) -> None:
        """Forget all frames: a buffer keeps each name for good. Static ones come again."""
        self._listener.unregister()
        self._listen()

    def forget(self) -> None:
        """Drop what is from before the clock went back, as tf2 does where it has a node's clock.

        The buffer would refuse what is older than its newest transform, or mix both times. Static
        transforms stay.
        """
        self._buffer.clear()

    def lookup(self, target: str, source: str, stamp_ns: int) -> np.ndarray:
        """Return the 4x4 transform from ``source`` to ``target`` at ``stamp_ns``.

        It waits for up to ``WAIT_S``: not to be called from the node's executor.

        Raises:
            TransformError: where there is none at that time.
        """
        try:
            return matrix(self._buffer.lookup_transform(
                target, source, Time(nanoseconds=stamp_ns), timeout=Duration(seconds=WAIT_S)))
        except self._failed as error:
            raise TransformError(f"No transform from {source} to {target} at the image's stamp: "
                                 f'{error}') from error


def _checked(buffer: Any) -> Any:
    """Return tf2_ros' class of buffers, made to ignore frames with names that are not printable.

    The library logs the names of transforms that it refuses, and escapes nothing in them.
    """
    class Checked(buffer):
        def set_transform(self, transform: TransformStamped, authority: str) -> None:
            if _is_named(transform):
                super().set_transform(transform, authority)

        def set_transform_static(self, transform: TransformStamped, authority: str) -> None:
            if _is_named(transform):
                super().set_transform_static(transform, authority)
    return Checked


def _is_named(transform: TransformStamped) -> bool:
    return all(len(name) <= MAX_FRAME_ID and name.isprintable()
               for name in (transform.header.frame_id, transform.child_frame_id))


def matrix(message: TransformStamped) -> np.ndarray:
    """Return a transform as float64 (4, 4).

    Raises:
        TransformError: for one that is no rotation and translation.
    """
    q, t = message.transform.rotation, message.transform.translation
    turn, away = np.array([q.x, q.y, q.z, q.w]), np.array([t.x, t.y, t.z])
    length = np.linalg.norm(turn)
    if not 0.9 < length < 1.1 or not np.isfinite(away).all():
        raise TransformError(
            f'The transform from {message.child_frame_id} to {message.header.frame_id} is '
            f'invalid: its quaternion has the length {length:g}, its translation is '
            f'{away.tolist()}.')
    x, y, z, w = turn / length
    result = np.eye(4)
    result[:3, :3] = [
        [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
        [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
        [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)]]
    result[:3, 3] = away
    return result
