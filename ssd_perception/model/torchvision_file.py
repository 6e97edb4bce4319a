"""torchvision's file of COCO weights: downloaded, or given; only tensors are read from it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch

from ssd_perception.core.errors import UserError
from ssd_perception.core.metadata import MAX_FILE_BYTES, WeightsError
from ssd_perception.core.safe_path import regular_file
from ssd_perception.core.safe_zip import check_stored
from ssd_perception.model.published import PUBLISHED


class DownloadFailed(UserError, OSError):
    """torchvision's file could not be fetched; the message names the file to bring."""


@dataclass(frozen=True)
class Origin:
    """Where torchvision's file comes from, by torchvision.

    Attributes:
        name: of the weights in torchvision.
        url: the file's address.
        file: its name.
        hash_prefix: first hexadecimal digits of its SHA-256.
        figures: torchvision's own: name of the data -> name of the figure -> value.
    """

    name: str
    url: str
    file: str
    hash_prefix: str
    figures: Mapping[str, Mapping[str, float]]


def origin(network: str) -> Origin:
    """Return the origin of the COCO weights of ``network``, a key of ``PUBLISHED``."""
    weights = PUBLISHED[network].weights
    file = weights.url.rpartition('/')[2]
    return Origin(f'{type(weights).__name__}.{weights.name}', weights.url, file,
                  Path(file).stem.rpartition('-')[2], weights.meta['_metrics'])


def fetch(network: str) -> Path:
    """Let torchvision download its file, unless its cache holds it; return where it lies.

    Raises:
        DownloadFailed: in one sentence.
    """
    known = origin(network)
    try:
        PUBLISHED[network].weights.get_state_dict(
            progress=True, check_hash=True, map_location='cpu', weights_only=True)
    except Exception as error:  # of sockets, of the server, of a hash that differs, of the file
        raise DownloadFailed(
            f'torchvision could not fetch {known.file} ({error}): fetch {known.url} where there '
            f'is a network, and add --file {known.file}.') from error
    return Path(torch.hub.get_dir(), 'checkpoints', known.file)


def read(path: Path) -> dict[str, torch.Tensor]:
    """Read a state dict.

    Raises:
        DataError: when there is no such file.
        WeightsError: for a file that is too large, or holds anything but tensors with names.
    """
    path = regular_file(path)  # a pipe would block
    size = path.stat().st_size
    if size > MAX_FILE_BYTES:
        raise WeightsError(f'{path} has {size} bytes, and at most {MAX_FILE_BYTES} are read.')
    try:
        with path.open('rb') as file:
            if file.read(2) == b'PK':  # else torch's former format, which holds no archive
                check_stored(file, size)
        found = torch.load(path, map_location='cpu', weights_only=True)
    except Exception as error:  # what a foreign file can raise has no class in common
        raise WeightsError(f'{path} is not a file of tensors that torch can load ('
                           f'{type(error).__name__}); give the .pth that torchvision '
                           'publishes.') from error
    if not isinstance(found, Mapping) or not all(
            isinstance(key, str) and isinstance(value, torch.Tensor)
            for key, value in found.items()):
        raise WeightsError(f'{path} holds no state dict, which is tensors by their names; give '
                           'the .pth that torchvision publishes.')
    return dict(found)
