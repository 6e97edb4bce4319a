"""Write a video that every browser plays."""

from __future__ import annotations

import os
from collections.abc import Iterable
from fractions import Fraction

import av
import numpy as np

# VP9 in WebM is free of royalties and its encoder of copyleft. OpenCV's own writer takes 31 s
# for 10 s of 640x480, its mp4v no browser plays; libvpx in real-time mode takes half a second.
_OPTIONS = {'deadline': 'realtime', 'cpu-used': '7', 'row-mt': '1', 'crf': '28', 'b:v': '0'}


def write_video(path: str | os.PathLike, images: Iterable[np.ndarray], fps: float) -> int:
    """Encode uint8 (H, W, 3) RGB images as VP9; return how many.

    Args:
        path: ends in .webm.
        images: at least one; all are cut to the even part of the first one's size.
        fps: frames per second, greater than 0.

    Raises:
        ValueError: when there is no image, or one differs in size.
    """
    count, size = 0, None
    with av.open(os.fspath(path), 'w', format='webm') as container:
        for image in images:
            height, width = image.shape[0] // 2 * 2, image.shape[1] // 2 * 2
            if size is None:
                size = height, width
                rate = Fraction(max(fps, 0.01)).limit_denominator(1000)
                stream = container.add_stream('libvpx-vp9', rate=rate, options=_OPTIONS)
                stream.height, stream.width, stream.pix_fmt = height, width, 'yuv420p'
            if (height, width) != size:
                raise ValueError(f'The video has {size[1]}x{size[0]} pixels, image {count} has '
                                 f'{width}x{height}.')
            pixels = np.ascontiguousarray(image[:height, :width])
            container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format='rgb24')))
            count += 1
        if size is None:
            raise ValueError('A video needs at least one image.')
        container.mux(stream.encode())
    return count
