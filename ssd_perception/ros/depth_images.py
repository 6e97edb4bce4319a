"""Depth images of one camera: the one with an image's stamp, if it is registered to the image."""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable

import numpy as np
from sensor_msgs.msg import Image

from ssd_perception.core import interface
from ssd_perception.core.errors import UserError
from ssd_perception.core.frame import Frame
from ssd_perception.core.text import printable
from ssd_perception.scene.camera_model import CameraModel
from ssd_perception.scene.depth import ENCODINGS, DepthError, depth_in_metres

# Depth images that may still be needed: the network takes longer than they do.
KEPT = 12
MAX_BYTES = 1 << 27  # of them together; twelve of 2048x2048 in 16 bit have 100 MB
# A depth image belongs to an image whose stamp is no further away than this.
SAME_STAMP_S = 0.01
# A depth camera that was heard of within this time is expected to go on.
EXPECTED_S = 2.0
# Frames no further apart than this coincide: it moves a pixel by less than the detector's noise.
SAME_PLACE_M, SAME_ANGLE_RAD = 0.002, 0.002
# For so long a comparison of two frames is used again: a lookup that fails waits for 50 ms.
COMPARED_S = 1.0

Lookup = Callable[[str, str, int], np.ndarray]


class DepthImages:
    """Keeps the last depth images of a camera.

    Args:
        topic: theirs, for sentences.
        lookup: returns the transform (to, from, stamp), see ``Transforms.lookup``.
    """

    def __init__(self, topic: str, lookup: Lookup):
        self._topic, self._lookup = topic, lookup
        self._kept: deque[Image] = deque(maxlen=KEPT)
        self._heard = -np.inf
        # two frames, until when the comparison holds, and why they do not coincide
        self._compared: tuple[tuple[str, str], float, str] = (('', ''), -np.inf, '')

    def receive(self, message: Image) -> None:
        """Keep a depth image."""
        self._kept.append(message)
        while len(self._kept) > 1 and sum(len(d.data) for d in self._kept) > MAX_BYTES:
            self._kept.popleft()
        self._heard = time.monotonic()

    def forget(self) -> None:
        """The clock went back: these belong to no image to come."""
        self._kept.clear()
        self._compared = (('', ''), -np.inf, '')

    def at(self, frame: Frame, camera: CameraModel, required: bool) -> np.ndarray | None:
        """Return the depth image of an image, float32 (H, W) metres; NaN where nothing is.

        Args:
            frame: the image.
            camera: its model, whose size the depth image must have.
            required: whether positions need it even where no depth camera was heard of lately.

        Returns:
            None where there is no depth camera.

        Raises:
            DepthError: where the depth image is missing or is not registered to the image.
        """
        near = min(tuple(self._kept), default=None, key=lambda depth: _apart_s(depth, frame))
        if near is None or _apart_s(near, frame) > SAME_STAMP_S:
            if required or time.monotonic() - self._heard < EXPECTED_S:
                raise DepthError(f"No depth image on {self._topic} has the image's stamp.")
            return None
        if (near.width, near.height) != (camera.width, camera.height):
            raise DepthError(f'The depth image has {near.width}x{near.height}, the image '
                             f'{camera.width}x{camera.height}; publish it registered to the '
                             'image.')
        self._require_same_place(near.header.frame_id, frame)
        return depth_in_metres(depth_pixels(near), near.encoding)

    def _require_same_place(self, of: str, frame: Frame) -> None:
        """Refuse the depth of another camera, whose images have the same size.

        Simulators name two sensors at one place differently, and so do drivers whose depth is
        that of one of a pair of cameras; some send no frame_id.
        """
        if not of or not frame.frame_id or of == frame.frame_id:
            return
        pair, now = (of, frame.frame_id), time.monotonic()
        if self._compared[0] != pair or now > self._compared[1]:
            self._compared = pair, now + COMPARED_S, self._difference(of, frame)
        if self._compared[2]:
            raise DepthError(
                f'The depth image is of "{printable(of, 80)}", the image of '
                f'"{printable(frame.frame_id, 80)}"; publish it registered to the image and with '
                f'its frame_id, or let TF have both at one place ({self._compared[2]}).')

    def _difference(self, of: str, frame: Frame) -> str:
        """Return why two frames do not coincide at an image's stamp; empty where they do."""
        try:
            transform = self._lookup(frame.frame_id, of, frame.stamp_ns)
        except UserError as error:
            return str(error).rstrip('.')
        away, turn = np.linalg.norm(transform[:3, 3]), transform[:3, :3]
        # precise for small angles too, where the trace has lost half of its digits
        angle = 2 * math.asin(min(float(np.linalg.norm(turn - np.eye(3))) / 8 ** 0.5, 1.0))
        if away <= SAME_PLACE_M and angle <= SAME_ANGLE_RAD:
            return ''
        return f'by TF they are {1000 * away:.0f} mm and {math.degrees(angle):.1f} degrees apart'


def _apart_s(depth: Image, frame: Frame) -> float:
    return abs(interface.stamp_to_ns(depth.header.stamp) - frame.stamp_ns) / 1e9


def depth_pixels(message: Image) -> np.ndarray:
    """Return a depth image's values as they are, (H, W).

    Raises:
        DepthError: for an encoding that is no depth's, or less data than the size says.
    """
    if message.encoding not in ENCODINGS:
        raise DepthError(f'The depth image has the encoding "{printable(message.encoding, 40)}"; '
                         f'expected {" or ".join(ENCODINGS)}.')
    kind = ENCODINGS[message.encoding][0].newbyteorder('>' if message.is_bigendian else '<')
    step, height = message.step or message.width * kind.itemsize, message.height
    data = memoryview(message.data).cast('B')
    if step < message.width * kind.itemsize or len(data) < step * height:
        raise DepthError(f'The depth image has {len(data)} bytes; {message.width}x{height} '
                         f'{message.encoding} needs {height * message.width * kind.itemsize}.')
    rows = np.frombuffer(data, np.uint8, step * height).reshape(height, step)
    values = np.ascontiguousarray(rows[:, :message.width * kind.itemsize]).view(kind)
    return values.astype(kind.newbyteorder('='))
