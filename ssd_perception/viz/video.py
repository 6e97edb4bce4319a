"""Write a video that every browser plays."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from fractions import Fraction

import av
import cv2
import numpy as np

# VP9 in WebM is free of royalties, and its encoder has a permissive licence. For 10 s of 640x480
# OpenCV's VP9 takes 31 s, libvpx in real-time mode half a second; no browser plays mp4v.
MAX_SIDE = 16_382  # px, even
_VP9 = {'deadline': 'realtime', 'cpu-used': '7', 'row-mt': '1', 'crf': '28', 'b:v': '0'}
# VP8 takes a quarter of VP9's processor time (2.6 ms and 11 ms for 640x480); it is for videos
# that are written beside a network. A negative speed is fixed, a positive one follows the load.
_VP8 = {'deadline': 'realtime', 'cpu-used': '-12', 'b:v': '8M', 'qmax': '36'}


class VideoWriter:
    """Encodes uint8 (H, W, 3) RGB images one by one, the same ones always to the same bytes.

    Args:
        path: ends in .webm.
        size: width and height in pixels; images are cut to the even part of it.
        fps: frames per second, greater than 0.
        fast: VP8 in one thread instead of VP9 in all.
    """

    def __init__(self, path: str | os.PathLike, size: tuple[int, int], fps: float,
                 fast: bool = False):
        self._width, self._height = (side // 2 * 2 for side in size)
        self._container = _open(path)
        rate = Fraction(max(fps, 0.01)).limit_denominator(1000)
        stream = self._container.add_stream(
            'libvpx' if fast else 'libvpx-vp9', rate=rate, options=_VP8 if fast else _VP9)
        assert isinstance(stream, av.VideoStream)  # as the codec's name says
        self._stream = stream
        if fast:
            self._stream.codec_context.thread_count = 1
        self._stream.height, self._stream.width = self._height, self._width
        self._stream.pix_fmt = 'yuv420p'
        self.count = 0

    def add(self, image: np.ndarray) -> None:
        """Append one image.

        Raises:
            ValueError: when it differs in size.
        """
        height, width = image.shape[0] // 2 * 2, image.shape[1] // 2 * 2
        if (height, width) != (self._height, self._width):
            raise ValueError(f'The video has {self._width}x{self._height} pixels, image '
                             f'{self.count} has {width}x{height}.')
        pixels = np.asarray(cv2.cvtColor(image[:height, :width], cv2.COLOR_RGB2YUV_I420), np.uint8)
        frame = av.VideoFrame.from_ndarray(pixels, format='yuv420p')
        self._container.mux(self._stream.encode(frame))
        self.count += 1

    def close(self) -> None:
        """Write what the encoder still holds, and the end of the file."""
        self._container.mux(self._stream.encode())
        self._container.close()


def write_video(path: str | os.PathLike, images: Iterable[np.ndarray], fps: float) -> int:
    """Encode uint8 (H, W, 3) RGB images as VP9; return how many.

    Args:
        path: ends in .webm.
        images: at least one. The first one's size, within what the format allows, is the video's;
            images of another size are scaled to it.
        fps: frames per second, greater than 0.

    Raises:
        ValueError: when there is no image.
    """
    writer, size = None, (0, 0)
    try:
        for image in images:
            if writer is None:
                width, height = (min(max(side, 2), MAX_SIDE) for side in image.shape[1::-1])
                size = width // 2 * 2, height // 2 * 2
                writer = VideoWriter(path, size, fps)
            same = (image.shape[1] // 2 * 2, image.shape[0] // 2 * 2) == size
            writer.add(image if same else cv2.resize(image, size))
    finally:
        if writer is not None:
            writer.close()
    if writer is None:
        raise ValueError('A video needs at least one image.')
    return writer.count


def join_videos(path: str | os.PathLike, parts: Sequence[os.PathLike],
                times_ms: Sequence[int]) -> None:
    """Join videos of ``VideoWriter`` of one size into one, without encoding them again.

    Args:
        times_ms: when each frame is shown; ascending, as many as the parts have frames.

    Raises:
        ValueError: when the number of frames is another.
    """
    shown = iter(times_ms)
    with _open(path) as target:
        stream = None
        for part in parts:
            with av.open(os.fspath(part)) as source:
                if stream is None:
                    stream = target.add_stream_from_template(source.streams.video[0])
                for packet in source.demux(source.streams.video[0]):
                    if packet.size == 0:  # the end of the part
                        continue
                    time_ms = next(shown, None)
                    if time_ms is None:
                        raise ValueError(f'The parts of {path} have more frames than times.')
                    packet.stream = stream
                    packet.time_base = Fraction(1, 1000)
                    packet.pts = packet.dts = time_ms
                    target.mux(packet)
        if next(shown, None) is not None:
            raise ValueError(f'The parts of {path} have fewer frames than times.')


def _open(path: str | os.PathLike) -> av.container.OutputContainer:
    container = av.open(os.fspath(path), 'w', format='webm')
    # Without a random number in its head: equal frames give equal files.
    container.flags |= av.container.Flags.bitexact.value  # type: ignore[operator]  # an int
    return container
