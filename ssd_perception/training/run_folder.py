"""The folder of a run: log, TensorBoard, curves, weights and checkpoint, safe on a full disk."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from torch.utils.tensorboard import SummaryWriter

from ssd_perception.core.atomic_write import atomic_write, make_folder
from ssd_perception.core.errors import DataError
from ssd_perception.core.metadata import Metadata
from ssd_perception.core.safe_path import regular_file
from ssd_perception.core.text import describe_error
from ssd_perception.model.ssd import SSD
from ssd_perception.model.weights import save_weights
from ssd_perception.training.checkpoints import save_checkpoint
from ssd_perception.training.plots import plot_curves, plot_schedule
from ssd_perception.training.recipe import Recipe

CHECKPOINT = 'checkpoint.pt'
# The loaders of a training that was killed end some seconds later.
_ENDED_WITHIN_S = 8.0


class RunFolder:
    """Writes the files of a run, each one atomically.

    ``checkpoint.pt``, ``log.jsonl``, ``schedule.png``, ``curves.png``, ``tensorboard/``, and
    weights that carry the folder's name.

    Args:
        path: the folder, made when it is missing.
        warn: gets one sentence when something could not be written; the run goes on, with
            the last good files in place.

    Attributes:
        best: weights with the best COCO AP on the first validation split; the last measured
            step's where there is no such split.
        last: weights of the last checkpoint.
    """

    def __init__(self, path: Path, warn: Callable[[str], None]):
        self.path, self._warn = path, warn
        self.checkpoint = path / CHECKPOINT
        name = path.resolve().name or 'run'  # so that logs can tell the weights of runs apart
        self.best = path / f'{name}.safetensors'
        self.last = path / f'{name}.last.safetensors'
        self._log_path = path / 'log.jsonl'
        self._board: SummaryWriter | None = None
        self._lock: int | None = None

    def lock(self) -> None:
        """Make the folder, and keep other trainings out of it until ``close``.

        Raises:
            DataError: when another one is at work there.
        """
        self.path.mkdir(parents=True, exist_ok=True)
        number = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        end = time.monotonic() + _ENDED_WITHIN_S
        while True:
            try:
                fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                if time.monotonic() < end:
                    time.sleep(0.1)
                    continue
                os.close(number)
                raise DataError(f'Another training is writing {self.path} now; wait for it, or '
                                'choose another --out.', self.path) from error
            except OSError:  # a file system without locks
                pass
            self._lock = number
            return

    def open(self, recipe: Recipe, iteration: int) -> None:
        """Begin or continue: drop the lines of the log after ``iteration``.

        A run that was killed has logged more than its checkpoint holds.
        """
        if self._lock is None:
            self.lock()
        if self._log_path.exists():
            kept = [row for row in self.rows() if row['iteration'] <= iteration]
            atomic_write(self._log_path, ''.join(json.dumps(row) + '\n' for row in kept).encode())
        self._try(lambda: plot_schedule(recipe, self.path / 'schedule.png'), 'schedule.png')
        board = make_folder(self.path / 'tensorboard')
        try:
            self._board = SummaryWriter(str(board), purge_step=iteration + 1)
        except UnicodeError:
            self._warn(f'{board} stays empty: TensorBoard writes into folders only whose names '
                       'are UTF-8.')

    def close(self) -> None:
        """Finish what TensorBoard has buffered; let others into the folder."""
        if self._board is not None:
            self._try(self._board.close, 'tensorboard')
        if self._lock is not None:
            with contextlib.suppress(OSError):  # a loader that still ends has the descriptor too
                fcntl.flock(self._lock, fcntl.LOCK_UN)
            os.close(self._lock)
            self._lock = None

    def rows(self) -> list[dict]:
        """Return the log; a line torn by a kill or a full disk is left out."""
        rows = []
        for line in regular_file(self._log_path).read_bytes().splitlines():
            try:
                row = json.loads(line)
            except (ValueError, RecursionError):
                continue
            if isinstance(row, dict) and isinstance(row.get('iteration'), int):
                rows.append(row)
        return rows

    def log(self, row: dict, group: str = '') -> None:
        """Append ``row``, which has an ``iteration``, and show its numbers in TensorBoard.

        Args:
            group: what their names there begin with.
        """
        def write() -> None:
            # Never through a link: the folder may be from elsewhere.
            flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW
            with os.fdopen(os.open(self._log_path, flags, 0o666), 'a') as file:
                file.write(json.dumps(row) + '\n')
            if (board := self._board) is None:
                return
            for name, value in _numbers(row, group):
                board.add_scalar(name, value, row['iteration'])
        self._try(write, 'the log')

    def save_weights(self, path: Path, model: SSD, metadata: Metadata) -> bool:
        """Write weights for the Detector to ``best`` or ``last``; return whether that worked."""
        return self._try(lambda: save_weights(path, model, metadata), path.name)

    def save_checkpoint(self, state: dict[str, Any]) -> bool:
        """Write what the run can be continued from; return whether that worked."""
        return self._try(lambda: save_checkpoint(self.checkpoint, state), self.checkpoint.name)

    def draw_curves(self) -> None:
        """Plot the log so far, if all of it is as this version writes it."""
        try:
            self._try(lambda: plot_curves(self.rows(), self.path / 'curves.png'), 'curves.png')
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
            self._warn(f'curves.png could not be drawn, because {self._log_path} is not as this '
                       f'version writes it ({describe_error(error)}). Training goes on.')

    def _try(self, write: Callable[[], object], what: str) -> bool:
        try:
            write()
        except OSError as error:
            self._warn(f'{what} could not be written in {self.path}: '
                       f'{error.strerror or error}. Training goes on, what was written before is '
                       'whole; make room.')
            return False
        return True


def _numbers(row: dict, prefix: str) -> Iterator[tuple[str, float]]:
    """Yield (name, number) of everything numeric in ``row``, nested names joined by slashes."""
    for key, value in row.items():
        if isinstance(value, dict):
            yield from _numbers(value, f'{prefix}{key}/')
        elif isinstance(value, (int, float)) and key != 'iteration':
            yield prefix + key, value
