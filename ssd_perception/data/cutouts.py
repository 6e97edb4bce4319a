"""Read cut-outs, images of one object with transparent surroundings."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np

from ssd_perception.core.errors import DataError
from ssd_perception.core.text import printable
from ssd_perception.data.folder import read_bounded
from ssd_perception.imaging.files import check_pixels, read_bytes

LOOK_ALIKES = 'none'  # sub-folder of cut-outs that are of no class and get no box
SUFFIXES = ('.png', '.webp')
BOXES_FILE = 'boxes.json'
MAX_BOXES_BYTES = 50_000_000
_MAX_EDGE = 1e6  # px
SOURCE_PX = 256  # longest side that a decoded cut-out is kept at
TRANSPARENT = 8  # alpha, of 255, up to which a pixel is nothing


class Cutout(NamedTuple):
    """An image file of one object with transparent surroundings.

    Attributes:
        path: PNG or WebP with an alpha channel.
        label: index of its class; -1 for a look-alike, which gets no box.
        box: edges x0, y0, x1, y1 of the object in the file's pixels, where it is smaller than
            what is opaque (a stack, a base that the labels leave out); None: all that is opaque.
    """

    path: Path
    label: int
    box: tuple[float, float, float, float] | None


def read_cutouts(folder: str | os.PathLike, class_names: Sequence[str]) -> list[Cutout]:
    """List the cut-outs in ``folder``: one sub-folder per class, and ``none`` for look-alikes.

    ``boxes.json`` in it may give boxes: {"cone/0001.png": [x0, y0, x1, y1]}.

    Raises:
        DataError: when there is none, or a sub-folder is named after no class.
    """
    if not folder:
        raise DataError('"augmentation.paste.cutouts" must name the folder of cut-outs; set it, '
                        'or set "augmentation.paste.probability" to 0.')
    folder = Path(folder).expanduser()
    boxes = _read_boxes(folder / BOXES_FILE)
    found = []
    for part in sorted(p for p in folder.glob('*') if p.is_dir()):
        if part.name != LOOK_ALIKES and part.name not in class_names:
            raise DataError(f'{part} must be named after a class ({", ".join(class_names)}) or '
                            f'"{LOOK_ALIKES}", for look-alikes; rename it or move it away.', part)
        label = -1 if part.name == LOOK_ALIKES else list(class_names).index(part.name)
        found += [Cutout(path, label, boxes.get(f'{part.name}/{path.name}'))
                  for path in sorted(part.iterdir()) if path.suffix.lower() in SUFFIXES]
    if not found:
        raise DataError(f'{folder} holds no cut-outs: put PNG or WebP images with a transparent '
                        f'background into sub-folders named {", ".join(class_names)} or '
                        f'{LOOK_ALIKES}.', folder)
    return found


def _read_boxes(path: Path) -> dict[str, tuple[float, float, float, float]]:
    if not path.is_file():
        return {}
    try:
        entries = json.loads(read_bounded(path, MAX_BOXES_BYTES, 'boxes of cut-outs'))
        boxes = {name: (float(x0), float(y0), float(x1), float(y1))
                 for name, (x0, y0, x1, y1) in entries.items()}
        if not all(abs(edge) < _MAX_EDGE for box in boxes.values() for edge in box):
            raise ValueError('an edge is no number of pixels')
    except DataError:
        raise
    except (ValueError, TypeError, AttributeError, OverflowError, RecursionError) as error:
        raise DataError(f'{path} must be JSON of the form {{"cone/0001.png": [x0, y0, x1, y1]}}: '
                        f'{printable(error)}.', path) from error
    return boxes


def read_cutout(cutout: Cutout) -> np.ndarray:
    """Return uint8 (h, w, 5): R, G, B times alpha, alpha, and 255 within the object's box.

    Its longest side is at most ``SOURCE_PX``; transparent margins are cut off.

    Raises:
        DataError: when the file is no image with an alpha channel, or all of it is transparent.
    """
    try:
        data = read_bytes(cutout.path)
        image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED) \
            if check_pixels(cutout.path, data) in ('PNG', 'WEBP') else None
    except cv2.error as error:
        raise DataError(f'{cutout.path} cannot be read: {error}.', cutout.path,
                        'unreadable picture') from error
    if image is None or image.ndim != 3 or image.shape[2] != 4 or image.dtype != np.uint8:
        raise DataError(f'{cutout.path} must be an 8 bit PNG or WebP with an alpha channel; save '
                        'it with a transparent background.', cutout.path, 'unreadable picture')
    x, y, width, height = cv2.boundingRect((image[..., 3] > TRANSPARENT).astype(np.uint8))
    if not width:
        raise DataError(f'{cutout.path} is transparent everywhere; remove it.', cutout.path,
                        'unreadable picture')
    inside = np.zeros(image.shape[:2], np.uint8)
    x0, y0, x1, y1 = cutout.box or (0, 0, image.shape[1], image.shape[0])
    inside[max(0, round(y0)):round(y1), max(0, round(x0)):round(x1)] = 255
    rgb = cv2.cvtColor(image, cv2.COLOR_BGRA2RGB).astype(np.float32)
    rgb *= image[..., 3:] / np.float32(255)
    layers = np.dstack([rgb.astype(np.uint8), image[..., 3], inside])
    layers = layers[y:y + height, x:x + width]
    factor = min(1.0, SOURCE_PX / max(height, width))
    size = max(1, round(width * factor)), max(1, round(height * factor))
    return resized(layers, size)


def resized(layers: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    shrinks = size[0] * size[1] < layers.shape[0] * layers.shape[1]
    method = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    return np.dstack([cv2.resize(np.ascontiguousarray(layers[..., :4]), size,
                                 interpolation=method),
                      cv2.resize(np.ascontiguousarray(layers[..., 4]), size,
                                 interpolation=method)])
