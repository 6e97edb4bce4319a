"""Choose frames to label: evenly spread over the recordings, no two alike."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ssd_perception.replay.work_folder import FrameResult

# Grey levels. The noise of a camera makes 0.5 to 1 in a thumbnail; 0.2 s of a slow drive make 2
# to 10.
LEAST_DIFFERENCE = 3.0


def choose_even(results: Sequence[FrameResult], thumbnails: np.ndarray,
                count: int) -> list[int]:
    """Return the places of up to ``count`` frames, in recorded order.

    They are evenly spread over the frames of each camera, one camera after the other. Where one
    looks like another that is chosen, frames from elsewhere take its place, evenly spread again,
    until ``count`` are found or all others look like one of these. A frame that could not be
    decoded is never chosen.

    Args:
        thumbnails: uint8 (n, d); see ``mining.thumbnails``.
    """
    free = np.array([not result.error for result in results], bool)
    by_camera = np.array(sorted(range(len(results)), key=lambda i: results[i].topic), int)
    chosen: list[int] = []
    while len(chosen) < count and free.any():
        places = by_camera[free[by_camera]]
        wanted = min(count - len(chosen), len(places))
        for place in places[np.linspace(0, len(places) - 1, wanted).round().astype(int)]:
            if free[place]:
                chosen.append(int(place))
                free &= np.abs(thumbnails.astype(np.int16) - thumbnails[place]).mean(
                    1) >= LEAST_DIFFERENCE
    return sorted(chosen)
