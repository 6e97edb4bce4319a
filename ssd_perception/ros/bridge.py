"""Use the distribution's cv_bridge where it agrees with our own conversion, else our own.

cv_bridge 3.4 returns wrong pixels, without an error, for rows of three channels whose padding is
no multiple of three: it is given images without padding alone.
"""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from collections.abc import Callable

import numpy as np
from sensor_msgs.msg import CompressedImage, Image

from ssd_perception.imaging.encodings import ENCODINGS, to_rgb

SELF_TEST_TIMEOUT_S = 20


def choose_converter() -> tuple[Callable[[Image | CompressedImage], np.ndarray], str]:
    """Return the message -> RGB function to use, and one line that says what it is."""
    if importlib.util.find_spec('cv_bridge') is None:
        return to_rgb, 'own image conversion'
    # In a child: a cv_bridge compiled against numpy 1 kills the process when it meets numpy 2.
    try:
        child = subprocess.run([sys.executable, '-m', __name__], capture_output=True, text=True,
                               timeout=SELF_TEST_TIMEOUT_S)
        trusted = frozenset(json.loads(child.stdout)) if child.returncode == 0 else frozenset()
    except (subprocess.SubprocessError, OSError, ValueError):
        trusted = frozenset()
    if not trusted:
        return to_rgb, 'own image conversion, as cv_bridge does not run with this numpy'
    convert = _cv_bridge()

    def bridged(message: Image | CompressedImage) -> np.ndarray:
        # Our own converts what cv_bridge refuses or gets wrong, and says what is wrong with it.
        if isinstance(message, Image) and message.encoding in trusted and _is_tight(message):
            try:
                return convert(message)
            except Exception:
                pass
        return to_rgb(message)
    return bridged, f'cv_bridge for {len(trusted)} encodings, own conversion for the others'


def trusted_encodings(convert: Callable[[Image], np.ndarray]) -> list[str]:
    """Return the encodings in which ``convert`` agrees with our own conversion.

    Every encoding is tried without padding and, where that means something, big-endian. None is
    returned when plain bgr8 already fails.
    """
    agreed = [encoding for encoding in ENCODINGS
              if all(_agrees(convert, message) for message in _samples(encoding))]
    return agreed if 'bgr8' in agreed else []


def _agrees(convert: Callable[[Image], np.ndarray], message: Image) -> bool:
    try:
        found = np.asarray(convert(message))
    except Exception:
        return False
    wanted = to_rgb(message)
    return found.dtype == wanted.dtype and np.array_equal(found, wanted)


def _samples(encoding: str) -> list[Image]:
    layout = ENCODINGS[encoding]
    height, width, rng = 6, 8, np.random.default_rng(0)
    row = width * layout.channels * np.dtype(layout.dtype).itemsize
    return [Image(height=height, width=width, encoding=encoding, step=row, is_bigendian=big,
                  data=rng.integers(0, 256, int(height * layout.rows) * row, np.uint8).tobytes())
            for big in ((0, 1) if layout.dtype is np.uint16 else (0,))]


def _is_tight(message: Image) -> bool:
    """Say whether rows follow each other without padding."""
    layout = ENCODINGS[message.encoding]
    return message.step == message.width * layout.channels * np.dtype(layout.dtype).itemsize


def _cv_bridge() -> Callable[[Image], np.ndarray]:
    from cv_bridge import CvBridge
    bridge = CvBridge()
    return lambda message: bridge.imgmsg_to_cv2(message, 'rgb8')


if __name__ == '__main__':
    print(json.dumps(trusted_encodings(_cv_bridge())))
