"""Decode every image of a data set in several processes, and keep what the checks need."""

from __future__ import annotations

import hashlib
import multiprocessing
import os
import signal
import warnings
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from ssd_perception.core.errors import DataError
from ssd_perception.core.signals import end_with_parent
from ssd_perception.data.duplicates import perceptual_hash
from ssd_perception.data.sample import Sample
from ssd_perception.imaging.files import open_with_pillow, read_bytes, read_image
from ssd_perception.imaging.jpeg import exif_orientation, is_truncated

HASH_BITS = 64
# Decoding fewer images takes less time than starting processes.
_WORTH_PROCESSES = 48


@dataclass(frozen=True)
class ImageFacts:
    """What was found in an image file.

    Attributes:
        hw: height and width, px, as stored; None when it could not be decoded.
        digest: SHA-1 of the file; empty when it could not be read.
        perceptual: uint8 (8,), the 64 bits of its perceptual hash; None when not decoded.
        orientation: EXIF's flag, 1 (upright) to 8.
        failure: kind of problem and sentence; None for a good image.
        brightest: greatest value of a pixel, 0 to 255; 255 when not decoded.
    """

    hw: tuple[int, int] | None = None
    digest: str = ''
    perceptual: np.ndarray | None = None
    orientation: int = 1
    failure: tuple[str, str] | None = None
    brightest: int = 255

    def seen_hw(self, sample: Sample) -> tuple[int, int] | None:
        """Return height and width of ``sample.image()``."""
        unturned = self.hw[::-1] if self.hw and self.orientation >= 5 else self.hw
        return unturned if sample.stated_hw == unturned else self.hw


def inspect_image(path: Path) -> ImageFacts:
    """Decode one image the way training does and, more strictly, with Pillow; never raise."""
    digest = ''
    try:
        data = read_bytes(path)
        digest = hashlib.sha1(data).hexdigest()
        if is_truncated(data):
            raise DataError('the end of the image is missing', path, 'truncated picture')
        perceptual = _with_pillow(path, data)
        image = read_image(path)
    except DataError as error:
        detail = str(error).removeprefix(f'{path} ')
        return ImageFacts(digest=digest, failure=(error.problem, detail))
    return ImageFacts(image.shape[:2], digest, perceptual, exif_orientation(data),
                      brightest=int(image.max()))


def _with_pillow(path: Path, data: bytes) -> np.ndarray:
    """Return the perceptual hash."""
    try:
        with warnings.catch_warnings():  # of broken EXIF and the like: the pixels are what counts
            warnings.simplefilter('ignore')
            return perceptual_hash(open_with_pillow(path, data))
    except (OSError, ValueError, SyntaxError, EOFError, Image.DecompressionBombError) as error:
        kind = 'truncated picture' if 'truncated' in str(error) else 'unreadable picture'
        raise DataError(f'it cannot be decoded: {error}', path, kind) from error


def inspect_images(paths: Sequence[Path], processes: int | None = None,
                     inspect: Callable[[Path], ImageFacts] = inspect_image,
                     ) -> Iterator[tuple[Path, ImageFacts]]:
    """Yield every path with its facts, in the order in which they come.

    A decoder that crashes ends its process; the image is found and named, and the others are
    inspected nevertheless. Memory: each process holds one image at a time.

    Args:
        processes: None takes the cores, or none beside this one for a few images; 0 none.
        inspect: what to do with each; a function that other processes can import.
    """
    if processes is None:
        processes = _cores() if len(paths) >= _WORTH_PROCESSES else 0
    if processes == 0 or not _can_start_processes():
        yield from ((path, inspect(path)) for path in paths)
        return
    suspects = yield from _in_pool(paths, processes, inspect)
    for path in suspects:  # alone, so that a crash is certainly by this image
        crashed = yield from _in_pool([path], 1, inspect)
        if crashed:
            yield path, ImageFacts(failure=(
                'unreadable picture', 'it makes the decoder crash'))


def _pool(processes: int) -> ProcessPoolExecutor:
    # Not fork: OpenCV and torch have threads, which do not survive it.
    return ProcessPoolExecutor(processes, multiprocessing.get_context('spawn'), _start,
                               (os.getpid(),))


def _can_start_processes() -> bool:
    """Return whether a process starts at all; else every image would seem to crash it."""
    with _pool(1) as pool:
        try:
            return pool.submit(int).result() == 0
        except BrokenProcessPool:
            return False


def _in_pool(paths: Iterable[Path], processes: int,
             inspect: Callable) -> Generator[tuple[Path, ImageFacts], None, list[Path]]:
    """Yield what could be inspected; return the paths that were under way in a crash."""
    waiting = iter(paths)
    suspects: list[Path] = []
    while True:
        under_way: dict[Future, Path] = {}
        pool = _pool(processes)
        try:
            while True:
                for path in waiting:
                    try:
                        under_way[pool.submit(inspect, path)] = path
                    except BrokenProcessPool:
                        suspects.append(path)
                        raise
                    if len(under_way) >= 4 * processes:  # enough that no process waits
                        break
                if not under_way:
                    return suspects
                for future in wait(under_way, return_when=FIRST_COMPLETED).done:
                    facts = future.result()
                    yield under_way.pop(future), facts
        except BrokenProcessPool:
            suspects += under_way.values()
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def _cores() -> int:
    if hasattr(os, 'sched_getaffinity'):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _start(parent: int) -> None:
    end_with_parent(parent)
    cv2.setNumThreads(1)  # the processes are the parallelism
    # Ctrl-C reaches the whole group; the command decides what ends.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
