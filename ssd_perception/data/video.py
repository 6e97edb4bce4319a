"""Read a video's frames as RGB up to the end or the damage, and report the damage."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import av
import numpy as np

from ssd_perception.core.errors import DataError
from ssd_perception.core.safe_path import regular_file
from ssd_perception.imaging.files import MAX_PIXELS

# Containers of videos alone: playlists (m3u8, concat, sdp) open other files and addresses.
_OPTIONS = {
    'format_whitelist': 'avi,flv,gif,h264,hevc,ivf,matroska,mjpeg,mov,mpeg,mpegts,mpegvideo,ogg',
    'protocol_whitelist': 'file',
    # The size of a frame may differ from the header's: refused before it is decoded, also where
    # the beginning is decoded to learn the format.
    'max_pixels': str(MAX_PIXELS),
}
# A header may count a tail that has no frames.
_TAIL_S = 0.5


class Frame(NamedTuple):
    """One decoded frame.

    Attributes:
        index: counts decoded frames from 0.
        seconds: its time in the video.
        image: uint8 (H, W, 3) RGB, turned upright as players show it.
    """

    index: int  # type: ignore[assignment]  # hides tuple.index, which nobody calls
    seconds: float
    image: np.ndarray


class Video:
    """A video file; a context manager.

    Attributes:
        fps: frames per second, by the header.
        expected: number of frames by the header; None where it has none.
        damage: after ``frames`` has ended: what could not be read, as a sentence; None when
            all of it could.

    Raises:
        DataError: when the file is no video, holds none or has frames of too many pixels.
    """

    def __init__(self, path: str | os.PathLike):
        self.path = Path(path)
        self.damage: str | None = None
        try:
            self._container = av.open(os.fspath(regular_file(path)), options=_OPTIONS)
        except (av.error.FFmpegError, OSError) as error:
            raise DataError(f'{path} cannot be opened as a video: '
                            f'{error.strerror or error}.', path) from error
        try:
            self._open()
        except BaseException:
            self._container.close()
            raise

    def _open(self) -> None:
        if not self._container.streams.video:
            raise DataError(f'{self.path} holds no video.', self.path)
        stream = self._stream = self._container.streams.video[0]
        if stream.codec_context is None:
            raise DataError(f'{self.path} holds a video in a format that cannot be decoded here.',
                            self.path)
        stream.thread_type = 'AUTO'
        stream.codec_context.options = {'max_pixels': _OPTIONS['max_pixels']}
        if stream.width * stream.height > MAX_PIXELS:
            raise DataError(f'{self.path} has frames of {stream.width}x{stream.height}, more than '
                            f'the {MAX_PIXELS} pixels that are decoded.', self.path)
        rate = stream.average_rate or stream.guessed_rate
        self.fps = float(rate) if rate else 25.0
        self._seconds: float | None = None
        if stream.duration is not None and stream.time_base is not None:
            self._seconds = float(stream.duration * stream.time_base)
        elif self._container.duration and not self._container.streams.audio:
            self._seconds = self._container.duration / av.time_base
        self.expected = stream.frames or (round(self._seconds * self.fps)
                                          if self._seconds else None)

    def __enter__(self) -> Video:
        return self

    def __exit__(self, *_: object) -> None:
        self._container.close()

    def frames(self) -> Iterator[Frame]:
        """Yield every frame that can be decoded; packets that cannot be are passed over."""
        count, seconds, broken, reason = 0, 0.0, 0, ''
        packets = self._container.demux(self._stream)
        while True:
            try:
                packet = next(packets)
            except StopIteration:
                break
            except (av.error.FFmpegError, OSError) as error:
                broken, reason = broken + 1, str(error.strerror or error)
                break
            try:
                decoded = packet.decode()
            except (av.error.FFmpegError, OSError) as error:
                broken, reason = broken + 1, str(error.strerror or error)
                continue
            for frame in decoded:
                seconds = count / self.fps if frame.time is None else float(frame.time)
                yield Frame(count, seconds, _upright(frame))
                count += 1
        missing = self._seconds is not None and \
            seconds + 2 / self.fps + _TAIL_S < self._seconds
        if broken or missing or count == 0:
            of = f' of about {self.expected}' if self.expected else ''
            until = f' of {self._seconds:.1f}' if self._seconds else ''
            why = f': {reason}' if reason else ': the file ends early' if missing else ''
            self.damage = (f'{self.path} is damaged: {count}{of} frames could be read, up to '
                           f'{seconds:.1f}{until} s{why}.')


def _upright(frame: av.VideoFrame) -> np.ndarray:
    """Return RGB, turned by the display matrix of phone videos."""
    image = frame.to_ndarray(format='rgb24')
    # Counter-clockwise, in degrees; older PyAV does not have it.
    quarters = round(getattr(frame, 'rotation', 0) / 90) % 4
    return np.ascontiguousarray(np.rot90(image, quarters)) if quarters else image
