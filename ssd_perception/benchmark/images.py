"""Images to measure on: those of a folder, or drawn ones, all of 640x480."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from ssd_perception.core.errors import SettingError

WIDTH, HEIGHT = 640, 480
_MOST = 16


def load_images(folder: Path | None) -> list[np.ndarray]:
    """Return up to 16 uint8 (480, 640, 3) RGB images.

    Raises:
        SettingError: when the folder has no JPEG or PNG.
    """
    if folder is None:
        return [drawn(seed) for seed in range(4)]
    from ssd_perception.imaging.files import read_image
    paths = [path for path in sorted(folder.glob('*'))
             if path.suffix.lower() in ('.jpg', '.jpeg', '.png')][:_MOST]
    if not paths:
        raise SettingError(f'--pictures {folder} has no .jpg, .jpeg or .png.')
    return [cv2.resize(read_image(path), (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA)
            for path in paths]


def drawn(seed: int, width: int = WIDTH, height: int = HEIGHT) -> np.ndarray:
    """Return an image with some detail, so that a JPEG of it has a usual size."""
    rng = np.random.default_rng(seed)
    small = rng.integers(40, 216, (height // 40, width // 40, 3), np.uint8)
    smooth = cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC)
    for _ in range(12):
        x, y = int(rng.integers(width)), int(rng.integers(height))
        tip, side = int(rng.integers(20, 120)), int(rng.integers(10, 50))
        corners = np.array([[x, y], [x - side, y + tip], [x + side, y + tip]], np.int32)
        cv2.fillPoly(smooth, [corners], [int(v) for v in rng.integers(0, 256, 3)], cv2.LINE_AA)
    return cv2.add(smooth, rng.integers(0, 12, smooth.shape, np.uint8))
