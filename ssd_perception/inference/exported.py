"""Which exported file serves given weights: named, beside them, in the cache, or made now."""

from __future__ import annotations

import contextlib
import logging
import os
import re
import stat
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from ssd_perception.core.atomic_write import atomic_write
from ssd_perception.core.metadata import Metadata, WeightsError
from ssd_perception.core.text import printable
from ssd_perception.imaging.placing import empty_batch
from ssd_perception.inference.onnx_file import (
    EXPORT_VERSION,
    ExportedFile,
    read_export,
    sha256_of,
)
from ssd_perception.inference.resolve import EXPORTED_SUFFIX, SUFFIX
from ssd_perception.inference.runtimes import RuntimeUnavailable

CACHE_VARIABLE = 'SSD_PERCEPTION_CACHE'
MAX_CACHE_BYTES = 2 << 30  # of exported and compiled networks, which have 5 to 100 MB each
MAX_CACHE_FILES = 5000  # records of what was tried are empty
_CACHED = re.compile(r'.+-[0-9a-f]{32}-.+\.(onnx|engine)|openvino-[0-9a-f]{32}\.blob|[0-9a-f]{64}')

_exporting = threading.Lock()

_log = logging.getLogger(__name__)


def cache_folder() -> Path:
    """Return the folder of files made from weights: exports, compiled networks, and
    records of what was tried.

    Where all users may write to the one that is named, it is a folder of this user's own in it:
    what lies there is run.

    Raises:
        RuntimeUnavailable: where none is named and the user has no home folder, or where the
            own one in a shared one cannot be made or is another user's.
    """
    own = os.environ.get(CACHE_VARIABLE)
    base = os.environ.get('XDG_CACHE_HOME') or '~/.cache'
    try:
        folder = Path(own or Path(base, 'ssd_perception')).expanduser().absolute()
    except RuntimeError as error:  # a container's user without HOME
        raise RuntimeUnavailable(
            f'Weights must be exported into a cache, and this user has no home folder; set '
            f'{CACHE_VARIABLE} to a folder that can be written.') from error
    try:
        return _of_this_user(folder) if folder.stat().st_mode & stat.S_IWOTH else folder
    except OSError:  # not there yet, or no folder, which writing to it says
        return folder


def _of_this_user(shared: Path) -> Path:
    folder = shared / f'user_{os.getuid()}'
    try:
        folder.mkdir(mode=0o700)
    except FileExistsError:
        pass
    except OSError as error:  # what others put into the shared one must not be run instead
        raise RuntimeUnavailable(f'{folder} cannot be made ({error.strerror}); set '
                                 f'{CACHE_VARIABLE} to a folder of your own.') from error
    state = folder.lstat()
    if not stat.S_ISDIR(state.st_mode) or state.st_uid != os.getuid() \
            or state.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise RuntimeUnavailable(f'{folder} belongs to another user, or others may write to it; '
                                 f'set {CACHE_VARIABLE} to a folder of your own.')
    return folder


def keep_in_cache(path: Path, data: bytes | bytearray | memoryview) -> Path:
    """Write a file of the cache; where that becomes too large, the oldest ones are removed.

    Raises:
        OSError: from the system, for example for a full disk.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    atomic_write(path, data, shared=True)
    clean_cache(path)
    return path


def clean_cache(kept: Path) -> None:
    """Remove the oldest files beside ``kept`` beyond ``MAX_CACHE_BYTES`` or ``MAX_CACHE_FILES``.

    Only files with names that this package gives are looked at: the folder may be any.
    """
    found = []
    for file in kept.parent.iterdir():
        with contextlib.suppress(OSError):  # another process removes it, too
            if _CACHED.fullmatch(file.name) and not file.is_symlink() and file != kept:
                state = file.stat()
                found.append((state.st_mtime_ns, state.st_size, file))
    size, count = sum(size for _, size, _ in found), len(found)
    for _, file_size, file in sorted(found):
        if size <= MAX_CACHE_BYTES and count <= MAX_CACHE_FILES:
            return
        with contextlib.suppress(OSError):
            file.unlink()
        size, count = size - file_size, count - 1


@contextlib.contextmanager
def cache_in(folder: str | os.PathLike) -> Iterator[None]:
    """Use another cache folder meanwhile: for weights that nobody will run a second time."""
    before = os.environ.get(CACHE_VARIABLE)
    os.environ[CACHE_VARIABLE] = os.fspath(folder)
    try:
        yield
    finally:
        if before is None:
            del os.environ[CACHE_VARIABLE]
        else:
            os.environ[CACHE_VARIABLE] = before


def is_exported(path: Path) -> bool:
    """Say whether ``path`` names an exported file rather than weights for torch."""
    return path.name.endswith(EXPORTED_SUFFIX)


def beside(weights: Path, precision: str) -> Path:
    """Return where the exported file of ``weights`` lies: NAME.onnx or NAME.int8.onnx."""
    kind = '.int8' if precision == 'int8' else ''
    return weights.with_name(weights.name.removesuffix(SUFFIX) + kind + EXPORTED_SUFFIX)


def find_export(path: Path, precision: str) -> ExportedFile:
    """Return the exported file that stands for ``path``.

    Args:
        path: weights, or an exported file itself.
        precision: ``auto``, ``fp32`` or ``int8``.

    Raises:
        WeightsError: when a named file is foreign, stale or of another format.
        RuntimeUnavailable: when there is none and none can be made; the sentence says why.
    """
    if is_exported(path):
        return _named(path, precision)
    wanted = 'int8' if precision == 'int8' else 'fp32'
    digest = sha256_of(path)
    candidate, reason = beside(path, wanted), 'there is none'
    if candidate.is_file():
        try:
            exported = read_export(candidate)
            if exported.info.weights_sha256 == digest and exported.info.precision == wanted:
                return exported
            reason = f'{candidate.name} was exported from other weights'
        except WeightsError as error:
            reason = str(error).rstrip('.')
        _log.warning('%s is not used: %s.', printable(candidate, 500), printable(reason, 500))
    if wanted == 'int8':
        raise RuntimeUnavailable(
            f'precision int8 needs {candidate} made from these weights ({reason}): run '
            f'ssd_perception export --weights {path} --int8 --data IMAGES')
    return _cached(path, digest, reason)


def check_outputs(source: str | os.PathLike, metadata: Metadata, images: int,
                  outputs: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Return what a network has answered for so many images, if the metadata promise such.

    Raises:
        WeightsError: naming ``source``, what was expected and what was found.
    """
    if len(outputs) != 2:
        raise WeightsError(f'{source} has {len(outputs)} outputs, and not logits and deltas.')
    logits, deltas = outputs
    for name, array, last in (('logits', logits, metadata.columns), ('deltas', deltas, 4)):
        wanted = (images, metadata.architecture.anchor_count, last)
        if array.shape != wanted or array.dtype != np.float32:
            raise WeightsError(f'{source}: the output "{name}" should be float32 {wanted} by the '
                               f'metadata, found {array.dtype} {array.shape}.')
    # Comparisons with NaN are false, so it would look as if nothing was there.
    if not np.isfinite((logits.max(), deltas.max(), deltas.min())).all():
        raise WeightsError(f'{source} answers with NaN or infinity: weights or device are broken; '
                           'use other weights or another device.')
    return logits, deltas


def grey_images(metadata: Metadata) -> np.ndarray:
    """Return one (1, H, W, 3) image of the input's size and pixel type."""
    batch = empty_batch(1, metadata)
    batch.fill(127)
    return batch


def _named(path: Path, precision: str) -> ExportedFile:
    exported = read_export(path)
    if precision not in ('auto', exported.info.precision):
        raise RuntimeUnavailable(f'{path} holds {exported.info.precision}, not the precision '
                                 f'{precision} asked for.')
    weights = path.with_name(
        path.name.removesuffix(EXPORTED_SUFFIX).removesuffix('.int8') + SUFFIX)
    if weights.is_file() and sha256_of(weights) != exported.info.weights_sha256:
        raise WeightsError(f'{path} is stale: it was exported from other weights than the '
                           f'{weights.name} beside it; export again, or name {weights.name}.')
    return exported


def _cached(path: Path, digest: str, reason: str) -> ExportedFile:
    """Return the export in the cache, made first where it is absent.

    One at a time: torch's exporter refuses to run twice in one process, and a change of weights
    may abandon one that goes on.
    """
    with _exporting:
        return _export_once(path, digest, reason)


def _export_once(path: Path, digest: str, reason: str) -> ExportedFile:
    # Of any name a part that file systems and runtimes take.
    stem = re.sub(r'[^\w.-]+', '_', path.stem)[:50]
    cached = cache_folder() / f'{stem}-{digest[:32]}-{EXPORT_VERSION}{EXPORTED_SUFFIX}'
    if cached.is_file():
        try:
            exported = read_export(cached)
            if exported.info.weights_sha256 == digest and exported.info.precision == 'fp32':
                return exported
        except WeightsError:
            pass  # made anew below
    try:
        from ssd_perception.inference.export import export_onnx
    except ModuleNotFoundError as error:
        raise RuntimeUnavailable(
            f'{path.name} must be exported before it can run here ({reason}), which needs the '
            f'Python module "{error.name}": run ssd_perception export --weights {path.name} '
            'where torch is installed, and put the file beside it.') from error
    _log.warning('Exporting %s once, to %s.', printable(path.name), printable(cached, 500))
    try:
        cached.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        exported = read_export(export_onnx(path, cached))
        clean_cache(cached)
        return exported
    except OSError as error:
        raise RuntimeUnavailable(
            f'{path.name} must be exported before it can run here, and {cached.parent} cannot be '
            f'written ({error}); set {CACHE_VARIABLE} to a folder that can.') from error
