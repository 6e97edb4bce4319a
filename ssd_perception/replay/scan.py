"""The pass over a recording: decode, detect, stages, draw; resumable and in threads."""

from __future__ import annotations

import collections
import contextlib
import queue
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from tqdm import tqdm

from ssd_perception.bags.reader import BagError, Record
from ssd_perception.bags.types import typestore
from ssd_perception.core.detections import Detections
from ssd_perception.core.errors import UserError
from ssd_perception.core.frame import Frame, Stage, run_stages
from ssd_perception.core.interface import MAX_FRAME_ID, NS_PER_S, stamp_to_ns
from ssd_perception.core.postprocess import PostprocessSettings
from ssd_perception.core.result_folder import naming_folder
from ssd_perception.core.text import describe_error
from ssd_perception.imaging.compressed import ImageError
from ssd_perception.imaging.encodings import to_rgb
from ssd_perception.inference.detector import Detector
from ssd_perception.replay.annotated_images import AnnotatedImages
from ssd_perception.replay.cameras import Recording
from ssd_perception.replay.thresholds import ScoreThresholds
from ssd_perception.replay.work_folder import ChunkWriter, FrameResult, WorkFolder

_AHEAD = 8  # frames that wait before and behind the detector
_MOST_FAILED = 20  # images in a row that the detector cannot answer, as on a device that is gone
_END = object()
# Between two of the network's layers its thread needs the interpreter; Python's usual 5 ms until
# another thread hands it over would add up to a fifth of the time of a frame.
_SWITCH_S = 0.0005


@dataclass(frozen=True)
class Stages:
    """What follows the detector, in order; see ``core.frame.Stage``.

    They see every decoded frame in recorded order, without its image, so that an interrupted run
    can bring a tracker back to where it was from the detections that it kept.

    Attributes:
        stages: with their state; prepared.
        reaching: the thresholds of what reaches them, as ``prepare_stages`` returned them.
    """

    stages: Sequence[Stage] = ()
    reaching: ScoreThresholds | None = None

    def __call__(self, result: FrameResult) -> FrameResult:
        """Return the frame with what the stages make of its detections."""
        if not self.stages or result.error or self.reaching is None:
            return result
        frame = Frame(result.topic, result.stamp_ns, result.frame_id, None)
        found = self.reaching.passed(result.detections)
        return replace(result, staged=run_stages(self.stages, frame, found))


@dataclass
class _Item:
    result: FrameResult
    image: np.ndarray | None
    times_ms: dict[str, float] = field(default_factory=dict)


def scan(recording: Recording, detectors: Sequence[Detector], settings: PostprocessSettings,
         stages: Stages, images: AnnotatedImages | None, folder: WorkFolder, batch: int = 1,
         log: Callable[[str], object] = print) -> float | None:
    """Answer the frames that are not done yet; on an exception, also Ctrl-C, chunks stay.

    On a CPU several detectors with one thread each answer more frames than one with all threads,
    which wait for each other behind every layer; a frame's answer is the same whichever detector
    gives it.

    Args:
        detectors: equal ones, each used by one thread at a time.
        settings: with a threshold low enough for stages and whoever reads the folder.
        images: draws the frames; None leaves them undrawn.
        folder: of this run; what an interrupted one did is not done again.
        batch: frames that a network takes at once.
        log: called with a sentence when an interrupted run is continued.

    Returns:
        Frames per second; None when all were done.
    """
    total, done = recording.frames, min(recording.frames, folder.done_frames)
    if done:
        log(f'Continuing an interrupted run behind frame {done} of {total}.')
    work = _Scan(recording, detectors, settings, stages, images, folder, batch)
    typestore()  # loading the message types takes as long as some frames, and no thread can work
    start = time.perf_counter()
    with tqdm(total=total, initial=done, desc='replay', unit='frame',
              disable=not sys.stderr.isatty()) as bar:
        try:
            with naming_folder(folder.path):
                count = work.run(bar.update)
        except KeyboardInterrupt:
            bar.close()
            print(f'Interrupted; the same command continues behind frame {folder.done_frames}.',
                  file=sys.stderr)
            raise
    return count / (time.perf_counter() - start) if count else None


class _Scan:
    def __init__(self, recording: Recording, detectors: Sequence[Detector],
                 settings: PostprocessSettings, stages: Stages,
                 images: AnnotatedImages | None, folder: WorkFolder, batch: int):
        self._recording, self._settings = recording, settings
        self._workers = len(detectors)
        self._idle: queue.SimpleQueue[Detector] = queue.SimpleQueue()
        for detector in detectors:
            self._idle.put(detector)
        self._stages, self._images, self._folder = stages, images, folder
        self._batch, self._skip = batch, folder.done_frames
        self._decoded: queue.Queue[Any] = queue.Queue(_AHEAD)
        self._answered: queue.Queue[Any] = queue.Queue(_AHEAD)
        self._stop = threading.Event()
        self._failure: BaseException | None = None
        self._count = 0
        self._failed_in_row: list[int] = []  # indices of frames

    def run(self, progress: Callable[[int], object]) -> int:
        if self._stages.stages:
            collections.deque(map(self._stages, self._folder.frames()), maxlen=0)
        threads = [threading.Thread(target=self._guarded, args=(work,), daemon=True)
                   for work in (self._decode, self._write)]
        switch_s = sys.getswitchinterval()
        sys.setswitchinterval(_SWITCH_S)
        for thread in threads:
            thread.start()
        try:
            with ThreadPoolExecutor(self._workers) as pool:
                pending: collections.deque[Future] = collections.deque()
                for items in self._batches():
                    pending.append(pool.submit(self._detect, items))
                    if len(pending) > self._workers:
                        self._hand_on(pending.popleft(), progress)
                while pending:
                    self._hand_on(pending.popleft(), progress)
            self._put(self._answered, _END)
            threads[1].join()
        finally:
            self._stop.set()
            for thread in threads:
                thread.join()
            sys.setswitchinterval(switch_s)
            if len(self._failed_in_row) >= _MOST_FAILED:  # a later run may answer them
                self._folder.forget(min(self._failed_in_row))
        if self._failure is not None:
            raise self._failure
        return self._count

    def _hand_on(self, answer: Future, progress: Callable[[int], object]) -> None:
        """Wait for the oldest batch and give its frames to the writing thread, in order."""
        items = answer.result()
        for item in items:
            self._put(self._answered, item)
        self._count += len(items)
        progress(len(items))

    def _guarded(self, work: Callable[[], None]) -> None:
        try:
            work()
        except _Stopped:
            pass
        except BaseException as error:  # raised again where run() was called
            self._failure = self._failure or error
            self._stop.set()

    def _put(self, line: queue.Queue, item: object) -> None:
        while True:
            if self._stop.is_set():
                raise self._failure or _Stopped
            with contextlib.suppress(queue.Full):
                return line.put(item, timeout=0.1)

    def _get(self, line: queue.Queue) -> Any:
        while True:
            with contextlib.suppress(queue.Empty):
                return line.get(timeout=0.1)
            if self._stop.is_set():
                raise self._failure or _Stopped

    def _decode(self) -> None:
        for index, record in enumerate(self._recording.records()):
            if self._stop.is_set():
                return
            if index >= self._skip:
                start = time.perf_counter()
                result, image = decode_record(index, record)
                spent_ms = (time.perf_counter() - start) * 1e3
                self._put(self._decoded, _Item(result, image,
                                               {} if image is None else {'decode': spent_ms}))
        self._put(self._decoded, _END)

    def _batches(self) -> Iterator[list[_Item]]:
        """Yield frames in batches that never reach over the end of a chunk."""
        batch: list[_Item] = []
        while (item := self._get(self._decoded)) is not _END:
            batch.append(item)
            if len(batch) == self._batch or self._ends_chunk(item.result):
                yield batch
                batch = []
        if batch:
            yield batch

    def _ends_chunk(self, result: FrameResult) -> bool:
        return (result.index + 1) % self._folder.chunk_frames == 0

    def _detect(self, items: Sequence[_Item]) -> Sequence[_Item]:
        """Answer a batch with whichever detector is idle; return the same frames."""
        if self._stop.is_set():
            return items
        readable = [item for item in items if item.image is not None]
        detector = self._idle.get()
        try:
            self._answer(detector, readable)
        except Exception as error:
            if len(readable) == 1:
                self._fail(readable[0], error)
                return items
            for item in readable:  # again one by one: an image must not cost the others' answers
                try:
                    self._answer(detector, [item])
                except Exception as failure:
                    self._fail(item, failure)
        finally:
            self._idle.put(detector)
        return items

    def _answer(self, detector: Detector, items: Sequence[_Item]) -> None:
        answer = detector.detect([item.image for item in items if item.image is not None],
                                 self._settings)
        times_ms = {step: spent / max(1, len(items))
                    for step, spent in vars(answer.timings).items()}
        for item, found in zip(items, answer.detections):
            item.result = item.result.with_detections(found)
            item.times_ms |= times_ms
        if items:
            self._failed_in_row = []

    def _fail(self, item: _Item, error: Exception) -> None:
        """Count an image that the detector cannot answer; raise where it answers none any more."""
        self._failed_in_row.append(item.result.index)
        if len(self._failed_in_row) >= _MOST_FAILED:
            raise UserError(f'The detector answered none of {len(self._failed_in_row)} images in '
                            f'a row; the last: {describe_error(error)}') from error
        item.result = replace(item.result, width=0, height=0,
                              error=f'The detector failed: {describe_error(error)}')
        item.image = None

    def _write(self) -> None:
        chunk: ChunkWriter | None = None
        try:
            while (item := self._get(self._answered)) is not _END:
                item.result = self._stages(item.result)
                if chunk is None:
                    chunk = self._begin_chunk(item.result.index // self._folder.chunk_frames)
                chunk.add(item.result, self._draw(item), item.times_ms)
                if self._ends_chunk(item.result):
                    self._finish_chunk(chunk)
                    chunk = None
            if chunk is not None:
                self._finish_chunk(chunk)
                chunk = None
        finally:
            if chunk is not None:
                chunk.close()
                if self._images is not None:
                    self._images.end()

    def _draw(self, item: _Item) -> bytes:
        if self._images is None or item.image is None:
            return b''
        start = time.perf_counter()
        jpeg = self._images.add(item.result, item.image)
        item.times_ms['draw'] = (time.perf_counter() - start) * 1e3
        return jpeg

    def _begin_chunk(self, number: int) -> ChunkWriter:
        chunk = ChunkWriter(self._folder, number)
        if self._images is not None:
            self._images.begin(chunk.path)
        return chunk

    def _finish_chunk(self, chunk: ChunkWriter) -> None:
        if self._images is not None:
            self._images.end()
        chunk.finish()


class _Stopped(Exception):
    """Another thread ended the run."""


def decode_record(index: int, record: Record, decode: Callable[[Any], np.ndarray] = to_rgb
                  ) -> tuple[FrameResult, np.ndarray | None]:
    """Return a frame without detections, and its image as ``decode`` makes it from the message.

    An image that cannot be decoded is None, and the result's ``error`` says why.
    """
    result = FrameResult(index, record.topic, record.stamp_ns, 0, '', 0, 0, Detections.empty())
    try:
        message = record.message
        result = _with_header(result, message.header)
        image = decode(message)
    except (BagError, ImageError) as error:
        return replace(result, error=str(error)), None
    return replace(result, height=image.shape[0], width=image.shape[1]), image


def _with_header(result: FrameResult, header: Any) -> FrameResult:
    """Return the frame with its header's fields.

    Raises:
        BagError: for fields that the header of a result cannot have.
    """
    stamp_ns = stamp_to_ns(header.stamp)
    if abs(stamp_ns // NS_PER_S) >= 1 << 31:  # seconds are int32, and nanoseconds may add some
        raise BagError(f'The stamp {header.stamp.sec} s + {header.stamp.nanosec} ns is '
                       'impossible.')
    if len(header.frame_id) > MAX_FRAME_ID:
        raise BagError(f'A frame_id of {len(header.frame_id)} characters is refused; at most '
                       f'{MAX_FRAME_ID} are allowed.')
    return replace(result, stamp_ns=stamp_ns, frame_id=header.frame_id)
