"""Paste cut-outs of objects into training images (Dwibedi et al. 2017, "Cut, Paste and Learn")."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np

from ssd_perception.core.errors import DataError
from ssd_perception.data.cutouts import TRANSPARENT, Cutout, read_cutout, resized
from ssd_perception.data.sample import MIN_VISIBLE, TrainingItem

MAX_OBJECTS = 6
SIZES = 0.03, 0.6  # least and greatest height of an object, in longer sides of the image
ASPECTS = 0.7, 1.8  # widths are changed by a factor between these: of 16:9 to 2:3 at 4:3
MIN_OBJECT_PX = 5.0  # of the longer side of a box; less is not recognisable
SOLID = 0.5  # alpha from which a pixel belongs to the object
ANYWHERE = 0.3  # share of objects that do not stand on the ground
IN_A_GROUP = 0.45  # share of objects that stand near the one before
IN_A_ROW = 0.25  # share of images whose last object is the first of a row, as along a road
ROW = 3, 9  # least and greatest number of further objects in it
FALLEN = 0.15  # share of objects that are turned by any angle, not by a few degrees
WITH_SHADOW = 0.5
BOX_COVERED = 0.35  # an object of the image itself is never hidden by a larger share


class Layer(NamedTuple):
    """An object ready to be pasted.

    Attributes:
        colours: float32 (h, w, 3), 0 to 255.
        alpha: float32 (h, w), 0 to 1.
        inside: bool (h, w): pixels of the labelled object.
        label: as in ``Cutout``.
        left, top: where its first column and row come to lie in the image, px.
    """

    colours: np.ndarray
    alpha: np.ndarray
    inside: np.ndarray
    label: int
    left: int = 0
    top: int = 0


class Paster:
    """Pastes one to ``MAX_OBJECTS`` cut-outs, or a row, into an image, as if they had been there.

    Sizes are log-uniform, so many are small; most objects stand on one ground plane, the nearer
    in front of the farther ones. Brightness, colour cast, blur and noise follow the place they
    are put to. All that is random comes from the generator given with each call.

    Args:
        cutouts: of ``read_cutouts``; every sub-folder is drawn equally often.
        recolour: probability that a cut-out gets any other hue, or none: its class is its shape.
        max_bytes: of decoded cut-outs kept in memory.
    """

    def __init__(self, cutouts: Sequence[Cutout], recolour: float, max_bytes: int):
        labels = sorted({cutout.label for cutout in cutouts})
        self._groups = [[c for c in cutouts if c.label == label] for label in labels]
        self._recolour, self._free = recolour, max_bytes
        self._kept: dict[Path, np.ndarray] = {}

    def __call__(self, image: np.ndarray, xyxy: np.ndarray, labels: np.ndarray,
                 rng: np.random.Generator, skipped: list[str]) -> TrainingItem:
        """Return the image with cut-outs, and boxes and labels of all that can be seen.

        Args:
            image: uint8 (H, W, 3) RGB; it is not changed.
            xyxy, labels: of the objects in it, as in ``TrainingItem``.
            skipped: sentences about cut-outs that cannot be read are added to it.
        """
        height, width = image.shape[:2]
        layers = []
        for cutout, rows, centre, base in self._plan(height, width, rng):
            try:
                layer = _placed(self._layer(cutout, rows, rng), centre, base)
            except DataError as error:
                skipped.append(str(error))
                continue
            if not _hides(layer, xyxy):
                layers.append(layer)
        layers.sort(key=lambda layer: layer.top + len(layer.alpha))  # the nearest comes last
        canvas = image.astype(np.float32)
        owner = np.full((height, width), -1, np.int16)
        softness = _softness(image)
        for index, layer in enumerate(layers):
            _blend(canvas, owner, index, layer, softness, rng)
        boxes, found = _visible(owner, layers)
        return TrainingItem(np.clip(canvas, 0, 255).astype(np.uint8),
                        np.concatenate([xyxy.reshape(-1, 4), boxes]).astype(np.float32),
                        np.concatenate([labels, found]).astype(np.int64))

    def _plan(self, height: int, width: int, rng: np.random.Generator
              ) -> list[tuple[Cutout, float, float, float]]:
        """Draw cut-outs with the height of each, its middle column and the row of its base."""
        longest = max(height, width)
        horizon = rng.uniform(0.15, 0.6) * height
        rise = np.exp(rng.uniform(np.log(0.4), np.log(3.0)))  # of the camera, in objects' heights
        plan: list[tuple[Cutout, float, float, float]] = []
        for _ in range(rng.integers(1, MAX_OBJECTS + 1)):
            group = self._groups[rng.integers(len(self._groups))]
            cutout = group[rng.integers(len(group))]
            rows = longest * np.exp(rng.uniform(*np.log(SIZES)))
            centre = rng.uniform(-0.05, 1.05) * width
            if plan and rng.random() < IN_A_GROUP:
                before, rows, centre, _ = plan[-1]
                if rng.random() < 0.5:  # the same kind of thing once more
                    cutout = before
                rows *= rng.uniform(0.75, 1.3)
                centre += rng.choice([-1, 1]) * rng.uniform(0.3, 1.8) * rows
            base = horizon + rise * rows * rng.uniform(0.85, 1.2)
            if base > height + 0.5 * rows or rng.random() < ANYWHERE:
                base = rng.uniform(0.5 * rows, height + 0.4 * rows)
            plan.append((cutout, rows, centre, base))
        if rng.random() < IN_A_ROW:
            cutout, rows, centre, base = plan[-1]
            step, shrink = rng.choice([-1, 1]) * rng.uniform(0.3, 1.5), rng.uniform(0.78, 0.98)
            for _ in range(rng.integers(*ROW, endpoint=True)):
                rows, base = rows * shrink, horizon + (base - horizon) * shrink
                centre += step * rows
                if rows < SIZES[0] * longest:
                    break
                plan.append((cutout, rows, centre, base))
        return plan

    def _layer(self, cutout: Cutout, rows: float, rng: np.random.Generator) -> Layer:
        """Return a cut-out at about ``rows`` px, turned, mirrored and coloured."""
        source = self._read(cutout)
        height, width = source.shape[:2]
        factor = rows / height if height > width else rows / width
        size = (max(3, round(width * factor * np.exp(rng.uniform(*np.log(ASPECTS))))),
                max(3, round(height * factor)))
        source = resized(source, size)
        if rng.random() < 0.5:
            source = source[:, ::-1].copy()
        angle = rng.uniform(-180, 180) if rng.random() < FALLEN else rng.normal(0, 4)
        source = _turned(source, angle)
        alpha = source[..., 3].astype(np.float32) / 255
        colours = source[..., :3] / np.maximum(alpha, 0.02)[..., None]
        colours = _recoloured(np.clip(colours, 0, 255).astype(np.uint8),
                              rng.random() < self._recolour, rng)
        inside = (source[..., 4] > 127) & (alpha >= SOLID)
        return Layer(colours, alpha, inside, cutout.label)

    def _read(self, cutout: Cutout) -> np.ndarray:
        if cutout.path in self._kept:
            return self._kept[cutout.path]
        layers = read_cutout(cutout)
        if layers.nbytes <= self._free:
            self._free -= layers.nbytes
            self._kept[cutout.path] = layers
        return layers


def _turned(layers: np.ndarray, degrees: float) -> np.ndarray:
    """Turn (h, w, 5) about its middle; the result is large enough for all of it."""
    height, width = layers.shape[:2]
    matrix = cv2.getRotationMatrix2D((width / 2, height / 2), degrees, 1.0)
    cos, sin = np.abs(matrix[0, :2])
    wide, high = int(np.ceil(width * cos + height * sin)), int(np.ceil(width * sin + height * cos))
    matrix[:, 2] += (wide - width) / 2, (high - height) / 2
    turned = np.dstack([cv2.warpAffine(np.ascontiguousarray(part), matrix, (wide, high))
                        for part in (layers[..., :4], layers[..., 4])])
    x, y, w, h = cv2.boundingRect((turned[..., 3] > TRANSPARENT).astype(np.uint8))
    return turned[y:y + h, x:x + w] if w else turned


def _recoloured(colours: np.ndarray, any_hue: bool, rng: np.random.Generator) -> np.ndarray:
    """Change hue and saturation of uint8 (h, w, 3), a little or to any; float32 comes back.

    What has no colour, such as a white band, keeps none.
    """
    hsv = cv2.cvtColor(colours, cv2.COLOR_RGB2HSV).astype(np.int16)
    turn, saturation = rng.integers(-5, 6), rng.uniform(0.7, 1.2)
    if any_hue:
        turn = rng.integers(180)
        saturation = rng.uniform(0, 0.35) if rng.random() < 0.15 else rng.uniform(0.6, 1.3)
    hsv[..., 0] = (hsv[..., 0] + turn) % 180
    hsv[..., 1] = np.clip(hsv[..., 1] * saturation, 0, 255)
    return cv2.cvtColor(hsv.astype(np.uint8), cv2.COLOR_HSV2RGB).astype(np.float32)


def _placed(layer: Layer, centre: float, base: float) -> Layer:
    height, width = layer.alpha.shape
    return layer._replace(left=round(centre - width / 2), top=round(base - height))


def _hides(layer: Layer, xyxy: np.ndarray) -> bool:
    """Return whether the layer would cover much of one of the (n, 4) boxes."""
    height, width = layer.alpha.shape
    end = np.array([layer.left + width, layer.top + height])
    sides = np.minimum(xyxy[:, 2:], end) - np.maximum(xyxy[:, :2], [layer.left, layer.top])
    covered = np.clip(sides, 0, None).prod(1)
    return bool((covered > BOX_COVERED * (xyxy[:, 2:] - xyxy[:, :2]).prod(1)).any())


def _softness(image: np.ndarray) -> float:
    """Return how blurred an image is: a Gaussian sigma in px, estimated from its edges."""
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    edges = np.percentile(np.abs(cv2.Laplacian(grey, cv2.CV_32F)), 95)
    return float(np.clip(18 / max(edges, 1.0) - 0.3, 0.0, 1.8))


def _noise(patch: np.ndarray) -> float:
    """Return the standard deviation of a patch's noise (Immerkaer 1996, with a median)."""
    kernel = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]], np.float32)
    residual = cv2.filter2D(patch.mean(2), cv2.CV_32F, kernel)
    return float(min(12.0, np.median(np.abs(residual)) / 0.6745 / 6))


def _blend(canvas: np.ndarray, owner: np.ndarray, index: int, layer: Layer, softness: float,
           rng: np.random.Generator) -> None:
    """Paste a layer into the float canvas and into ``owner``, which names each pixel's layer."""
    height, width = owner.shape
    h, w = layer.alpha.shape
    x0, y0 = max(0, layer.left), max(0, layer.top)
    x1, y1 = min(width, layer.left + w), min(height, layer.top + h)
    if x1 <= x0 or y1 <= y0:
        return
    if rng.random() < WITH_SHADOW:
        _shade(canvas, layer, rng)
    margin = max(4, w // 3)
    around = canvas[max(0, y0 - margin):y1 + margin, max(0, x0 - margin):x1 + margin]
    sigma = softness * rng.uniform(0.6, 1.4)
    colours, alpha = _harmonised(layer, around.mean((0, 1)), rng), layer.alpha
    if sigma > 0.25:
        # Premultiplied, so that no colour from outside the object comes in.
        colours = cv2.GaussianBlur(colours * alpha[..., None], (0, 0), sigma)
        alpha = cv2.GaussianBlur(alpha, (0, 0), sigma)
        colours = colours / np.maximum(alpha, 0.02)[..., None]
    colours = colours + rng.normal(0, _noise(around), colours.shape).astype(np.float32)
    part = slice(y0 - layer.top, y1 - layer.top), slice(x0 - layer.left, x1 - layer.left)
    cover = alpha[part][..., None]
    canvas[y0:y1, x0:x1] += (np.clip(colours[part], 0, 255) - canvas[y0:y1, x0:x1]) * cover
    opaque = layer.alpha[part] >= SOLID
    owner[y0:y1, x0:x1][opaque] = index


def _harmonised(layer: Layer, around: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Bring brightness and colour cast towards the mean colour (3,) of the surroundings."""
    weight = layer.alpha[..., None]
    own = float((layer.colours * weight).sum() / (3 * weight.sum() + 1e-6))
    level = max(float(around.mean()), 4.0)
    gain = np.clip((level / max(own, 4.0)) ** rng.uniform(0, 0.6), 0.35, 1.8)
    cast = np.clip(around / level, 0.6, 1.6) ** rng.uniform(0, 0.5)
    colours = layer.colours * (gain * np.exp(rng.normal(0, 0.15)) * cast / cast.mean()).astype(
        np.float32)
    haze = rng.uniform(0, 0.2)
    return (1 - haze) * colours + np.float32(haze) * around.astype(np.float32)


def _shade(canvas: np.ndarray, layer: Layer, rng: np.random.Generator) -> None:
    """Darken the ground around a layer's base, as a soft contact shadow does."""
    h, w = layer.alpha.shape
    centre = layer.left + w / 2 + rng.uniform(-0.2, 0.2) * w, layer.top + h - 0.04 * h
    axes = max(1.0, w * rng.uniform(0.45, 0.75)), max(1.0, w * rng.uniform(0.08, 0.2))
    reach = 1.6
    x0, x1 = (int(np.clip(centre[0] + s * reach * axes[0], 0, canvas.shape[1])) for s in (-1, 1))
    y0, y1 = (int(np.clip(centre[1] + s * reach * axes[1], 0, canvas.shape[0])) for s in (-1, 1))
    y, x = np.ogrid[y0:y1, x0:x1]
    distance = ((x - centre[0]) / axes[0]) ** 2 + ((y - centre[1]) / axes[1]) ** 2
    shade = 1 - rng.uniform(0.2, 0.6) * np.exp(-1.5 * distance)
    canvas[y0:y1, x0:x1] *= shade[..., None].astype(np.float32)


def _visible(owner: np.ndarray, layers: Sequence[Layer]) -> tuple[np.ndarray, np.ndarray]:
    """Return boxes (n, 4) around the visible parts of objects, and labels; skip hidden ones."""
    height, width = owner.shape
    boxes, labels = [], []
    for index, layer in enumerate(layers):
        h, w = layer.alpha.shape
        x0, y0 = max(0, layer.left), max(0, layer.top)
        x1, y1 = min(width, layer.left + w), min(height, layer.top + h)
        if layer.label < 0 or x1 <= x0 or y1 <= y0:
            continue
        seen = owner[y0:y1, x0:x1] == index
        seen &= layer.inside[y0 - layer.top:y1 - layer.top, x0 - layer.left:x1 - layer.left]
        x, y, bw, bh = cv2.boundingRect(seen.astype(np.uint8))
        if max(bw, bh) < MIN_OBJECT_PX or seen.sum() < MIN_VISIBLE * layer.inside.sum():
            continue
        boxes.append([x0 + x, y0 + y, x0 + x + bw, y0 + y + bh])
        labels.append(layer.label)
    return np.array(boxes, np.float32).reshape(-1, 4), np.array(labels, np.int64)
