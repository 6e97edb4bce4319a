"""Every encoding of sensor_msgs/Image, and CompressedImage, to RGB arrays."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

from ssd_perception.core.text import printable
from ssd_perception.imaging.compressed import (
    MAX_PIXELS,
    MAX_SIDE,
    ImageError,
    Seen,
    decode,
    decode_grey,
    decode_shrunk,
    is_jpeg_or_png,
    read_header,
)

# Encodings of distances, REP 118. Without --topics such images are not taken for a camera's.
DEPTH = ('16UC1', '32FC1')
_VIDEO = ('h264', 'h265', 'hevc', 'avc', 'av1', 'vp8', 'vp9', 'mpeg', 'nvenc', 'ffmpeg')


@dataclass(frozen=True)
class Layout:
    """How one encoding lies in memory, and how it becomes RGB.

    Attributes:
        to_rgb: takes (rows, W, channels) or (rows, W) of ``dtype``; returns (H, W, 3) of the
            same dtype.
        channels: samples per pixel in a row.
        dtype: uint8 or uint16.
        rows: rows in memory per image row; planar YUV stores its colour below the image.
        even: the sides (in ``w``, ``h``) that must be even because pixels share a colour.
    """

    to_rgb: Callable[[np.ndarray], np.ndarray]
    channels: int = 1
    dtype: type = np.uint8
    rows: float = 1.0
    even: str = ''


def _code(code: int) -> Callable[[np.ndarray], np.ndarray]:
    return lambda pixels: cv2.cvtColor(pixels, code)


def _same(pixels: np.ndarray) -> np.ndarray:
    return pixels


def _bayer(code: int) -> Callable[[np.ndarray], np.ndarray]:
    def convert(pixels: np.ndarray) -> np.ndarray:
        if min(pixels.shape) < 3:  # OpenCV leaves such an image black
            raise ImageError(f'A Bayer image must be at least 3x3, got {pixels.shape[1]}x'
                             f'{pixels.shape[0]}.')
        return cv2.cvtColor(pixels, code)
    return convert


def _nv24(planes: np.ndarray) -> np.ndarray:
    # OpenCV has no NV24. With every pixel doubled, NV24's luma is the Y plane of an NV12 image of
    # twice the size, and NV24's colour plane fits it unchanged.
    height, width = planes.shape[0] // 3, planes.shape[1]
    luma = planes[:height].repeat(2, 0).repeat(2, 1)
    chroma = planes[height:].reshape(height, 2 * width)
    return cv2.cvtColor(np.concatenate([luma, chroma]), cv2.COLOR_YUV2RGB_NV12)[::2, ::2]


# OpenCV names a Bayer pattern by the second row's second and third pixel: its BayerBG is RGGB.
_BAYER = {'rggb': cv2.COLOR_BayerBG2RGB, 'bggr': cv2.COLOR_BayerRG2RGB,
          'gbrg': cv2.COLOR_BayerGR2RGB, 'grbg': cv2.COLOR_BayerGB2RGB}
_UYVY = Layout(_code(cv2.COLOR_YUV2RGB_UYVY), 2, even='w')
_YUYV = Layout(_code(cv2.COLOR_YUV2RGB_YUYV), 2, even='w')
_BITS = ((8, np.uint8), (16, np.uint16))

# 8UC3 and 8UC4 say nothing about colours; OpenCV's habit, and so the usual writer's, is BGR.
ENCODINGS: dict[str, Layout] = {
    **{name: Layout(_code(cv2.COLOR_GRAY2RGB)) for name in ('mono8', '8UC1')},
    **{name: Layout(_code(cv2.COLOR_GRAY2RGB), dtype=np.uint16) for name in ('mono16', '16UC1')},
    '8UC3': Layout(_code(cv2.COLOR_BGR2RGB), 3),
    '8UC4': Layout(_code(cv2.COLOR_BGRA2RGB), 4),
    **{f'{order}{bits}': Layout(to_rgb, channels, dtype)
       for order, to_rgb, channels in (('rgb', _same, 3),
                                       ('bgr', _code(cv2.COLOR_BGR2RGB), 3),
                                       ('rgba', _code(cv2.COLOR_RGBA2RGB), 4),
                                       ('bgra', _code(cv2.COLOR_BGRA2RGB), 4))
       for bits, dtype in _BITS},
    **{f'bayer_{pattern}{bits}': Layout(_bayer(code), dtype=dtype)
       for pattern, code in _BAYER.items() for bits, dtype in _BITS},
    'uyvy': _UYVY, 'yuv422': _UYVY, 'yuyv': _YUYV, 'yuv422_yuy2': _YUYV,
    'nv12': Layout(_code(cv2.COLOR_YUV2RGB_NV12), rows=1.5, even='wh'),
    'nv21': Layout(_code(cv2.COLOR_YUV2RGB_NV21), rows=1.5, even='wh'),
    'nv24': Layout(_nv24, rows=3.0),
}


def to_rgb(message: Any) -> np.ndarray:
    """Return the image of an Image or CompressedImage as uint8 (H, W, 3) RGB.

    Any object with the fields of such a message will do: rclpy's, and those of recordings.

    The result may be a read-only view of the message's data. 16-bit encodings are taken to
    use their full range, 0 to 65535.

    Raises:
        ImageError: one sentence naming what was expected and what was found.
    """
    if not hasattr(message, 'encoding'):  # a CompressedImage
        return _decode_compressed(message, None)[0]
    pixels = _samples(message)
    try:
        rgb = ENCODINGS[message.encoding].to_rgb(pixels)
    except cv2.error as error:
        raise ImageError(f'A {message.width}x{message.height} image in "{message.encoding}" '
                         f'cannot be converted: {error.err}.') from error
    return _as_8_bits(rgb)


def _as_8_bits(rgb: np.ndarray) -> np.ndarray:
    # It rounds, as cv_bridge does.
    return cv2.convertScaleAbs(rgb, alpha=255 / 65535) if rgb.dtype == np.uint16 else rgb


def to_rgb_shrunk(message: Any, seen: Seen) -> tuple[np.ndarray, int]:
    """Return the image of a CompressedImage, decoded smaller where the network sees less anyway.

    Args:
        seen: see ``compressed.decode_shrunk``.

    Returns:
        uint8 (h, w, 3) RGB, and the factor, 1 to 8, from its pixels to those of the image.

    Raises:
        ImageError: as ``to_rgb``.
    """
    return _decode_compressed(message, seen)


def holds_depth(message: Any) -> bool:
    """Say whether an Image or CompressedImage holds distances, by its encoding or format."""
    if hasattr(message, 'encoding'):
        return message.encoding in DEPTH
    kind = message.format
    return kind.partition(';')[0].strip() in DEPTH or 'compresseddepth' in kind.lower()


def _decode_compressed(message: Any, seen: Seen | None) -> tuple[np.ndarray, int]:
    """Decode JPEG or PNG; ``format`` says what the samples are, as image_transport writes it."""
    kind = message.format.partition(';')[0].strip()
    blob = np.frombuffer(message.data, np.uint8)
    if not is_jpeg_or_png(blob):
        raise ImageError(_unknown_format(message.format, blob))
    if kind in ENCODINGS and kind.startswith('bayer_') and read_header(blob.data).channels == 1:
        mosaic = decode_grey(blob)
        bits = 8 * mosaic.dtype.itemsize
        return _as_8_bits(ENCODINGS[f'{kind.rstrip("168")}{bits}'].to_rgb(mosaic)), 1
    return decode_shrunk(blob, seen) if seen else (decode(blob), 1)


def _unknown_format(kind: str, blob: np.ndarray) -> str:
    """Say what a CompressedImage that is neither JPEG nor PNG holds, and what to use instead."""
    what = f'A CompressedImage of {len(blob)} bytes in the format "{printable(kind, 60)}"'
    if 'compresseddepth' in kind.lower():
        return (f'{what} holds distances; take the topic of the colour image, raw or compressed '
                'by image_transport as JPEG or PNG.')
    if any(codec in kind.lower() for codec in _VIDEO):
        return (f'{what} is a frame of a video, which is of no use without those before it; take '
                "the raw image, or image_transport's compressed one (JPEG or PNG).")
    return (f'{what} must be JPEG or PNG, but begins with '
            f'{bytes(blob[:8]).hex(" ") or "nothing"}.')


def _samples(message: Any) -> np.ndarray:
    """Return the message's samples as a view, without the padding of its rows."""
    layout = ENCODINGS.get(message.encoding)
    if layout is None:
        raise ImageError(f'Encoding "{printable(message.encoding, 40)}" is not known; known are '
                         f'{", ".join(sorted(ENCODINGS))}.')
    height, width, step = message.height, message.width, message.step
    what = f'A {width}x{height} image in "{message.encoding}"'
    if height == 0 or width == 0:
        raise ImageError(f'{what} has no pixels.')
    if ('w' in layout.even and width % 2) or ('h' in layout.even and height % 2):
        raise ImageError(f'{what} is impossible: neighbouring pixels share one colour there, so '
                         f'{"both sides" if "h" in layout.even else "the width"} must be even.')
    row = width * layout.channels * np.dtype(layout.dtype).itemsize
    if step < row:
        raise ImageError(f'{what} needs a step of at least {row} bytes, got {step}.')
    rows = int(height * layout.rows)
    data = np.frombuffer(message.data, np.uint8)
    # Some drivers do not send the padding of the last row.
    if len(data) < (rows - 1) * step + row:
        raise ImageError(f'{what} with a step of {step} needs {rows * step} bytes, '
                         f'got {len(data)}.')
    if height * width > MAX_PIXELS or max(height, width) > MAX_SIDE:
        raise ImageError(f'{what} has more than the {MAX_PIXELS} pixels, or {MAX_SIDE} a side, '
                         'allowed.')
    samples = np.lib.stride_tricks.as_strided(data, (rows, row), (step, 1), writeable=False)
    if layout.dtype is np.uint16:
        order = '>u2' if message.is_bigendian else '<u2'
        # A copy, because a step may be odd and a view would not be aligned.
        samples = np.ascontiguousarray(samples).view(order).astype(np.uint16, copy=False)
    if layout.channels == 1:
        return samples
    return samples.reshape(rows, width, layout.channels)
