"""Find and open the files of a data folder: names that other programs wrote, and text files."""

from __future__ import annotations

import codecs
import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath

from ssd_perception.core.errors import DataError
from ssd_perception.core.safe_path import inside, regular_file
from ssd_perception.core.text import printable
from ssd_perception.data.sample import IMAGE_SUFFIXES, OnBad, refuse

MAX_TEXT_BYTES = 100_000_000  # a list of a million images with long names
MAX_FILES = 5_000_000  # in one data folder
MAX_LINES = MAX_FILES  # in a list of them
_BOMS = ((codecs.BOM_UTF8, 'utf-8'), (codecs.BOM_UTF16_LE, 'utf-16-le'),
         (codecs.BOM_UTF16_BE, 'utf-16-be'))
_DRIVE = re.compile(r'[A-Za-z]:')
# What macOS, Windows and version control leave; "._a.jpg" is no image.
HIDDEN = ('.', '__MACOSX')
SPLITS = ('train', 'val', 'test')
WHOLE = 'all'  # the split of a folder that has none
_ALIASES = {'training': 'train', 'valid': 'val', 'validation': 'val', 'testing': 'test'}
_YEAR = re.compile(r'[_-]?(19|20)\d\d$')
_CVAT_FOLDER = re.compile(r'obj_(.+)_data')
_UPLOADED = re.compile(r'(^|/)[0-9a-f]{8}-(?=[^/]+$)')
_PROBES = 1000  # lines tried before a list is taken for one of other images


def files_below(root: Path, suffixes: Iterable[str]) -> Iterator[Path]:
    """Yield the files below ``root`` with one of the lower-case ``suffixes``, sorted by folder.

    Hidden files and folders are left out, and links to folders are not followed.

    Raises:
        DataError: when there are more than ``MAX_FILES`` files.
    """
    suffixes, count = tuple(suffixes), 0
    for folder, below, names in os.walk(root):
        below[:] = sorted(name for name in below if not name.startswith(HIDDEN))
        count += len(names)
        if count > MAX_FILES:
            raise DataError(f'{root} holds more than {MAX_FILES} files; give the folder of one '
                            'data set.', root)
        for name in sorted(names):
            if name.lower().endswith(suffixes) and not name.startswith(HIDDEN):
                yield Path(folder, name)


def images_below(root: Path) -> list[Path]:
    """Return the image files below ``root``; see ``files_below``."""
    return list(files_below(root, IMAGE_SUFFIXES))


def parts_of(name: str) -> tuple[str, ...]:
    """Return a path that another program wrote as parts, from the last ``..`` on.

    Windows' separators and drives, the root and ``.`` are left out: a data set lies elsewhere
    on every machine, and what counts is how it ends.
    """
    name = name.strip().replace('\\', '/')
    if _DRIVE.match(name):
        name = name[2:]
    parts = [part for part in PurePosixPath(name).parts if part not in ('/', '//', '.')]
    if '..' in parts:
        parts = parts[len(parts) - parts[::-1].index('..'):]
    return tuple(parts)


def below(root: Path, name: str) -> Path | None:
    """Return the file or folder that ``name`` means below ``root``; None where there is none.

    It is the longest end of ``name`` that exists: ``../train/images`` and
    ``/home/me/set/train/images`` both find ``train/images``. Never anything outside of ``root``.
    """
    parts = parts_of(name)
    for start in range(len(parts)):
        if os.path.exists(root / Path(*parts[start:])):
            return inside(root, '/'.join(parts[start:]))
    return root if not parts else None


def without_prefix(name: str) -> str:
    """Return the name that a file had before it was uploaded to Label Studio."""
    return _UPLOADED.sub(r'\1', name)


def image_named(stem: Path) -> Path | None:
    """Return the image that is called ``stem`` with a known ending, or None."""
    for suffix in IMAGE_SUFFIXES:
        for ending in (suffix, suffix.upper()):
            path = stem.with_name(stem.name + ending)
            if os.path.isfile(path):
                return path
    return None


def read_bounded(path: Path, limit: int, what: str, root: Path | None = None) -> bytes:
    """Return a file's content.

    Args:
        limit: bytes it may have.
        what: what the file should be, for the message.
        root: the data folder that it belongs to, out of which no link may lead.

    Raises:
        DataError: when it cannot be read, is no regular file, is larger or lies elsewhere.
    """
    try:
        if root is not None:
            inside(root, path.relative_to(root).as_posix())
        with open(regular_file(path), 'rb') as file:
            data = file.read(limit + 1)
    except DataError:
        raise
    except (OSError, ValueError) as error:
        reason = getattr(error, 'strerror', None) or error
        raise DataError(f'{path} cannot be read as {what}: {reason}.', path) from error
    if len(data) > limit:
        raise DataError(f'{path} has more than {limit} bytes, too many for {what}.', path)
    return data


def read_text(path: Path, what: str, limit: int = MAX_TEXT_BYTES,
              root: Path | None = None) -> str:
    """Return a text file's content: UTF-8, or UTF-16 where it begins with its mark.

    Bytes that are not UTF-8 become surrogates, as in names of files: a list in another encoding
    still finds the files whose names are in the same one.

    Raises:
        DataError: see ``read_bounded``.
    """
    data = read_bounded(path, limit, what, root)
    for mark, encoding in _BOMS:
        if data.startswith(mark):
            return data[len(mark):].decode(encoding, 'replace')
    return data.decode('utf-8', 'surrogateescape')


def read_lines(path: Path, what: str, limit: int = MAX_TEXT_BYTES,
               root: Path | None = None) -> list[str]:
    """Return the lines of ``read_text`` without their ends and without empty ones at the end.

    Raises:
        DataError: also for more than ``MAX_LINES``.
    """
    text = read_text(path, what, limit, root)
    if text.count('\n') > MAX_LINES:
        raise DataError(f'{path} has more than {MAX_LINES} lines, too many for {what}.', path)
    lines = [line.rstrip('\r') for line in text.split('\n')]
    while lines and not lines[-1].strip():
        lines.pop()
    return lines


def canonical(split: str) -> str:
    """Return what a split is for: ``train``, ``val`` or ``test`` for their usual names.

    ``valid``, ``Validation`` and ``val2017`` are ``val``; any other name stays as it is.
    """
    name = _YEAR.sub('', split.lower())
    return _ALIASES.get(name, name)


def split_of(root: Path, file: Path) -> str:
    """Return the split that a file's folders below ``root`` name; ``WHOLE`` where none does."""
    for part in file.relative_to(root).parts[:-1]:
        cvat = _CVAT_FOLDER.fullmatch(part)
        name = cvat[1] if cvat else part
        if canonical(name) in SPLITS:
            return name
    return WHOLE


def listed_images(root: Path, listing: Path, lines: Iterable[str],
                  on_bad: OnBad | None) -> list[Path]:
    """Return the images that a list names, in its order.

    Such lists were often written on another machine. The same leading folders are dropped from
    every line, so that no line can find another line's image.

    Args:
        root: the data folder; nothing outside of it is found.
        listing: the file that has the ``lines``.
        on_bad: takes one DataError for each image that is missing.
    """
    names = [line.strip() for line in lines if line.strip()]
    start = next((found for name in names[:_PROBES]
                  if (found := _first_match(root, listing, parts_of(name)))), None)
    images = []
    for name in names:
        parts = parts_of(name)
        base, dropped = start or (root, ())
        if start and parts[:len(dropped)] == dropped and len(parts) > len(dropped):
            try:
                image = inside(root, str((base / Path(*parts[len(dropped):])).relative_to(root)))
            except DataError as error:
                refuse(error, on_bad)
                continue
            if os.path.isfile(image):
                images.append(image)
                continue
        refuse(DataError(f'No image for "{printable(name)}" of {listing}; a path below {root} is '
                         'expected.', base.joinpath(*parts[len(dropped):]), 'missing picture'),
               on_bad)
    return images


def _first_match(root: Path, listing: Path,
                 parts: tuple[str, ...]) -> tuple[Path, tuple[str, ...]] | None:
    """Return where an image was found: the folder, and which of ``parts`` were dropped."""
    for start in range(len(parts)):
        for base in dict.fromkeys((listing.parent, root)):
            if os.path.isfile(base / Path(*parts[start:])):
                return base, parts[:start]
    return None
