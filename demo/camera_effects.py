"""What a small camera does to light: lens, exposure, white balance, noise, tone curve, JPEG."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np


@dataclass(frozen=True)
class CameraLook:
    """One camera's habits; gains and levels are in linear light, 1 is the sensor's full well."""

    grey: float = 0.17  # mean level that the automatic exposure aims at
    white_balance: tuple = (1.0, 1.0, 1.0)  # gain of R, G, B
    softness_px: float = 0.6
    vignette: float = 0.25  # loss of light in the corners
    glare: float = 0.04  # part of the light that the lens scatters widely
    shot_noise: float = 0.010  # standard deviation at level 1
    read_noise: float = 0.003
    contrast: float = 0.25  # weight of the S-shaped curve
    saturation: float = 1.0
    sharpening: float = 0.3
    black: float = 0.0  # veil: lifted black level
    jpeg_quality: int = 85


def random_look(rng: np.random.Generator) -> CameraLook:
    """Draw a camera, its settings and how well they fit the room."""
    warm, tint = rng.normal(0, 0.10), rng.normal(0, 0.035)
    dim = rng.uniform() < 0.3
    noise = rng.uniform(0.6, 1.6) * (2.2 if dim else 1.0)
    return CameraLook(
        grey=float(rng.uniform(0.04, 0.10) if dim else rng.uniform(0.10, 0.33)),
        white_balance=(float(np.exp(warm)), float(np.exp(-tint)), float(np.exp(-warm))),
        softness_px=float(rng.uniform(0.3, 1.0)), vignette=float(rng.uniform(0.05, 0.45)),
        glare=float(rng.uniform(0.02, 0.10)), shot_noise=0.011 * noise,
        read_noise=0.003 * noise, contrast=float(rng.uniform(0.0, 0.5)),
        saturation=float(rng.uniform(0.8, 1.25)), sharpening=float(rng.uniform(0.0, 0.7)),
        black=float(max(0.0, rng.normal(0, 0.015))), jpeg_quality=int(rng.integers(72, 93)))


def exposure_gain(linear: np.ndarray, grey: float) -> float:
    """Return the gain that brings the image to `grey`, weighing the middle and lower part."""
    light = linear @ np.array([0.2126, 0.7152, 0.0722], np.float32)
    rows, columns = light.shape
    weight = np.outer(np.linspace(0.5, 1.0, rows), np.hanning(columns + 2)[1:-1] + 0.4)
    # A lamp in view must not black out the floor, so single lights count only up to 4 x median.
    light = np.minimum(light, 4 * np.median(light) + 1e-6)
    return float(grey / max((light * weight).sum() / weight.sum(), 1e-5))


def develop(linear: np.ndarray, look: CameraLook, gain: float,
            rng: np.random.Generator) -> np.ndarray:
    """Turn scene-linear RGB (H, W, 3) into the camera's uint8 RGB image."""
    height, width = linear.shape[:2]
    light = np.clip(linear, 0, 60 / max(gain, 1e-6)) * gain
    light = cv2.GaussianBlur(light, (0, 0), look.softness_px)
    # Scattered light is most of why dim indoor images look washed out.
    small = cv2.resize(np.minimum(light, 6), (width // 8, height // 8),
                       interpolation=cv2.INTER_AREA)
    veil = cv2.resize(cv2.GaussianBlur(small, (0, 0), 7), (width, height))
    light = light + look.glare * (veil - light)
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    radius2 = ((x - width / 2)**2 + (y - height / 2)**2) / ((width / 2)**2 + (height / 2)**2)
    light *= (1 - look.vignette * radius2**1.3)[..., None]
    light *= np.array(look.white_balance, np.float32)
    light = light / (1 + light**4)**0.25  # a soft knee instead of a hard clip
    light = _add_noise(light, look, rng)
    picture = np.where(light <= 0.0031308, 12.92 * light,
                       1.055 * np.maximum(light, 1e-6)**(1 / 2.4) - 0.055)
    curve = picture * picture * (3 - 2 * picture)
    picture = picture + look.contrast * (curve - picture)
    grey = picture.mean(-1, keepdims=True)
    picture = grey + look.saturation * (picture - grey)
    picture += look.sharpening * (picture - cv2.GaussianBlur(picture, (0, 0), 1.2))
    picture = look.black + (1 - look.black) * picture
    return np.clip(picture * 255 + 0.5, 0, 255).astype(np.uint8)


def _add_noise(light: np.ndarray, look: CameraLook, rng: np.random.Generator) -> np.ndarray:
    """Add shot and read noise as demosaicing leaves them: fine in luma, blotchy in chroma."""
    height, width = light.shape[:2]
    sigma = np.sqrt(look.shot_noise**2 * np.maximum(light, 0) + look.read_noise**2)
    fine = rng.standard_normal((height, width, 1)).astype(np.float32)
    blotches = rng.standard_normal((height // 2, width // 2, 3)).astype(np.float32)
    blotches = cv2.resize(cv2.GaussianBlur(blotches, (0, 0), 0.8), (width, height)) * 2.2
    colour = rng.standard_normal((height, width, 3)).astype(np.float32)
    colour = cv2.GaussianBlur(colour, (0, 0), 0.6) * 1.6
    return np.clip(light + sigma * (0.8 * fine + 0.5 * blotches + 0.5 * colour), 0, 1)
