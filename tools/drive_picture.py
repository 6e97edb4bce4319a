#!/usr/bin/env python3
"""Make docs/images/drive.webp, the animated image of the README, from a result of `make drive`.

    python tools/drive_picture.py drive_output
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import av
from PIL import Image

ROOT = Path(__file__).parents[1]
MAX_BYTES = 1_500_000
_WIDTH, _EVERY, _LAST_MS = 784, 2, 2500  # pixels, one image of so many, how long the last stays


def main() -> int:
    """Run the command line; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('result', type=Path, help='folder with video.webm')
    parser.add_argument('--out', type=Path, default=ROOT / 'docs' / 'images' / 'drive.webp')
    args = parser.parse_args()
    size = write_animation(args.result / 'video.webm', args.out)
    print(f'{args.out}: {size / 1e6:.2f} MB')
    return 0


def write_animation(video: Path, path: Path) -> int:
    """Write a video as animated WebP below MAX_BYTES; return its size, bytes.

    Raises:
        SystemExit: when even the lowest quality is too large.
    """
    with av.open(str(video)) as source:
        stream = source.streams.video[0]
        rate = float(stream.average_rate or 10)
        images = [frame.to_image() for k, frame in enumerate(source.decode(stream))
                  if k % _EVERY == 0]
    small = [image.resize((_WIDTH, round(image.height * _WIDTH / image.width)),
                          Image.Resampling.LANCZOS) for image in images]
    times = [round(1000 * _EVERY / rate)] * (len(small) - 1) + [_LAST_MS]
    for quality in (70, 55, 40, 25, 10):
        small[0].save(path, save_all=True, append_images=small[1:], duration=times, loop=0,
                      quality=quality, method=4)
        if path.stat().st_size <= MAX_BYTES:
            return path.stat().st_size
    sys.exit(f'{path} is larger than {MAX_BYTES} bytes; take a shorter drive.')


if __name__ == '__main__':
    sys.exit(main())
