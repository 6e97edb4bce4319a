"""Random camera messages: right ones, nearly right ones and nonsense."""

from __future__ import annotations

import struct

import cv2
import numpy as np
from builtin_interfaces.msg import Time
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import Header

from ssd_perception.imaging.encodings import ENCODINGS

UNKNOWN = ('', '32FC1', '64FC4', 'banana', 'rgb8 ', 'RGB8', 'bayer_rggb12', 'é' * 20, 'x' * 5000)
EXTREMES = (0, 1, 2, 3, 255, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)


class Random:
    """Draws messages; the same seed draws the same ones.

    Args:
        largest_side: of the pictures, px.
    """

    def __init__(self, seed: int, largest_side: int = 64):
        self.rng = np.random.default_rng(seed)
        self._side = largest_side

    def chance(self, probability: float) -> bool:
        return self.rng.random() < probability

    def choice(self, values):
        return values[int(self.rng.integers(len(values)))]

    def header(self) -> Header:
        """Stamps of zero, of the past, the future and before 1970; names of any kind."""
        return Header(
            stamp=Time(sec=int(self.choice((0, 1, -1, -2 ** 31, 2 ** 31 - 1,
                                            self.rng.integers(2 ** 31)))),
                       nanosec=int(self.choice((0, 999_999_999, 2 ** 32 - 1)))),
            frame_id=self.choice(('', 'camera', 'a/b', 'ü' * 3, 'x' * 300)))

    def image(self) -> Image:
        """Return an image of a known encoding that is right, or wrong in one or two fields."""
        encoding = self.choice(sorted(ENCODINGS))
        layout = ENCODINGS[encoding]
        width, height = (int(side) for side in self.rng.integers(1, self._side + 1, 2))
        if self.chance(0.7):
            width, height = width + width % 2, height + height % 2
        row = width * layout.channels * np.dtype(layout.dtype).itemsize
        step = row + int(self.choice((0, 0, 1, 7, 64)))
        size = int(height * layout.rows) * step
        message = Image(header=self.header(), width=width, height=height, encoding=encoding,
                        step=step, is_bigendian=int(self.choice((0, 0, 1, 255))),
                        data=self.rng.bytes(size))
        while self.chance(0.3):
            self._spoil(message, size)
        return message

    def _spoil(self, message: Image, size: int) -> None:
        field = self.choice(('width', 'height', 'step', 'encoding', 'data', 'data'))
        if field == 'encoding':
            message.encoding = self.choice(UNKNOWN)
        elif field == 'data':
            length = int(self.choice((0, 1, size - 1, size // 2, size + 1, 2 * size)))
            message.data = self.rng.bytes(max(0, length))
        else:
            now = getattr(message, field)
            value = self.choice((*EXTREMES, now + 1, max(0, now - 1), 2 * now))
            setattr(message, field, min(value, 0xFFFFFFFF))

    def blob(self) -> CompressedImage:
        """Return a JPEG or PNG, whole or damaged, or bytes that only begin like one."""
        if self.chance(0.2):
            head = self.choice((b'', b'\xff\xd8\xff', b'\x89PNG\r\n\x1a\n', b'GIF89a', b'RIFF'))
            data = head + self.rng.bytes(int(self.rng.integers(200)))
        else:
            data = self._damaged(self._encoded())
        return CompressedImage(header=self.header(), data=data,
                               format=self.choice(('jpeg', 'png', '', 'x' * 500)))

    def _encoded(self) -> bytes:
        width, height = self.rng.integers(1, self._side + 1, 2)
        channels, dtype = self.choice(((1, np.uint8), (3, np.uint8), (4, np.uint8),
                                       (1, np.uint16), (3, np.uint16)))
        pixels = self.rng.integers(0, np.iinfo(dtype).max, (height, width, channels), dtype)
        if dtype is np.uint16 or channels == 4 or self.chance(0.3):
            return cv2.imencode('.png', pixels)[1].tobytes()
        options = [cv2.IMWRITE_JPEG_QUALITY, int(self.choice((1, 50, 100))),
                   cv2.IMWRITE_JPEG_PROGRESSIVE, int(self.chance(0.3)),
                   cv2.IMWRITE_JPEG_RST_INTERVAL, int(self.choice((0, 1, 3)))]
        return cv2.imencode('.jpg', pixels, options)[1].tobytes()

    def _damaged(self, data: bytes) -> bytes:
        found = bytearray(data)
        while self.chance(0.6):
            at = int(self.rng.integers(len(found)))
            how = self.choice(('byte', 'byte', 'head', 'size', 'cut', 'repeat', 'insert'))
            if how == 'byte':
                found[at] = int(self.rng.integers(256))
            elif how == 'head':
                found[min(at, len(found) - 1) % 40] = int(self.rng.integers(256))
            elif how == 'size' and len(found) > 24:  # a PNG's; in a JPEG just damage
                found[16:24] = struct.pack('>II', *(int(self.choice(EXTREMES)) for _ in '12'))
            elif how == 'cut':
                del found[at:]
            elif how == 'repeat':
                found[at:at] = found[at:at + int(self.rng.integers(500))]
            elif how == 'insert':
                found[at:at] = self.choice((b'\xff\xda', b'\xff\xc0', b'\xff\xd9', b'IEND'))
            if not found:
                break
        return bytes(found)
