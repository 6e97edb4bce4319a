"""Recorded images through detectors: decoding ahead of them and drawing behind them in threads."""

from __future__ import annotations

import collections
import contextlib
import queue
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field

import cv2
import numpy as np

from ssd_perception.bags.reader import Bag
from ssd_perception.core.detections import Detections
from ssd_perception.core.postprocess import PostprocessSettings
from ssd_perception.imaging.compressed import encode_jpeg
from ssd_perception.inference.detector import Detector
from ssd_perception.replay.cameras import Camera
from ssd_perception.replay.chunks import CHUNK_FRAMES, Answer, PieceWriter, WorkFolder, decoded
from ssd_perception.viz.drawing import draw_detections
from ssd_perception.viz.video import VideoWriter

_AHEAD = 8  # frames that wait before and behind the detector
_END = object()
# Between two of the network's layers its thread needs the interpreter; Python's usual 5 ms until
# another thread hands it over would add up to a fifth of the time of a frame.
_SWITCH_S = 0.0005
VIDEO_FPS = 10  # of the pieces; the times of the frames are set when they are joined
_VIDEO_SIDE = 1280


@dataclass
class _Frame:
    answer: Answer
    image: np.ndarray | None
    times_ms: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Output:
    """What is made of each frame.

    Attributes:
        pictures: draw detections: for the annotated topic, the video and the page.
        jpeg_quality: 1 to 100.
        shown: of all detections, those that are drawn.
    """

    pictures: bool
    jpeg_quality: int
    shown: Callable[[Detections], Detections]


class Pipeline:
    """One run over the frames that are not done yet.

    On a processor several detectors with one thread each answer more frames than one with all
    threads, which wait for each other behind every layer; a frame's answer is the same whichever
    detector gives it.

    Args:
        detectors: equal ones, each used by one thread at a time.
        batch: frames that a network takes at once.
        settings: with a low threshold; None takes the detectors' own.

    Attributes:
        answered: frames answered so far.
    """

    def __init__(self, bag: Bag, cameras: Sequence[Camera], detectors: Sequence[Detector],
                 output: Output, folder: WorkFolder, batch: int = 1,
                 settings: PostprocessSettings | None = None):
        self._settings = settings
        self._bag, self._cameras = bag, cameras
        self._class_names = detectors[0].class_names
        self._workers = len(detectors)
        self._idle: queue.SimpleQueue = queue.SimpleQueue()
        for detector in detectors:
            self._idle.put(detector)
        self._output, self._folder, self._batch = output, folder, batch
        self._decoded: queue.Queue = queue.Queue(_AHEAD)
        self._answered: queue.Queue = queue.Queue(_AHEAD)
        self._stop = threading.Event()
        self.answered = 0
        self._sizes = _first_sizes(folder, cameras)
        self._failure: BaseException | None = None

    def run(self, progress: Callable[[int], object] = lambda count: None) -> None:
        """Answer every frame; on an exception, also Ctrl-C, finished pieces stay.

        Args:
            progress: called with the number of frames answered since its last call.
        """
        threads = [threading.Thread(target=self._guarded, args=(work,), daemon=True)
                   for work in (self._decode, self._write)]
        switch_s = sys.getswitchinterval()
        sys.setswitchinterval(_SWITCH_S)
        for thread in threads:
            thread.start()
        try:
            with ThreadPoolExecutor(self._workers) as pool:
                pending: collections.deque[Future] = collections.deque()
                for frames in self._batches():
                    pending.append(pool.submit(self._detect, frames))
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
        if self._failure is not None:
            raise self._failure

    def _hand_on(self, answer: Future, progress: Callable[[int], object]) -> None:
        """Wait for the oldest batch and give its frames to whoever writes them, in order."""
        frames = answer.result()
        for frame in frames:
            self._put(self._answered, frame)
        self.answered += len(frames)
        progress(len(frames))

    def _guarded(self, work: Callable[[], None]) -> None:
        try:
            work()
        except _Stopped:
            pass
        except BaseException as error:  # raised again where run() was called
            self._failure = self._failure or error
            self._stop.set()

    def _put(self, line: queue.Queue, item) -> None:
        while True:
            if self._stop.is_set():
                raise self._failure or _Stopped
            with contextlib.suppress(queue.Full):
                return line.put(item, timeout=0.1)

    def _get(self, line: queue.Queue):
        while True:
            with contextlib.suppress(queue.Empty):
                return line.get(timeout=0.1)
            if self._stop.is_set():
                raise self._failure or _Stopped

    def _decode(self) -> None:
        skip = len(self._folder.done) * CHUNK_FRAMES
        topics = [camera.topic for camera in self._cameras]
        for index, record in enumerate(self._bag.records(topics)):
            if self._stop.is_set():
                return
            if index >= skip:
                start = time.perf_counter()
                answer, image = decoded(index, record)
                spent_ms = (time.perf_counter() - start) * 1e3
                self._put(self._decoded, _Frame(answer, image,
                                                {} if image is None else {'decode': spent_ms}))
        self._put(self._decoded, _END)

    def _batches(self) -> Iterator[list[_Frame]]:
        """Yield frames in batches that never reach over the end of a piece."""
        batch: list[_Frame] = []
        while (frame := self._get(self._decoded)) is not _END:
            batch.append(frame)
            if len(batch) == self._batch or (frame.answer.index + 1) % CHUNK_FRAMES == 0:
                yield batch
                batch = []
        if batch:
            yield batch

    def _detect(self, frames: Sequence[_Frame]) -> Sequence[_Frame]:
        """Answer a batch with whichever detector is idle; return the same frames."""
        if self._stop.is_set():
            return frames
        seen = [frame for frame in frames if frame.image is not None]
        detector = self._idle.get()
        try:
            result = detector.detect([frame.image for frame in seen], self._settings)
            for frame, found in zip(seen, result.detections):
                frame.answer = frame.answer.with_detections(found)
                frame.times_ms |= {stage: spent / len(seen)
                                   for stage, spent in vars(result.timings).items()}
        finally:
            self._idle.put(detector)
        return frames

    def _write(self) -> None:
        piece: PieceWriter | None = None
        videos: dict[str, VideoWriter] = {}
        try:
            while (frame := self._get(self._answered)) is not _END:
                if piece is None:
                    piece = PieceWriter(self._folder, frame.answer.index // CHUNK_FRAMES)
                jpeg = b''
                if self._output.pictures and frame.image is not None:
                    start = time.perf_counter()
                    jpeg = self._picture(frame, piece, videos)
                    frame.times_ms['draw'] = (time.perf_counter() - start) * 1e3
                piece.add(frame.answer, jpeg, frame.times_ms)
                if (frame.answer.index + 1) % CHUNK_FRAMES == 0:
                    _finish(piece, videos)
                    piece, videos = None, {}
            if piece is not None:
                _finish(piece, videos)
                piece = None
        finally:
            if piece is not None:
                piece.close()
                for video in videos.values():
                    video.close()

    def _picture(self, frame: _Frame, piece: PieceWriter, videos: dict[str, VideoWriter]) -> bytes:
        assert frame.image is not None  # the caller looked
        drawn = draw_detections(frame.image, self._output.shown(frame.answer.detections),
                                self._class_names)
        name = next(c.name for c in self._cameras if c.topic == frame.answer.topic)
        size = video_size(self._sizes.setdefault(name, drawn.shape[1::-1]))
        if name not in videos:
            videos[name] = VideoWriter(piece.path / f'{name}.webm', size, VIDEO_FPS,
                                       fast=True)
        videos[name].add(drawn if drawn.shape[1::-1] == size
                         else cv2.resize(drawn, size, interpolation=cv2.INTER_AREA))
        return encode_jpeg(drawn, self._output.jpeg_quality).tobytes()


class _Stopped(Exception):
    """Another thread ended the run."""


def _first_sizes(folder: WorkFolder, cameras: Sequence[Camera]) -> dict[str, tuple[int, int]]:
    """Return camera -> size of its first picture in the finished pieces: its video's."""
    sizes: dict[str, tuple[int, int]] = {}
    names = {camera.topic: camera.name for camera in cameras}
    for answer in folder.frames():
        if answer.width and len(sizes) < len(names):
            sizes.setdefault(names[answer.topic], (answer.width, answer.height))
    return sizes


def _finish(piece: PieceWriter, videos: dict[str, VideoWriter]) -> None:
    for video in videos.values():
        video.close()
    piece.finish()


def video_size(size: tuple[int, int]) -> tuple[int, int]:
    """Return the even width and height of the video of pictures of ``size``."""
    scale = min(1.0, _VIDEO_SIDE / max(size))
    width, height = (max(2, round(side * scale) // 2 * 2) for side in size)
    return width, height
