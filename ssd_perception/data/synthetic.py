"""Drawn images without objects: a covered lens, a blank wall, blobs of any colour and shape."""

from __future__ import annotations

import cv2
import numpy as np

from ssd_perception.data.sample import TrainingItem

PLAIN = 0.4  # share without any blob
MAX_BLOBS = 6


def synthetic_negative(height: int, width: int, rng: np.random.Generator) -> TrainingItem:
    """Draw an image that holds no object of any class.

    A detector whose every training image shows a scene has never seen a dark lens or a wall
    that fills the view, and may find in them whatever is large and of one colour. Random shapes
    in random colours are domain randomisation (Tobin et al. 2017), of the negatives here. Shapes
    are round or have many corners, so that none is the outline of a common object.

    Returns:
        uint8 (height, width, 3) RGB, without boxes.
    """
    image = _background(height, width, rng)
    if rng.random() >= PLAIN:
        for _ in range(rng.integers(1, MAX_BLOBS + 1)):
            _draw_blob(image, rng)
        image = cv2.GaussianBlur(image, (0, 0), rng.uniform(0.3, 4.0))
    image += np.float32(rng.uniform(0, 12)) * rng.standard_normal(image.shape, np.float32)
    return TrainingItem(np.clip(image, 0, 255).astype(np.uint8), np.zeros((0, 4), np.float32),
                    np.zeros(0, np.int64))


def _background(height: int, width: int, rng: np.random.Generator) -> np.ndarray:
    """Return one colour, or a gradient between two; a quarter of them is nearly black."""
    first, second = rng.uniform(0, 255, (2, 3)) * (rng.uniform(0, 0.15) if rng.random() < 0.25
                                                   else 1.0)
    if rng.random() < 0.5:
        second = first
    angle = rng.uniform(0, 2 * np.pi)
    y, x = np.ogrid[0:1:height * 1j, 0:1:width * 1j]
    along = np.clip(0.5 + (x - 0.5) * np.cos(angle) + (y - 0.5) * np.sin(angle), 0, 1)
    along = along.astype(np.float32)[..., None]
    return first.astype(np.float32) + along * (second - first).astype(np.float32)


def _draw_blob(image: np.ndarray, rng: np.random.Generator) -> None:
    height, width = image.shape[:2]
    centre = rng.uniform(0, 1, 2) * (width, height)
    size = rng.uniform(0.03, 0.5) * min(height, width)
    colour = tuple(rng.uniform(0, 255, 3).tolist())
    if rng.random() < 0.5:
        axes = np.maximum(1, size * rng.uniform(0.4, 1, 2)).astype(int).tolist()
        cv2.ellipse(image, centre.astype(int).tolist(), axes, rng.uniform(0, 180), 0, 360, colour,
                    -1, cv2.LINE_AA)
        return
    corners = rng.integers(6, 11)
    angles = np.sort(rng.uniform(0, 2 * np.pi, corners))
    radii = size * rng.uniform(0.4, 1, corners)
    points = centre + np.stack([np.cos(angles), np.sin(angles)], -1) * radii[:, None]
    cv2.fillPoly(image, [points.astype(np.int32)], colour, cv2.LINE_AA)
