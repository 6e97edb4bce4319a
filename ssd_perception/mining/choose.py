"""Choose frames to label: evenly spread over the recordings, no two alike."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

# Levels of one colour in one area of a thumbnail. In images of 640x480 a camera's noise makes 1 or
# 2, and 2 % more light 5; 0.1 s of a drive make 10 and more, and an orange thing of 20 px that
# moves before a camera that stands still 11 to 36.
LEAST_DIFFERENCE = 8


def choose_even(cameras: Sequence[str], thumbnails: np.ndarray, count: int) -> list[int]:
    """Return the places of up to ``count`` frames, in recorded order.

    They are evenly spread over the frames of each camera, one camera after the other. Where one
    looks like another that is chosen, frames from elsewhere take its place, evenly spread again,
    until ``count`` are found or all others look like one of these.

    Two frames look alike if no area of their thumbnails differs by ``LEAST_DIFFERENCE``. A mean
    over the areas would not see a small object that moves in front of a camera that stands still.

    Args:
        cameras: of each of n frames, in recorded order, the camera.
        thumbnails: uint8 (n, d); see ``mining.thumbnails``.
    """
    free = np.ones(len(cameras), bool)
    by_camera = np.array(sorted(range(len(cameras)), key=lambda i: cameras[i]), int)
    chosen: list[int] = []
    while len(chosen) < count and free.any():
        places = by_camera[free[by_camera]]
        wanted = min(count - len(chosen), len(places))
        for place in places[np.linspace(0, len(places) - 1, wanted).round().astype(int)]:
            if free[place]:
                chosen.append(int(place))
                one = thumbnails[place]  # uint8 has no negative differences
                free &= (np.maximum(thumbnails, one) - np.minimum(thumbnails, one)).max(
                    1) >= LEAST_DIFFERENCE
    return sorted(chosen)
