"""Checkpoints of tensors and plain values: written atomically, read without unpickling code."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import torch

from ssd_perception.core.atomic_write import atomic_write
from ssd_perception.core.errors import UserError
from ssd_perception.core.metadata import MAX_FILE_BYTES
from ssd_perception.core.safe_path import regular_file
from ssd_perception.core.safe_zip import check_stored
from ssd_perception.core.text import one_line

# The network, its average and the optimiser's state, each as large as the largest weights.
MAX_BYTES = 4 * MAX_FILE_BYTES


class CheckpointError(UserError, RuntimeError):
    """A checkpoint cannot be read or does not belong to this run; the message says why."""


def save_checkpoint(path: Path, state: dict[str, Any]) -> None:
    """Write ``state`` to ``path``; a crash or a full disk leaves the old file as it was.

    Raises:
        OSError: from the system, for example for a full disk.
    """
    # In memory first: torch's own writer turns a full disk into an error of its internals.
    data = io.BytesIO()
    torch.save(state, data)
    atomic_write(path, data.getbuffer())


def checkpoint_bytes(path: Path) -> bytes:
    """Return the content of a checkpoint.

    Raises:
        CheckpointError: for one that is larger than any.
    """
    size = regular_file(path).stat().st_size
    if size > MAX_BYTES:
        raise CheckpointError(f'{path} has {size} bytes, and at most {MAX_BYTES} are read.')
    return path.read_bytes()


def read_checkpoint(data: bytes, name: str, recipe_hash: str) -> dict[str, Any]:
    """Return the state that the bytes of a checkpoint hold, on the CPU.

    Args:
        name: of the file, for the message.
        recipe_hash: of the run that is to be continued.

    Raises:
        CheckpointError: naming the file and why it cannot be continued from.
    """
    try:
        check_stored(io.BytesIO(data), len(data))  # also refuses torch's former format
    except ValueError as error:
        raise CheckpointError(f'{name} is not a readable checkpoint: it {error}.') from error
    try:
        state = torch.load(io.BytesIO(data), map_location='cpu', weights_only=True)
    except Exception as error:  # torch raises many kinds for a broken file
        raise CheckpointError(f'{name} is not a readable checkpoint: '
                              f'{one_line(error, 400)}') from error
    if not isinstance(state, dict) or 'recipe_hash' not in state:
        raise CheckpointError(f'{name} is not a checkpoint of this package.')
    if state['recipe_hash'] != recipe_hash:
        raise CheckpointError(
            f'{name} was made by another recipe or other data; resume with the same ones, or '
            'choose another --out.')
    return state
