"""Find a weights file by path or by name; the same answer for node, commands and tests."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from ssd_perception.core.errors import UserError
from ssd_perception.core.safe_path import did_you_mean
from ssd_perception.core.text import printable

PACKAGE = 'ssd_perception'
DEFAULT_NAME = 'rover'
COCO = 'coco'  # imported ones, see `ssd_perception import_torchvision`
SUFFIX = '.safetensors'
EXPORTED_SUFFIX = '.onnx'  # NAME.onnx and NAME.int8.onnx


class WeightsNotFound(UserError, FileNotFoundError):
    """No weights under that path or name; the message lists every place tried.

    Args:
        path: what was asked for.
    """

    def __init__(self, message: str, path: Path | None = None):
        super().__init__(message)
        self._path = path

    @property
    def hint(self) -> str:
        """Which file was meant, perhaps."""
        if self._path is None:
            return ''
        # Of a run's files the one with the shortest name has the best weights.
        run = min(self._path.glob(f'*{SUFFIX}'), key=lambda file: len(file.name), default=None)
        return f' Did you mean {printable(run, 1000)}?' if run else did_you_mean(self._path)


def weights_folders() -> list[Path]:
    """Return the folders a name is looked up in, first match wins.

    The ament share folders, then the installed package's data, then the source tree.
    """
    prefixes = [p for p in os.environ.get('AMENT_PREFIX_PATH', '').split(os.pathsep) if p]
    folders = [Path(p, 'share', PACKAGE, 'weights') for p in prefixes]
    folders.append(Path(sys.prefix, 'share', PACKAGE, 'weights'))
    folders.append(Path(__file__).resolve().parents[2] / 'weights')
    return list(dict.fromkeys(folders))


def is_shipped(path: Path) -> bool:
    """Say whether a resolved path is one of the weights that came with the package."""
    folders = [folder.resolve() for folder in weights_folders()]
    # A colcon install with --symlink-install has links in its folder; ``resolve_weights`` has
    # already followed them, so a shipped file named by its folder counts as well.
    return any(folder in path.parents for folder in folders) \
        or any((folder / path.name).resolve() == path for folder in folders)


def resolve_weights(weights: str | os.PathLike = DEFAULT_NAME) -> Path:
    """Return the file that ``weights`` means.

    Args:
        weights: a path (``~`` allowed), or a bare name such as ``rover``; empty means the
            default name. A name without suffix means NAME.safetensors, and NAME.onnx where
            there are no such weights; ``rover.int8`` means rover.int8.onnx.

    Raises:
        WeightsNotFound: listing every place tried.
    """
    text = os.fspath(weights) or DEFAULT_NAME
    try:
        path = Path(text).expanduser()
    except RuntimeError as error:
        raise WeightsNotFound(f'Weights "{printable(text)}" not found: there is no such home '
                              'folder.') from error
    tried = [path]
    if path.is_file():
        return path.resolve()
    if path.name == text and not text.startswith('~'):  # a bare name, not a path
        names = [text] if path.suffix in (SUFFIX, EXPORTED_SUFFIX) else [
            text + SUFFIX, text + EXPORTED_SUFFIX]
        for candidate in (folder / name for name in names for folder in weights_folders()):
            tried.append(candidate)
            if candidate.is_file():
                return candidate.resolve()
    places = ', '.join(str(p if p.is_absolute() else Path.cwd() / p) for p in tried)
    what_to_do = (f'Give a path to a {SUFFIX} or {EXPORTED_SUFFIX} file, or the name of a shipped '
                  'one.')
    if text == COCO:
        what_to_do = ('Make them once, where there is a network: ssd_perception '
                      f'import_torchvision ssdlite320 --out {weights_folders()[-1] / COCO}')
    raise WeightsNotFound(f'Weights "{text}" not found; tried: {places}. {what_to_do}', path)
