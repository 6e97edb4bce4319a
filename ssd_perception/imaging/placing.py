"""Place uint8 images of any size into the network's input."""

from __future__ import annotations

import cv2
import numpy as np

from ssd_perception.core.metadata import Metadata, Preprocessing
from ssd_perception.core.placement import Placement


def check_image(image: np.ndarray) -> None:
    """Raise ValueError unless ``image`` is uint8 (H, W, 3) with H and W at least 1."""
    if not isinstance(image, np.ndarray) or image.dtype != np.uint8 or image.ndim != 3 \
            or image.shape[2] != 3 or 0 in image.shape:
        found = (f'{image.dtype} {image.shape}' if isinstance(image, np.ndarray)
                 else type(image).__name__)
        raise ValueError(f'An image must be a uint8 array (H, W, 3) in RGB order, got {found}.')


def resize(image: np.ndarray, width: int, height: int, interpolation: str) -> np.ndarray:
    """Resize (H, W, 3) to (height, width, 3); see ``Preprocessing.interpolation``.

    Args:
        image: uint8, or float32, which is not rounded.
    """
    if image.shape[:2] == (height, width):
        return image
    shrinks = width <= image.shape[1] and height <= image.shape[0]
    if interpolation != 'area' or not shrinks:
        return cv2.resize(image, (width, height), interpolation=cv2.INTER_LINEAR)
    # Averaging keeps thin, distant objects visible when a 1080p frame shrinks six-fold. OpenCV's
    # area mode is fast for factors of a half only, and four to ten times slower for others. So
    # halve repeatedly, and use linear sampling for the rest: down to a half it reads every pixel.
    while image.shape[0] > 2 * height or image.shape[1] > 2 * width:
        rows, columns = ((side + 1) // 2 if side > 2 * wanted else side
                         for side, wanted in zip(image.shape, (height, width)))
        halves = (2 * rows, 2 * columns) == image.shape[:2]
        image = cv2.resize(image, (columns, rows), interpolation=cv2.INTER_AREA if halves
                           else cv2.INTER_LINEAR)
    return cv2.resize(image, (width, height), interpolation=cv2.INTER_LINEAR)


def empty_batch(count: int, metadata: Metadata) -> np.ndarray:
    """Return an uninitialised (count, H, W, 3) input of the network, in its pixel type."""
    return np.empty((count, *metadata.architecture.input_hw, 3),
                    np.dtype(metadata.preprocessing.pixel_type))


def place(image: np.ndarray, canvas: np.ndarray, preprocessing: Preprocessing) -> Placement:
    """Write ``image`` into ``canvas``, (H, W, 3) of the input's size, and pad the rest.

    Args:
        image: uint8 (H, W, 3) RGB of any size.
        canvas: uint8, or float32 for pixels that are not rounded after resizing.

    Returns:
        The Placement that maps boxes back to the image's own pixels.
    """
    placement = Placement.of(image.shape[:2], canvas.shape[:2], preprocessing.resize)
    image = image.astype(canvas.dtype, copy=False)
    canvas[:placement.height, :placement.width] = resize(
        image, placement.width, placement.height, preprocessing.interpolation)
    canvas[placement.height:] = preprocessing.padding_value
    canvas[:placement.height, placement.width:] = preprocessing.padding_value
    return placement
