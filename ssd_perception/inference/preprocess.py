"""Place uint8 images of any size into the network's input, still uint8."""

from __future__ import annotations

import cv2
import numpy as np

from ssd_perception.core.metadata import Preprocessing
from ssd_perception.core.placement import Placement


def check_image(image: np.ndarray) -> None:
    """Raise ValueError unless ``image`` is uint8 (H, W, 3) with H and W at least 1."""
    if not isinstance(image, np.ndarray) or image.dtype != np.uint8 or image.ndim != 3 \
            or image.shape[2] != 3 or 0 in image.shape:
        found = (f'{image.dtype} {image.shape}' if isinstance(image, np.ndarray)
                 else type(image).__name__)
        raise ValueError(f'An image must be a uint8 array (H, W, 3) in RGB order, got {found}.')


def resize(image: np.ndarray, width: int, height: int, interpolation: str) -> np.ndarray:
    """Resize uint8 (H, W, 3) to (height, width, 3); see ``Preprocessing.interpolation``."""
    if image.shape[:2] == (height, width):
        return image
    shrinks = width <= image.shape[1] and height <= image.shape[0]
    if interpolation != 'area' or not shrinks:
        return cv2.resize(image, (width, height), interpolation=cv2.INTER_LINEAR)
    # Area averaging keeps thin far objects alive when a 1080p frame shrinks six-fold. OpenCV has
    # vector code for halving only: where halves come out even they are a third to two faster,
    # and the mean of means is the mean, but for rounding.
    while image.shape[0] % (2 * height) == 0 and image.shape[1] % (2 * width) == 0:
        image = cv2.resize(image, (image.shape[1] // 2, image.shape[0] // 2),
                           interpolation=cv2.INTER_AREA)
    return cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)


def place(image: np.ndarray, canvas: np.ndarray, preprocessing: Preprocessing) -> Placement:
    """Write ``image`` into ``canvas``, uint8 (H, W, 3) of the input's size, and pad the rest.

    Returns:
        The Placement that maps boxes back to the image's own pixels.
    """
    placement = Placement.of(image.shape[:2], canvas.shape[:2], preprocessing.resize)
    canvas[:placement.height, :placement.width] = resize(
        image, placement.width, placement.height, preprocessing.interpolation)
    canvas[placement.height:] = preprocessing.padding_value
    canvas[:placement.height, placement.width:] = preprocessing.padding_value
    return placement
