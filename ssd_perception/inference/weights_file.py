"""Check the header and the metadata of a .safetensors file before anything else is read."""

from __future__ import annotations

import json
import math
from pathlib import Path

from ssd_perception.core.metadata import (
    KEY,
    MAX_FILE_BYTES,
    Metadata,
    MetadataError,
    WeightsError,
)
from ssd_perception.core.safe_path import open_regular

MAX_HEADER_BYTES = 4_000_000
MAX_DIMENSIONS = 8  # of a tensor; a product of a million numbers would take minutes
_BYTES = {'F64': 8, 'F32': 4, 'F16': 2, 'BF16': 2, 'I64': 8, 'I32': 4, 'I16': 2, 'I8': 1, 'U8': 1,
          'BOOL': 1}


def read_metadata(path: Path) -> Metadata:
    """Read and check header and metadata; the tensors themselves are not read.

    Raises:
        WeightsError: when it is larger than any weights of this package, no safetensors file, of
            another length than its header says, or without good metadata; in one sentence.
    """
    try:
        header = _header(path)
    except (OSError, ValueError, RecursionError) as error:
        raise WeightsError(f'{path} is not a readable safetensors file ({error}); it may be '
                           'truncated or of another kind.') from error
    about = header.get('__metadata__')
    if not isinstance(about, dict) or not isinstance(about.get(KEY), str):
        raise WeightsError(f'{path} is a safetensors file without "{KEY}" metadata: it was not '
                           'made by this package.')
    try:
        return Metadata.from_json(about[KEY])
    except MetadataError as error:
        raise WeightsError(f'{path}: {error}') from error


def _header(path: Path) -> dict:
    """Return the header, a JSON object, of a file whose length is what it says.

    Raises:
        ValueError: saying what is wrong.
    """
    size = path.stat().st_size
    if size > MAX_FILE_BYTES:
        raise ValueError(f'it has {size} bytes, and at most {MAX_FILE_BYTES} are read')
    with open(path, 'rb', opener=open_regular) as file:
        length = int.from_bytes(file.read(8), 'little')
        if not 2 <= length <= min(MAX_HEADER_BYTES, size - 8):
            raise ValueError(f'its header has {length} bytes, of {size} in all')
        header = json.loads(file.read(length))
    if not isinstance(header, dict):
        raise ValueError('its header is no object')
    expected = sum(_tensor_bytes(entry) for name, entry in header.items()
                   if name != '__metadata__')
    if 8 + length + expected != size:
        raise ValueError(f'its header says {8 + length + expected} bytes, and it has {size}')
    return header


def _tensor_bytes(entry: object) -> int:
    """Return the bytes of a tensor by its header entry: shape and type must agree with them."""
    try:
        begin, end = entry['data_offsets']  # type: ignore[index]
        shape, itemsize = entry['shape'], _BYTES[entry['dtype']]  # type: ignore[index]
        if len(shape) > MAX_DIMENSIONS or not all(
                isinstance(value, int) and 0 <= value <= most for most, value in (
                    (math.inf, begin), (math.inf, end), *((MAX_FILE_BYTES, v) for v in shape))):
            raise ValueError
        count = math.prod(shape) * itemsize
    except (KeyError, TypeError, ValueError):
        raise ValueError('an entry of its header is no tensor') from None
    if end - begin != count:
        raise ValueError('a tensor has other bytes than its shape says')
    return count
