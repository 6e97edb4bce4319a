"""The work folder of a run over a recording: finished chunks, so that it can be resumed."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
import stat
import struct
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import BinaryIO, TextIO

import numpy as np

from ssd_perception.core.atomic_write import atomic_write
from ssd_perception.core.detections import Detections
from ssd_perception.core.errors import UserError

CHUNK_FRAMES = 100  # an interrupted run loses what it did on one chunk
_IDENTITY, _FRAMES, _TIMES, _JPEGS = 'identity.json', 'frames.jsonl', 'times.jsonl', 'jpegs.bin'
_LENGTH = struct.Struct('<I')


class WorkFolderError(UserError, ValueError):
    """An interrupted run that this one cannot continue; one sentence."""


@contextlib.contextmanager
def reading(chunk: Path) -> Iterator[None]:
    """Let what reads a finished chunk say in a sentence that the chunk is damaged."""
    try:
        yield
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError, struct.error,
            FileNotFoundError) as error:
        raise WorkFolderError(f'{chunk}, of an interrupted replay, is damaged; give --fresh to '
                              'discard it.') from error


@dataclass(frozen=True)
class FrameResult:
    """What became of one frame of the recording.

    Attributes:
        index: its place among the images of the recording.
        topic: where it was recorded.
        recorded_ns, stamp_ns: times of recording and of the header.
        frame_id: the header's.
        width, height: pixels; 0 when the image could not be decoded.
        detections: the detector's, with all scores from the low threshold on.
        error: why the image could not be decoded or answered; empty when it could.
        staged: what the stages made of ``detections``; None where no stage ran.
    """

    index: int
    topic: str
    recorded_ns: int
    stamp_ns: int
    frame_id: str
    width: int
    height: int
    detections: Detections
    error: str = ''
    staged: Detections | None = None

    def with_detections(self, detections: Detections) -> FrameResult:
        """Return the same frame with what was found."""
        return replace(self, detections=detections)

    def to_json(self) -> str:
        """Return one line; numbers come back exactly."""
        values = dict(vars(self), **_values(self.detections))
        del values['detections']
        values['staged'] = None if self.staged is None else _values(self.staged)
        return json.dumps(values)

    @classmethod
    def from_json(cls, line: str) -> FrameResult:
        """Return what ``to_json`` wrote."""
        values = json.loads(line)
        found = _detections({name: values.pop(name, None)
                             for name in ('xyxy', 'scores', 'labels', 'ids')})
        staged = values.pop('staged')
        return cls(detections=found, staged=None if staged is None else _detections(staged),
                   **values)


def _values(found: Detections) -> dict:
    values = {'xyxy': found.xyxy.tolist(), 'scores': found.scores.tolist(),
              'labels': found.labels.tolist()}
    return values if found.ids is None else {**values, 'ids': found.ids.tolist()}


def _detections(values: dict) -> Detections:
    return Detections(np.array(values['xyxy']).reshape(-1, 4), values['scores'],
                      values['labels'], values.get('ids'))


@dataclass(frozen=True)
class RunIdentity:
    """The inputs of a run; a run may continue another one only if all of them are equal.

    Attributes:
        files: (name, bytes, time of change in ns) of the recording.
        weights: SHA-256 of the weights.
        settings: everything else that the results depend on.
    """

    files: tuple[tuple[str, int, int], ...]
    weights: str
    settings: dict

    def to_json(self, chunk_frames: int) -> str:
        """Return a text that is equal for equal identities and chunks of the same size."""
        return json.dumps({**asdict(self), 'chunk_frames': chunk_frames}, indent=1,
                          sort_keys=True)


def recorded_files(path: Path) -> tuple[tuple[str, int, int], ...]:
    """Return name, size and time of change of every file of a recording."""
    files = sorted(path.iterdir()) if path.is_dir() else [path]
    return tuple((f.name, f.stat().st_size, f.stat().st_mtime_ns) for f in files if f.is_file())


class WorkFolder:
    """Chunks of a run, beside the result; a context manager that keeps a second run out.

    Args:
        out: the result's folder.
        identity: of this run.
        fresh: begin anew, whatever is there.
        chunk_frames: frames in a chunk, at least 1.

    Attributes:
        path: the hidden folder.
        chunk_frames: as given.

    Raises:
        WorkFolderError: when another run works there, or an interrupted one had another identity.
    """

    def __init__(self, out: Path, identity: RunIdentity, fresh: bool = False,
                 chunk_frames: int = CHUNK_FRAMES):
        self.path = out.with_name(f'.{out.name}.replay')
        self.chunk_frames = chunk_frames
        self._lock = _locked(self.path, out)
        try:
            self._prepare(identity.to_json(chunk_frames), fresh, out)
        except BaseException:
            self._lock.close()
            raise

    def _prepare(self, identity: str, fresh: bool, out: Path) -> None:
        file = self.path / _IDENTITY
        if fresh:
            self._empty()
        if file.is_file() and file.read_text(encoding='utf-8') != identity:
            raise WorkFolderError(
                f'An interrupted replay into {out} had another recording, other weights or other '
                'settings; repeat its command to finish it, or give --fresh to discard it.')
        for partial in self.path.glob('*.partial'):
            _remove(partial)
        atomic_write(file, identity.encode())

    @property
    def done(self) -> list[Path]:
        """The finished chunks in order, without a gap."""
        chunks: list[Path] = []
        while (chunk := self.path / f'{len(chunks):06d}').is_dir():
            chunks.append(chunk)
        return chunks

    @property
    def done_frames(self) -> int:
        """The frames in whole chunks that are done; beyond the recording's end after the last."""
        return len(self.done) * self.chunk_frames

    def forget(self, frame: int) -> None:
        """Remove the chunk with this frame, by its index, and those after it."""
        for chunk in reversed(self.done[frame // self.chunk_frames:]):
            _remove(chunk)

    def frames(self) -> Iterator[FrameResult]:
        """Yield every frame's result."""
        for chunk in self.done:
            with reading(chunk), open(chunk / _FRAMES, encoding='utf-8') as lines:
                yield from map(FrameResult.from_json, lines)

    def jpegs(self) -> Iterator[bytes]:
        """Yield every frame's annotated JPEG; empty where it was not drawn."""
        for chunk in self.done:
            with reading(chunk), open(chunk / _JPEGS, 'rb') as file:
                while head := file.read(_LENGTH.size):
                    yield file.read(_LENGTH.unpack(head)[0])

    def times(self) -> Iterator[dict[str, float]]:
        """Yield every frame's milliseconds by step."""
        for chunk in self.done:
            with reading(chunk), open(chunk / _TIMES, encoding='utf-8') as lines:
                yield from map(json.loads, lines)

    def remove(self) -> None:
        """Remove the folder: the result is complete."""
        shutil.rmtree(self.path, ignore_errors=True)

    def __enter__(self) -> WorkFolder:
        return self

    def __exit__(self, *_: object) -> None:
        self._lock.close()

    def _empty(self) -> None:
        for entry in self.path.iterdir():
            if entry.name != 'lock':
                _remove(entry)


class ChunkWriter:
    """Writes one chunk, which is there once ``finish`` was called.

    Args:
        folder: of the run.
        number: of the chunk, from 0.
    """

    def __init__(self, folder: WorkFolder, number: int):
        self._final = folder.path / f'{number:06d}'
        self.path = self._final.with_suffix('.partial')
        self.path.mkdir()
        self._lines: TextIO = open(self.path / _FRAMES, 'w', encoding='utf-8')
        self._times: TextIO = open(self.path / _TIMES, 'w', encoding='utf-8')
        self._jpegs: BinaryIO = open(self.path / _JPEGS, 'wb')

    def add(self, result: FrameResult, jpeg: bytes, times_ms: dict[str, float]) -> None:
        """Append a frame, its annotated image (empty for none), and milliseconds by step."""
        self._lines.write(result.to_json() + '\n')
        self._times.write(json.dumps({k: round(v, 3) for k, v in times_ms.items()}) + '\n')
        self._jpegs.write(_LENGTH.pack(len(jpeg)) + jpeg)

    def finish(self) -> None:
        """Give the chunk its name."""
        self.close()
        os.rename(self.path, self._final)

    def close(self) -> None:
        """Close the files; what was not finished is discarded by the next run."""
        for file in (self._lines, self._times, self._jpegs):
            file.close()


def _locked(path: Path, out: Path) -> BinaryIO:
    """Make the folder and lock it; neither it nor its lock may be a link to something else."""
    path.mkdir(parents=True, exist_ok=True)
    if path.is_symlink():
        raise WorkFolderError(f'{path}, where replay keeps its work, is a link; remove it.')
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    try:
        number = os.open(path / 'lock', flags, 0o666)
    except OSError as error:
        raise WorkFolderError(f'{path / "lock"} cannot be opened ({error.strerror}); '
                              f'remove {path}.') from error
    lock = os.fdopen(number, 'r+b', buffering=0)
    try:
        if not stat.S_ISREG(os.fstat(number).st_mode):
            raise WorkFolderError(f'{path / "lock"} is no file; remove {path}.')
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        lock.close()
        raise WorkFolderError(f'Another replay is writing {out} now; wait for it, or '
                              'choose another --out.') from error
    except WorkFolderError:
        lock.close()
        raise
    return lock


def _remove(entry: Path) -> None:
    """Remove a folder or a file; of a link the link itself."""
    if entry.is_dir() and not entry.is_symlink():
        shutil.rmtree(entry)
    else:
        entry.unlink()
