"""JPEG and PNG blobs to arrays: size and completeness are read from the bytes before decoding."""

from __future__ import annotations

import struct
from array import array
from collections.abc import Callable
from typing import NamedTuple

import cv2
import numpy as np

from ssd_perception.core.errors import UserError
from ssd_perception.imaging.jpeg import has_end, has_too_many_scans, read_head

# 8K, 100 MB decoded: more pixels than any camera of a rover has, and much less than its memory.
MAX_PIXELS = 1 << 25
# px; OpenCV neither resizes beyond 32767 nor writes a JPEG beyond 65500.
MAX_SIDE = 1 << 14
# Neither format compresses more: deflate reaches at most 1032 to 1, and a JPEG needs at least one
# bit for every 8x8 block. A header that claims more pixels is damaged or an attack.
MAX_PIXELS_PER_BYTE = 1100
# libpng writes one for every 8 kB. Megabytes of empty ones would take seconds.
MAX_CHUNKS = 100_000

# The network's input is averaged from at least so many decoded pixels in each direction.
LEAST_RATIO = 1.5

# OpenCV before 4.11 gives BGR only; its own names for a smaller image in colour include the
# flag for BGR.
_RGB = getattr(cv2, 'IMREAD_COLOR_RGB', 0)
_SHRUNK = {1: 0, 2: cv2.IMREAD_REDUCED_GRAYSCALE_2, 4: cv2.IMREAD_REDUCED_GRAYSCALE_4,
           8: cv2.IMREAD_REDUCED_GRAYSCALE_8}
# What a message's data come as, from rclpy, from a recording or from a file.
Buffer = bytes | bytearray | memoryview | array | np.ndarray

# Height and width of an image, px -> of what the network sees of it.
Seen = Callable[[int, int], tuple[int, int]]

_PNG = b'\x89PNG\r\n\x1a\n'
_JPEG = b'\xff\xd8\xff'


class ImageError(UserError, ValueError):
    """A message holds no usable image; one sentence says what was expected and found."""


def decode(data: Buffer) -> np.ndarray:
    """Return a JPEG or PNG blob as uint8 (H, W, 3) RGB; 16 bit, grey and alpha are reduced.

    An orientation note inside the file is ignored: boxes are in the pixels as stored.

    Raises:
        ImageError: for another format, a truncated or corrupt blob, or one whose header
            announces more than ``MAX_PIXELS`` or that has too many scans.
    """
    return _decode(np.frombuffer(data, np.uint8), lambda width, height: 1)[0]


def decode_shrunk(data: Buffer, seen: Seen,
                  least: float = LEAST_RATIO) -> tuple[np.ndarray, int]:
    """Decode a JPEG at a half, a quarter or an eighth where the network sees less anyway.

    Args:
        seen: height, width of an image -> height, width of what the network sees of it.
        least: times as many pixels as seen that must be left in each direction.

    Returns:
        uint8 (h, w, 3) RGB, and the factor, 1 to 8, that takes its pixels to those of the
        image; a PNG, and an image that no factor divides, come whole.

    Raises:
        ImageError: as ``decode``.
    """
    blob = np.frombuffer(data, np.uint8)

    def factor(width: int, height: int) -> int:
        height_seen, width_seen = seen(height, width)
        # Only what divides the image: else its last pixels would stand for less than others,
        # and boxes would be off.
        return next((f for f in (8, 4, 2) if height % f == 0 and width % f == 0
                     and height >= f * least * height_seen and width >= f * least * width_seen),
                    1)
    return _decode(blob, factor)


def decode_grey(data: Buffer) -> np.ndarray:
    """Return a JPEG or PNG blob of one channel as (H, W), uint8 or, from a PNG, uint16.

    Raises:
        ImageError: as ``decode``.
    """
    blob = np.frombuffer(data, np.uint8)
    what = _check(blob, read_header(blob.data))
    pixels = _imdecode(blob, cv2.IMREAD_GRAYSCALE | cv2.IMREAD_ANYDEPTH)
    if pixels is None:
        raise ImageError(f'{what}, cannot be decoded; it is corrupt.')
    return pixels


def _check(blob: np.ndarray, header: Header) -> str:
    """Refuse impossible sizes; return the image in words, for further messages."""
    width, height = header.width, header.height
    what = f'A compressed image of {len(blob)} bytes, {width}x{height}'
    if width * height > MAX_PIXELS or max(width, height) > MAX_SIDE:
        raise ImageError(f'{what}, has more than the {MAX_PIXELS} pixels, or {MAX_SIDE} a side, '
                         'allowed.')
    if width * height > MAX_PIXELS_PER_BYTE * len(blob):
        raise ImageError(f'{what}, has too few bytes for so many pixels; it is corrupt.')
    if width == 0 or height == 0:
        raise ImageError(f'{what}, has no pixels.')
    return what


def _imdecode(blob: np.ndarray, flags: int) -> np.ndarray | None:
    try:
        return cv2.imdecode(blob, flags | cv2.IMREAD_IGNORE_ORIENTATION)
    except cv2.error:
        return None


def imdecode_rgb(blob: np.ndarray, shrunk: int = 0) -> np.ndarray | None:
    """Return what OpenCV decodes as uint8 (H, W, 3) RGB, not turned; None where it cannot.

    The caller has looked at the header: OpenCV allocates what it claims.

    Args:
        shrunk: OpenCV's flag for a smaller image.
    """
    pixels = _imdecode(blob, shrunk | (_RGB or cv2.IMREAD_COLOR))
    return pixels if _RGB or pixels is None else cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB)


def _decode(blob: np.ndarray, factor: Callable[[int, int], int]) -> tuple[np.ndarray, int]:
    header = read_header(blob.data)
    what = _check(blob, header)
    # Only JPEG is decoded faster when shrunk: fewer and smaller inverse cosine transforms.
    shrink = factor(header.width, header.height) if blob[0] == _JPEG[0] else 1
    pixels = imdecode_rgb(blob, _SHRUNK[shrink])
    if pixels is None or pixels.shape[:2] != (header.height // shrink, header.width // shrink):
        raise ImageError(f'{what}, cannot be decoded; it is corrupt.')
    return pixels, shrink


def encode_jpeg(rgb: np.ndarray, quality: int = 88) -> np.ndarray:
    """Return uint8 (H, W, 3) RGB as the bytes of a JPEG, uint8 (n,).

    Args:
        quality: as libjpeg has it, 1 to 100.
    """
    _, blob = cv2.imencode('.jpg', cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR),
                           [cv2.IMWRITE_JPEG_QUALITY, quality])
    return blob.reshape(-1)


class Header(NamedTuple):
    """What the header of a JPEG or PNG announces: pixels, and channels (1 is grey)."""

    width: int
    height: int
    channels: int


def is_jpeg_or_png(data: Buffer) -> bool:
    """Say whether a blob begins as one of the two does."""
    return bytes(np.frombuffer(data, np.uint8, min(8, len(data)))).startswith((_PNG, _JPEG))


def read_header(blob: memoryview) -> Header:
    """Return what the header announces; refuse a truncated blob.

    Raises:
        ImageError: for a blob of another format, or one that ends too early.
    """
    head = bytes(blob[:26])
    if head.startswith(_PNG) and len(head) == 26 and head[12:16] == b'IHDR':
        _check_chunks(blob)
        width, height = struct.unpack('>II', head[16:24])
        return Header(width, height, channels=1 if head[25] == 0 else 3)
    if head.startswith(_JPEG):
        return _jpeg_header(blob)
    raise ImageError(f'A compressed image of {len(blob)} bytes must be JPEG or PNG, but begins '
                     f'with {head[:8].hex(" ") or "nothing"}.')


def _check_chunks(blob: memoryview) -> None:
    """Refuse a PNG whose chunks do not end where it does: OpenCV allocates what they announce."""
    position = len(_PNG)
    for _ in range(MAX_CHUNKS):
        if position + 12 > len(blob):
            break
        length, kind = struct.unpack('>I4s', blob[position:position + 8])
        position += 12 + length
        if kind == b'IEND' and position <= len(blob):
            return
    raise ImageError(f'A PNG of {len(blob)} bytes ends before its end mark; it is truncated or '
                     'corrupt.')


def _jpeg_header(blob: memoryview) -> Header:
    data = bytes(blob)
    head = read_head(data)
    if has_too_many_scans(data, head):
        raise ImageError(f'A JPEG of {len(data)} bytes has more scans than are decoded.')
    if head.scan < 0 or not head.channels or not has_end(data, head.scan):
        raise ImageError(f'A JPEG of {len(data)} bytes ends before its end mark; it is truncated '
                         'or corrupt.')
    return Header(head.width, head.height, head.channels)
