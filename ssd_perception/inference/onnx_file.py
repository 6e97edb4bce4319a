"""What an exported file says about itself, read without loading the network in it."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from ssd_perception.core.metadata import (
    KEY,
    MAX_JSON_BYTES,
    Metadata,
    MetadataError,
    WeightsError,
    build,
)

EXPORT_KEY = 'ssd_perception.export'  # beside KEY in the metadata of ONNX
# Raised when the graph changes in a way that makes older files wrong or slow: they are refused
# beside weights and made anew in the cache.
EXPORT_VERSION = 1
MAX_FILE_BYTES = 2 << 30  # protobuf's own limit
MAX_ENTRIES = 100

# onnx.proto: ModelProto.metadata_props is field 14, a message of key (1) and value (2).
_METADATA_PROPS, _ENTRY_KEY, _ENTRY_VALUE = 14, 1, 2
_VARINT, _FIXED64, _LENGTH, _FIXED32 = 0, 1, 2, 5


@dataclass(frozen=True)
class ExportInfo:
    """Where an exported file comes from.

    Attributes:
        version: ``EXPORT_VERSION`` of the exporter.
        weights_sha256: of the .safetensors file it was made from.
        precision: ``fp32`` or ``int8``.
        calibration: int8 only: what it was calibrated on and what that cost, for people.
    """

    version: int
    weights_sha256: str
    precision: str
    calibration: dict

    def to_json(self) -> str:
        """Return the JSON that ``read_export`` reads."""
        return json.dumps(vars(self))


@dataclass(frozen=True)
class ExportedFile:
    """An exported file that has been found to be ours; see ``read_export``."""

    path: Path
    metadata: Metadata
    info: ExportInfo


def sha256_of(path: str | os.PathLike) -> str:
    """Return the SHA-256 of a file, hexadecimal."""
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()


def read_export(path: Path) -> ExportedFile:
    """Read and check the metadata of an exported file.

    Raises:
        WeightsError: when it is no ONNX file, not one of this package, or of another version of
            it; one sentence that names the file and says what to do.
    """
    try:
        entries = _metadata_props(path)
    except (OSError, ValueError) as error:
        raise WeightsError(f'{path} is not a readable ONNX file ({error}); it may be truncated '
                           'or of another kind.') from error
    if KEY not in entries or EXPORT_KEY not in entries:
        raise WeightsError(f'{path} is an ONNX file without "{KEY}" metadata: it was not made by '
                           '`ssd_perception export`.')
    try:
        metadata = Metadata.from_json(entries[KEY])
        info = build(ExportInfo, json.loads(entries[EXPORT_KEY]), '')
    except (MetadataError, json.JSONDecodeError, RecursionError) as error:
        raise WeightsError(f'{path}: {error}') from error
    if info.version != EXPORT_VERSION:
        raise WeightsError(f'{path} was exported by another version of this package (format '
                           f'{info.version}, not {EXPORT_VERSION}); export it again.')
    if info.precision not in ('fp32', 'int8'):
        raise WeightsError(f'{path}: "precision" must be fp32 or int8, got '
                           f'"{info.precision[:20]}".')
    return ExportedFile(path, metadata, info)


def _metadata_props(path: Path) -> dict[str, str]:
    """Return ModelProto.metadata_props, skipping everything else unread.

    A robot has a runtime but not the package ``onnx``, and the runtimes tell the metadata only
    after they have loaded and optimised a network that may turn out to be foreign.

    Raises:
        ValueError: when the file is no protobuf message, or has absurdly much metadata.
    """
    size = path.stat().st_size
    if not 0 < size <= MAX_FILE_BYTES:
        raise ValueError(f'it has {size} bytes')
    entries: dict[str, str] = {}
    with open(path, 'rb') as file:
        while file.tell() < size:
            field, kind = divmod(_varint(file), 8)
            length = _length(file, kind)
            if file.tell() + length > size:
                raise ValueError('a field reaches beyond its end')
            if field != _METADATA_PROPS or kind != _LENGTH:
                file.seek(length, os.SEEK_CUR)
                continue
            if length > MAX_JSON_BYTES + 1000 or len(entries) >= MAX_ENTRIES:
                raise ValueError('its metadata are larger than any of this package')
            key, value = _entry(file, file.tell() + length)
            entries[key] = value
    return entries


def _entry(file: BinaryIO, end: int) -> tuple[str, str]:
    """Read one StringStringEntryProto that ends at ``end``."""
    texts = {_ENTRY_KEY: '', _ENTRY_VALUE: ''}
    while file.tell() < end:
        field, kind = divmod(_varint(file), 8)
        length = _length(file, kind)
        if file.tell() + length > end:
            raise ValueError('a metadata entry reaches beyond its end')
        texts[field] = file.read(length).decode()  # UnicodeDecodeError is a ValueError
    return texts[_ENTRY_KEY], texts[_ENTRY_VALUE]


def _length(file: BinaryIO, kind: int) -> int:
    """Return how many bytes follow the tag of a field of the wire type ``kind``."""
    if kind == _LENGTH:
        return _varint(file)
    if kind == _VARINT:
        _varint(file)
        return 0
    if kind in (_FIXED32, _FIXED64):
        return 4 if kind == _FIXED32 else 8
    raise ValueError(f'wire type {kind} does not occur in ONNX')


def _varint(file: BinaryIO) -> int:
    value = 0
    for shift in range(0, 70, 7):
        byte = file.read(1)
        if not byte:
            raise ValueError('it ends within a number')
        value |= (byte[0] & 127) << shift
        if byte[0] < 128:
            return value
    raise ValueError('a number is too long')
