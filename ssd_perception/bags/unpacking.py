"""Unpack what a recording holds compressed, and its QoS, within limits no real one meets."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import lz4.frame
import zstandard
from rosbags.interfaces import Qos
from rosbags.rosbag2 import metadata, storage_mcap, storage_sqlite3

from ssd_perception.bags.connection import Damage, size
from ssd_perception.core.atomic_write import open_new
from ssd_perception.core.safe_yaml import load_yaml
from ssd_perception.core.text import printable

# An uncompressed 8K image has 100 MB; rosbag2 writes chunks of a few megabytes.
MAX_MESSAGE_BYTES = 1 << 28
MAX_CHUNK_BYTES = 1 << 28
# A file compressed as a whole may grow to this, and to this many times its size: camera images
# shrink to a half or a tenth, and a bomb to a thirty-thousandth.
MAX_SMALL_FILE_BYTES = 1 << 28
MAX_FILE_RATIO = 1000
_STEP = 1 << 20
# What the chunks and messages of one file may unpack to together, or to so many times its size.
MAX_TOTAL_BYTES = 1 << 30
MAX_QOS_CHARACTERS = 20_000  # of a topic; each of its publishers takes some 300
_local = threading.local()  # .budget: of the file that this thread has rosbags read


class UnpackError(ValueError):
    """What is compressed is damaged or holds more than the limit; half a sentence."""


class Budget:
    """Bytes that the parts of one file may still unpack to.

    Args:
        packed: bytes of the file.
    """

    def __init__(self, packed: int):
        self._left = max(MAX_TOTAL_BYTES, MAX_FILE_RATIO * packed)

    def unpack(self, work: Callable[[int], bytes], stated: int) -> bytes:
        """Return what ``work`` unpacks to, and take it off.

        Args:
            work: gets the most bytes that it may unpack to; beyond, it raises UnpackError.
            stated: how many bytes the part says to have.

        Raises:
            UnpackError: when that is more than is left, and what ``work`` raises.
        """
        limit = MAX_CHUNK_BYTES if self._left >= MAX_CHUNK_BYTES else stated
        if limit > self._left:
            raise UnpackError(f'is left out: all of the file together unpacks to more than '
                              f'{MAX_FILE_RATIO} times its size')
        self._left -= limit  # also where the work is stopped there
        unpacked = work(limit)
        self._left += limit - len(unpacked)
        return unpacked


def spend_from(budget: Budget | None) -> None:
    """Let the chunks that rosbags unpacks in this thread from now on count for ``budget``."""
    _local.budget = budget


def unpack(compression: str, data: bytes, limit: int) -> bytes:
    """Return what ``data`` holds.

    Args:
        compression: ``zstd``, ``lz4`` or empty for none.
        limit: most bytes that may come out.

    Raises:
        UnpackError: for damaged data, an unknown compression, and what goes beyond the limit.
    """
    if compression != 'zstd':
        return unpack_as_far(compression, data, limit)
    try:
        if zstandard.frame_content_size(data) > limit:
            raise UnpackError(f'unpacks to more than {size(limit)}')
        return zstandard.ZstdDecompressor().decompress(data, max_output_size=limit)
    except zstandard.ZstdError as error:
        raise UnpackError(f'cannot be unpacked ({error})') from error


def unpack_as_far(compression: str, data: bytes, limit: int) -> bytes:
    """Return what ``data`` holds, up to where it is damaged or cut; see ``unpack``.

    Raises:
        UnpackError: for an unknown compression, and what goes beyond the limit.
    """
    if compression not in ('', 'zstd', 'lz4'):
        raise UnpackError(f'is compressed by "{printable(compression, 20)}", not by zstd or lz4')
    if not compression:
        return data
    parts: list[bytes] = []
    count = 0
    try:
        for part in _zstd_parts(data) if compression == 'zstd' else _lz4_parts(data):
            parts.append(part)
            count += len(part)
            if count > limit:
                raise UnpackError(f'unpacks to more than {size(limit)}')
    except (zstandard.ZstdError, RuntimeError, EOFError):
        pass
    return b''.join(parts)


def _zstd_parts(data: bytes) -> Iterator[bytes]:
    with zstandard.ZstdDecompressor().stream_reader(data) as stream:
        while part := stream.read(_STEP):
            yield part


def _lz4_parts(data: bytes) -> Iterator[bytes]:
    unpacker = lz4.frame.LZ4FrameDecompressor()
    part = unpacker.decompress(data, max_length=_STEP)
    while part:
        yield part
        part = b'' if unpacker.eof else unpacker.decompress(b'', max_length=_STEP)


def unpack_file(source: Path, target: Path, damage: Damage) -> None:
    """Unpack a file of rosbag2's file compression as far as it goes.

    Raises:
        OSError: from the system, for example for a full disk.
    """
    limit = max(MAX_SMALL_FILE_BYTES, MAX_FILE_RATIO * source.stat().st_size)
    count = 0
    with source.open('rb') as packed, open_new(target) as unpacked:
        try:
            with zstandard.ZstdDecompressor().stream_reader(
                    packed, read_across_frames=True) as stream:
                while part := stream.read(_STEP):
                    count += len(part)
                    if count > limit:
                        damage.note(f'unpacks to more than {MAX_FILE_RATIO} times its size, and '
                                    'is read so far')
                        return
                    unpacked.write(part)
        except zstandard.ZstdError as error:
            damage.note(f'cannot be unpacked to its end ({error})')


def _unpack_chunk(compression: str, data: bytes, size_stated: int) -> bytes:
    def work(limit: int) -> bytes:
        return unpack(compression, data, min(size_stated, limit))
    budget = getattr(_local, 'budget', None)
    return work(MAX_CHUNK_BYTES) if budget is None else budget.unpack(work, size_stated)


def unpack_message(data: bytes, budget: Budget) -> bytes:
    """Return a message that was compressed by itself, by zstd; see ``unpack``."""
    try:
        stated = zstandard.frame_content_size(data)
    except zstandard.ZstdError as error:
        raise UnpackError(f'cannot be unpacked ({error})') from error
    return budget.unpack(partial(unpack, 'zstd', data),
                         MAX_MESSAGE_BYTES if stated < 0 else stated)


def parse_qos(profiles: Any) -> list[Qos]:
    """Return the QoS profiles of a topic, from the YAML that rosbag2 stores or what it stands for.

    Raises:
        ValueError, rosbags' errors: for a text that is none, or too long.
    """
    if isinstance(profiles, str):
        if len(profiles) > MAX_QOS_CHARACTERS:
            raise ValueError(f'QoS profiles are longer than {MAX_QOS_CHARACTERS} characters')
        profiles = load_yaml(profiles)
    return metadata.parse_qos(profiles)


# rosbags unpacks the chunks of an mcap file, and parses QoS, through these, without a limit of
# its own.
for _name in ('zstd', 'lz4'):
    storage_mcap.DECOMPRESSORS[_name] = partial(_unpack_chunk, _name)
for _module in (storage_mcap, storage_sqlite3):
    _module.parse_qos = parse_qos  # type: ignore[attr-defined]
