"""Weights files: tensors and metadata in one safetensors file; nothing is unpickled."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save

from ssd_perception.core.atomic_write import atomic_write
from ssd_perception.core.errors import DataError
from ssd_perception.core.metadata import (
    KEY,
    MAX_FILE_BYTES,
    Architecture,
    Metadata,
    MetadataError,
    WeightsError,
)
from ssd_perception.core.safe_path import read_file, regular_file
from ssd_perception.model.published import PublishedSSD
from ssd_perception.model.ssd import SSD


def save_weights(path: str | os.PathLike, model: SSD | PublishedSSD, metadata: Metadata,
                 half: bool = False) -> Path:
    """Write ``model`` and ``metadata`` to ``path`` whole, or leave what was there.

    Args:
        half: store fp16, half the size; ``load_model`` widens it again.
    """
    path = Path(path)
    tensors = {key: value.detach().cpu().contiguous() for key, value in model.state_dict().items()}
    if half:
        tensors = {key: value.half() if value.is_floating_point() else value
                   for key, value in tensors.items()}
    path.parent.mkdir(parents=True, exist_ok=True)
    # Not save_file: it makes files that only their owner may read.
    return atomic_write(path, save(tensors, metadata={KEY: metadata.to_json()}))


def load_model(path: str | os.PathLike) -> tuple[SSD | PublishedSSD, Metadata]:
    """Build the network that the file describes and fill it; on the CPU, fp32, eval mode.

    Raises:
        WeightsError: naming the path, what was expected and what was found.
    """
    try:
        if (size := regular_file(path).stat().st_size) > MAX_FILE_BYTES:
            raise WeightsError(f'{path} has {size} bytes, and at most {MAX_FILE_BYTES} are read.')
        # Not safe_open, which maps the file: one that is cut meanwhile would end the process.
        data = read_file(path, MAX_FILE_BYTES)
        tensors = {key: _widened(tensor) for key, tensor in load(data).items()}
        text = _header(data).get('__metadata__', {}).get(KEY)
        if text is None:
            raise WeightsError(f'{path} is a safetensors file without "{KEY}" metadata: it '
                               'was not made by this package.')
        metadata = Metadata.from_json(text)
    except (SafetensorError, OSError, DataError, KeyError) as error:
        raise WeightsError(f'{path} is not a readable safetensors file ({error}); it may be '
                           'truncated or of another kind.') from error
    except MetadataError as error:
        raise WeightsError(f'{path}: {error}') from error
    model = _network(path, metadata)
    expected = {key: (tuple(v.shape), v.dtype) for key, v in model.state_dict().items()}
    found = {key: (tuple(v.shape), v.dtype) for key, v in tensors.items()}
    for key in expected.keys() | found.keys():
        if expected.get(key) != found.get(key):
            raise WeightsError(
                f'{path}: tensor "{key}" should be {_shown(expected.get(key))} by the metadata, '
                f'found {_shown(found.get(key))}.')
    model.load_state_dict(tensors, assign=isinstance(model, PublishedSSD))
    return model.eval(), metadata


def load_trainable(path: str | os.PathLike) -> tuple[SSD, Metadata]:
    """Do as ``load_model``, for weights that were trained by this package.

    Raises:
        WeightsError: for imported ones, too.
    """
    model, metadata = load_model(path)
    if not isinstance(model, SSD):
        raise WeightsError(f'{path} holds {model.architecture.network}, which was imported and is '
                           'only run here; give weights that this package trained.')
    return model, metadata


def _network(path: str | os.PathLike, metadata: Metadata) -> SSD | PublishedSSD:
    a = metadata.architecture
    if isinstance(a, Architecture):
        return SSD(a, metadata.columns)
    try:
        return PublishedSSD(a, metadata.columns)
    except WeightsError as error:
        raise WeightsError(f'{path}: {error}') from error


def stored_half(path: str | os.PathLike) -> bool:
    """Return whether a weights file stores its tensors in fp16."""
    return any(entry.get('dtype') == 'F16' for entry in
               _header(read_file(path, MAX_FILE_BYTES)).values())


def _header(data: bytes) -> dict[str, Any]:
    """Return the header of a file that safetensors has read."""
    header: dict[str, Any] = json.loads(data[8:8 + int.from_bytes(data[:8], 'little')])
    return header


def _widened(tensor: torch.Tensor) -> torch.Tensor:
    return tensor.float() if tensor.dtype == torch.float16 else tensor


def _shown(shape_and_type: tuple[tuple[int, ...], torch.dtype] | None) -> str:
    return 'absent' if shape_and_type is None else f'{shape_and_type[1]} {shape_and_type[0]}'
