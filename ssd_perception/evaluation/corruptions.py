"""How accuracy falls when the camera moves, light or link are bad, or colours differ.

The idea is ImageNet-C's (Hendrycks and Dietterich 2019), with the faults of a rover's camera, and
with other colours, since a cone is a cone in blue too. Each comes in three strengths. Lengths are
those in an image 640 px wide.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from tqdm import tqdm

from ssd_perception.data.sample import Sample
from ssd_perception.evaluation.accuracy import accuracy, measure
from ssd_perception.imaging.compressed import decode, encode_jpeg
from ssd_perception.inference.detector import Detector

REFERENCE_WIDTH = 640


def motion_blur(image: np.ndarray, length: float, rng: np.random.Generator) -> np.ndarray:
    """Smear along a straight line of ``length`` px (at 640 px width) in a random direction."""
    length *= image.shape[1] / REFERENCE_WIDTH
    size = int(np.ceil(length)) | 1
    centre = (size - 1) / 2
    angle = rng.uniform(0, np.pi)
    half = (length - 1) / 2 * np.array([np.cos(angle), np.sin(angle)])
    kernel = np.zeros((size, size), np.uint8)
    # Sixteenths of a pixel: a line of whole pixels would jump between a few directions.
    start, end = (np.rint((centre + sign * half) * 16).astype(int).tolist() for sign in (-1, 1))
    cv2.line(kernel, start, end, 255, 1, cv2.LINE_AA, 4)
    kernel = kernel.astype(np.float32)
    return cv2.filter2D(image, -1, kernel / kernel.sum(), borderType=cv2.BORDER_REFLECT)


def gamma(image: np.ndarray, exponent: float, rng: np.random.Generator) -> np.ndarray:
    """Darken (``exponent`` above 1) or brighten as a wrong exposure does."""
    table = 255 * (np.arange(256) / 255) ** exponent
    return cv2.LUT(image, np.rint(table).astype(np.uint8))


def jpeg(image: np.ndarray, quality: float, rng: np.random.Generator) -> np.ndarray:
    """Compress as a slow radio link needs it; ``quality`` as in libjpeg, 1 to 100."""
    return decode(encode_jpeg(image, int(quality)))


def noise(image: np.ndarray, sigma: float, rng: np.random.Generator) -> np.ndarray:
    """Add normal noise of ``sigma`` grey values (0 to 255) to every channel, as in the dark."""
    noisy = image + rng.normal(0, sigma, image.shape).astype(np.float32)
    return np.clip(np.rint(noisy), 0, 255).astype(np.uint8)


def hue(image: np.ndarray, degrees: float, rng: np.random.Generator) -> np.ndarray:
    """Turn every colour: by 120 degrees red becomes green. Shape and brightness stay."""
    hsv = cv2.cvtColor(image, cv2.COLOR_RGB2HSV)
    hsv[..., 0] = (hsv[..., 0] + round(degrees / 2)) % 180  # OpenCV counts two degrees as one
    return cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB)


Corruption = Callable[[np.ndarray, float, np.random.Generator], np.ndarray]
# name -> function, unit of the strength, three strengths from mild to strong
CORRUPTIONS: dict[str, tuple[Corruption, str, tuple[float, float, float]]] = {
    'motion blur': (motion_blur, 'px', (5, 11, 19)),
    'dark': (gamma, 'gamma', (1.7, 2.5, 4.0)),
    'bright': (gamma, 'gamma', (0.7, 0.5, 0.3)),
    'JPEG': (jpeg, 'quality', (40, 20, 10)),
    'noise': (noise, 'sigma', (8, 16, 32)),
    'hue': (hue, 'degrees', (60, 120, 180)),
}


def corrupt(image: np.ndarray, name: str, strength: float, key: str) -> np.ndarray:
    """Return the image under one corruption; the same ``key`` gives the same noise.

    Args:
        image: uint8 (H, W, 3) RGB.
        name: of ``CORRUPTIONS``.
        strength: in its unit.
        key: of the image, such as its file's name.
    """
    rng = np.random.default_rng(zlib.crc32(f'{name} {strength} {key}'.encode()))
    return CORRUPTIONS[name][0](image, strength, rng)


@dataclass(frozen=True)
class CorruptedAccuracy:
    """Average precision under one corruption of one strength, in its unit."""

    corruption: str
    strength: float
    unit: str
    voc10_ap50: float
    coco_ap: float


def under_corruptions(detector: Detector, samples: Sequence[Sample], progress: bool = False,
                      classes: tuple[str, ...] = ()) -> list[CorruptedAccuracy]:
    """Measure the detector under each corruption and strength.

    Args:
        samples: images that can be decoded.
        classes: what to detect; empty for all.
    """
    rows = []
    for name, strength in tqdm([(name, strength) for name, (*_, strengths) in CORRUPTIONS.items()
                                for strength in strengths], 'corruptions', disable=not progress):
        def read(sample: Sample, name: str = name, strength: float = strength) -> np.ndarray:
            return corrupt(sample.image(), name, strength, sample.path.name)
        measured = measure(detector, samples, read, classes=classes)
        found = accuracy(measured.detections, measured.truths, detector.class_names)
        rows.append(CorruptedAccuracy(name, strength, CORRUPTIONS[name][1], found.voc10_ap50,
                                      found.coco_ap))
    return rows
