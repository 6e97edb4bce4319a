"""Decode image files to RGB, with an optional bounded cache of decoded ones."""

from __future__ import annotations

import io
import os
import warnings
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from ssd_perception.core.errors import DataError
from ssd_perception.core.missing_module import describe_missing
from ssd_perception.core.safe_path import regular_file
from ssd_perception.imaging.compressed import imdecode_rgb
from ssd_perception.imaging.jpeg import (
    JpegHead,
    exif_orientation,
    has_too_many_scans,
    is_truncated,
    read_head,
)
from ssd_perception.imaging.placing import resize

# A decoded image of as many pixels fills 300 MB; a file of a few kB can claim far more.
MAX_PIXELS = 100_000_000
MAX_SIDE = 32_767  # px; OpenCV resizes no more
MAX_FILE_BYTES = 500_000_000
_EXIF_WITHIN = 2 ** 17  # bytes from a JPEG's beginning
_LFS = b'version https://git-lfs.github.com/'
# Pillow has parsers for dozens that no camera writes; that of EPS runs a program.
_FORMATS = ('JPEG', 'PNG', 'WEBP', 'BMP', 'TIFF', 'AVIF', 'MPO')
# Their decoders need 10 bytes and more for each pixel.
_FEWER_PIXELS = {'WEBP': 1 << 26, 'AVIF': 1 << 26}
_TILE_WIDTH, _TILE_HEIGHT, _BITS = 322, 323, 258  # tags of TIFF
_TIFF_BYTES = 4 * MAX_PIXELS  # of a TIFF's pixels as they are stored, before compression


def read_image(path: str | os.PathLike, stated_hw: tuple[int, int] | None = None) -> np.ndarray:
    """Return the image as uint8 (H, W, 3) RGB, turned as a JPEG's EXIF says.

    Viewers and tools for annotation show it so.

    Args:
        stated_hw: height and width, px, that its annotation states. Where these are those of the
            stored pixels alone, the boxes were drawn on them, and the image is not turned.

    Raises:
        DataError: when the file is missing, truncated, larger than ``MAX_PIXELS`` or no image.
    """
    data = read_bytes(path)
    kind = check_pixels(path, data)
    if is_truncated(data):
        raise DataError(f'{path} is truncated: the end of the image is missing.', path,
                        'truncated picture')
    image = None
    if kind == 'AVIF':
        image = _decode_avif(path, data)
    elif kind:
        # What nobody can state the size of is not decoded: OpenCV has formats, such as JPEG 2000,
        # in which a kilobyte becomes gigabytes.
        image = imdecode_rgb(np.frombuffer(data, np.uint8))
        if image is not None:
            return _turned(image, exif_orientation(data[:_EXIF_WITHIN]), stated_hw)
        image = _with_pillow(data)
    if data.startswith(_LFS):
        raise DataError(f'{path} is a pointer of Git LFS, not the image: fetch it with '
                        '"git lfs pull".', path, 'unreadable picture')
    if image is None:
        raise DataError(f'{path} is not an image that can be decoded '
                        f'({", ".join(_FORMATS[:-1])}).', path, 'unreadable picture')
    return image


def read_images(paths: Iterable[Path],
                on_bad: Callable[[Path, DataError], object]) -> Iterator[np.ndarray]:
    """Yield ``read_image`` of each file that is one; ``on_bad`` takes the others.

    Raises:
        DataError: the last file's, when none is an image.
    """
    last, count = None, 0
    for path in paths:
        try:
            image = read_image(path)
        except DataError as error:
            on_bad(path, error)
            last = error
            continue
        count += 1
        yield image
    if last is not None and not count:
        raise last


def _turned(image: np.ndarray, orientation: int,
            stated_hw: tuple[int, int] | None) -> np.ndarray:
    """Return the image as EXIF's ``orientation`` says that it is to be shown."""
    height, width = image.shape[:2]
    if orientation == 1 or orientation >= 5 and height != width and stated_hw == (height, width):
        return image
    if orientation >= 5:
        image = image.transpose(1, 0, 2)
    rows = slice(None, None, -1 if orientation in (3, 4, 7, 8) else 1)
    columns = slice(None, None, -1 if orientation in (2, 3, 6, 7) else 1)
    return np.ascontiguousarray(image[rows, columns])


def _with_pillow(data: bytes) -> np.ndarray | None:
    """Decode what OpenCV does not: some forms of BMP and TIFF."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter('ignore')
            with Image.open(io.BytesIO(data), formats=_FORMATS) as image:
                return np.array(image.convert('RGB'))
    except Exception:  # noqa: BLE001  # Pillow's parsers raise many kinds on broken files
        return None


def _decode_avif(path: str | os.PathLike, data: bytes) -> np.ndarray | None:
    """Decode with FFmpeg: libavif, in OpenCV and Pillow, decodes frames larger than stated."""
    try:
        import av
    except ModuleNotFoundError as error:
        raise DataError(f'{path} is an AVIF, which {describe_missing(error)}', path,
                        'unreadable picture') from error
    stated = _from_pillow(path, io.BytesIO(data))
    options = {'max_pixels': str(_FEWER_PIXELS['AVIF'])}
    try:
        with av.open(io.BytesIO(data), 'r', 'mov', options) as container:
            stream = container.streams.video[0]
            stream.codec_context.options = options
            image = next(container.decode(stream)).to_ndarray(format='rgb24')
    except (av.error.FFmpegError, OSError, StopIteration, IndexError):
        return None
    # Of a grid it gives one tile.
    return image if stated is not None and image.shape[:2] == stated[:2] else None


def open_with_pillow(path: str | os.PathLike, data: bytes) -> Image.Image:
    """Return Pillow's image of a file's content, of the formats that are read, within the limits.

    Raises:
        DataError: when its header states no size, or one beyond the limits.
        OSError and others: from Pillow, when the image cannot be decoded.
    """
    kind = check_pixels(path, data)
    if kind == 'AVIF':
        return Image.fromarray(read_image(path))
    if not kind:
        raise DataError(f'{path} is not an image whose size can be read.', path,
                        'unreadable picture')
    return Image.open(io.BytesIO(data), formats=_FORMATS)


def read_bytes(path: str | os.PathLike) -> bytes:
    """Return an image file's content, of at most ``MAX_FILE_BYTES``."""
    try:
        regular = regular_file(path)
        size = regular.stat().st_size
        if size > MAX_FILE_BYTES:
            raise DataError(f'{path} has {size} bytes, more than an image may have '
                            f'({MAX_FILE_BYTES}).', path)
        return regular.read_bytes()
    except DataError as error:
        raise DataError(str(error), path, 'unreadable picture') from error
    except OSError as error:
        raise DataError(f'{path} cannot be read: {error.strerror}.', path,
                        'unreadable picture') from error


def image_size(path: str | os.PathLike) -> tuple[int, int]:
    """Return the height and width, px, of what ``read_image`` returns, from the file's header.

    Raises:
        DataError: when the file has no such header, or states more than ``MAX_PIXELS``.
    """
    regular = regular_file(path)
    head = _beginning(regular)
    found = _from_head(path, head) or _from_pillow(path, regular) \
        or _from_header(path, read_bytes(path))
    if found is None:
        raise DataError(f'{path} is not an image whose size can be read.', path,
                        'unreadable picture')
    turned = exif_orientation(head) >= 5
    return (found.width, found.height) if turned else (found.height, found.width)


def _beginning(path: Path) -> bytes:
    """Return a file's first ``_EXIF_WITHIN`` bytes; none where it cannot be read."""
    try:
        with path.open('rb') as file:
            return file.read(_EXIF_WITHIN)
    except OSError:
        return b''


def _from_head(path: str | os.PathLike, data: bytes) -> _Header | None:
    """Return the header of a JPEG whose first scan begins in ``data``: most, and quickly."""
    head = read_head(data) if data.startswith(b'\xff\xd8') else JpegHead()
    return _bounded(path, _Header(head.height, head.width, 'JPEG')) if head.scan >= 0 else None


def check_pixels(path: str | os.PathLike, data: bytes) -> str:
    """Refuse an image whose header states more than ``MAX_PIXELS``, before it is decoded.

    Returns:
        Its format, as Pillow names it; empty where no size is stated.
    """
    found = _from_header(path, data)
    if found is None and not data.startswith(b'\xff\xd8'):  # megabytes of markers take Pillow long
        found = _from_pillow(path, io.BytesIO(data))
    return '' if found is None else found.format


class _Header(NamedTuple):
    height: int
    width: int
    format: str


def _from_header(path: str | os.PathLike, data: bytes) -> _Header | None:
    """Return the header of a JPEG or a PNG, also with parts that Pillow refuses."""
    if data.startswith(b'\xff\xd8'):
        head = read_head(data)
        if has_too_many_scans(data, head):
            raise DataError(f'{path} is a JPEG with more scans than are decoded; save it anew.',
                            path, 'unreadable picture')
        return _bounded(path, _Header(head.height, head.width, 'JPEG')) if head.scan >= 0 \
            else None
    if data.startswith(b'\x89PNG\r\n\x1a\n\0\0\0\rIHDR') and len(data) > 24:
        return _bounded(path, _Header(int.from_bytes(data[20:24], 'big'),
                                      int.from_bytes(data[16:20], 'big'), 'PNG'))
    return None


def _from_pillow(path: str | os.PathLike, source: Path | io.BytesIO) -> _Header | None:
    """Return what the header states; None where Pillow finds none."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter('ignore')
            with Image.open(source, formats=_FORMATS) as image:
                (width, height), kind = image.size, image.format or ''
                if kind == 'TIFF':
                    _check_tiff(path, image)
    except DataError:
        raise
    except Image.DecompressionBombError:
        width, height, kind = MAX_PIXELS + 1, 1, ''
    except Exception:  # noqa: BLE001  # Pillow's parsers raise many kinds on broken headers
        return None
    return _bounded(path, _Header(height, width, kind))


def _check_tiff(path: str | os.PathLike, image: Image.Image) -> None:
    if image.mode in ('F', 'I'):  # OpenCV makes black images of these
        raise DataError(f'{path} holds values of 32 bits or signed ones; save it with 8 or 16 '
                        'bits.', path, 'unreadable picture')
    tags = image.tag_v2  # type: ignore[attr-defined]
    # A decoder allocates a whole strip or tile, which may be larger than the image.
    pixels = max(image.width * image.height,
                 int(tags.get(_TILE_WIDTH, 0)) * int(tags.get(_TILE_HEIGHT, 0)))
    if pixels * (sum(tags.get(_BITS, (1,))) + 7) // 8 > _TIFF_BYTES:
        raise DataError(f'{path} is a TIFF of more than {_TIFF_BYTES} bytes of pixels, the most '
                        'that are decoded; shrink it, or save it as JPEG or PNG.', path,
                        'unreadable picture')


def _bounded(path: str | os.PathLike, header: _Header) -> _Header | None:
    most = _FEWER_PIXELS.get(header.format, MAX_PIXELS)
    if header.width * header.height > most or max(header.width, header.height) > MAX_SIDE:
        raise DataError(f'{path} claims more than {most} pixels, or {MAX_SIDE} a side, the most '
                        'that are decoded; shrink it.', path, 'unreadable picture')
    return header if header.width * header.height else None


class ImageCache:
    """Decoded images shrunk to a longest side, kept while they fit in a byte budget.

    Args:
        longest_side: px; larger images are shrunk, since the network sees no more anyway.
        max_bytes: of decoded images kept; 0 keeps none.
    """

    def __init__(self, longest_side: int, max_bytes: int):
        self._longest_side, self._free = longest_side, max_bytes
        self._kept: dict[Path, tuple[np.ndarray, float, float]] = {}

    def read(self, path: Path, stated_hw: tuple[int, int] | None = None
             ) -> tuple[np.ndarray, float, float]:
        """Return uint8 (H, W, 3) RGB and the factors x and y it was scaled by."""
        if path in self._kept:
            return self._kept[path]
        image = read_image(path, stated_hw)
        height, width = image.shape[:2]
        factor = min(1.0, self._longest_side / max(height, width))
        if factor < 1:
            image = resize(image, max(1, round(width * factor)), max(1, round(height * factor)),
                           'area')
        entry = image, image.shape[1] / width, image.shape[0] / height
        if image.nbytes <= self._free:
            self._free -= image.nbytes
            self._kept[path] = entry
        return entry
