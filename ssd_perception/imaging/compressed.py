"""JPEG and PNG blobs to RGB: size and completeness are read from the bytes before decoding."""

from __future__ import annotations

import struct

import cv2
import numpy as np

# 64 million pixels, 192 MB decoded: more than any camera on a rover, less than its memory.
MAX_PIXELS = 1 << 26
# A progressive JPEG has about ten; each is a pass over the whole picture, so a small file with
# thousands of them would keep the decoder busy for minutes.
MAX_SCANS = 100

_PNG = b'\x89PNG\r\n\x1a\n'
_JPEG = b'\xff\xd8\xff'
# Start-of-frame markers; C4, C8 and CC lie between them and mean something else.
_FRAME_MARKERS = set(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_SCAN_MARKER = 0xDA


class ImageError(ValueError):
    """A message holds no usable picture; one sentence says what was expected and found."""


def decode(data) -> np.ndarray:
    """Return a JPEG or PNG blob as uint8 (H, W, 3) RGB; 16 bit, grey and alpha are reduced.

    An orientation note inside the file is ignored: boxes are in the pixels as stored.

    Raises:
        ImageError: for another format, a truncated or corrupt blob, or one whose header
            announces more than ``MAX_PIXELS`` or that has more than ``MAX_SCANS``.
    """
    blob = np.frombuffer(data, np.uint8)
    width, height = _size(memoryview(blob))
    what = f'A compressed picture of {len(blob)} bytes, {width}x{height}'
    if width * height > MAX_PIXELS:
        raise ImageError(f'{what}, has more than the {MAX_PIXELS} pixels allowed.')
    if width == 0 or height == 0:
        raise ImageError(f'{what}, has no pixels.')
    try:
        bgr = cv2.imdecode(blob, cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION)
    except cv2.error:
        bgr = None
    if bgr is None or bgr.shape[:2] != (height, width):
        raise ImageError(f'{what}, cannot be decoded; it is corrupt.')
    return cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB, dst=bgr)


def encode_jpeg(rgb: np.ndarray, quality: int) -> np.ndarray:
    """Return uint8 (H, W, 3) RGB as the bytes of a JPEG, uint8 (n,)."""
    _, blob = cv2.imencode('.jpg', cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR),
                           [cv2.IMWRITE_JPEG_QUALITY, quality])
    return blob.reshape(-1)


def _size(blob: memoryview) -> tuple[int, int]:
    """Return the width and height that the header announces; refuse a truncated blob."""
    head = bytes(blob[:24])
    if head.startswith(_PNG) and len(head) == 24 and head[12:16] == b'IHDR':
        if b'IEND' not in bytes(blob[-64:]):
            raise ImageError(f'A PNG of {len(blob)} bytes ends before its end mark; it is '
                             'truncated.')
        return struct.unpack('>II', head[16:24])
    if head.startswith(_JPEG):
        return _jpeg_size(blob)
    raise ImageError(f'A compressed picture of {len(blob)} bytes must be JPEG or PNG, but begins '
                     f'with {head[:8].hex(" ") or "nothing"}.')


def _jpeg_size(blob: memoryview) -> tuple[int, int]:
    # Within a scan a 0xFF is never followed by 0xDA; a thumbnail in the head may add a few.
    if bytes(blob).count(b'\xff\xda') > MAX_SCANS:
        raise ImageError(f'A JPEG of {len(blob)} bytes has more than the {MAX_SCANS} scans '
                         'allowed.')
    position, size = 2, None
    while position + 9 <= len(blob) and blob[position] == 0xFF:
        marker = blob[position + 1]
        if marker == 0xFF:  # a fill byte
            position += 1
            continue
        if marker in _FRAME_MARKERS and size is None:
            height, width = struct.unpack('>HH', blob[position + 5:position + 9])
            size = width, height
        if marker == _SCAN_MARKER and size is not None:
            # Within the scan a 0xFF is always followed by 0, so the end mark is unique there.
            # libjpeg would fill what is missing with grey, where nothing can be detected.
            if bytes(blob[position:]).rfind(b'\xff\xd9') < 0:
                break
            return size
        position += 2 + struct.unpack('>H', blob[position + 2:position + 4])[0]
    raise ImageError(f'A JPEG of {len(blob)} bytes ends before its end mark; it is truncated or '
                     'corrupt.')
