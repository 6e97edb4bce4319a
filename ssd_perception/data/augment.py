"""Strong augmentation: SSD's geometry and colours, and the faults of cameras."""

from __future__ import annotations

import cv2
import numpy as np
import torch
from torch import nn
from torchvision import tv_tensors
from torchvision.transforms import v2

from ssd_perception.core.boxes import iou
from ssd_perception.data.sample import TrainingItem, keep_visible

MAX_ZOOM_OUT = 2.5
CROP_OVERLAPS = 0.0, 0.1, 0.3, 0.5, 0.7, 0.9, 1.0  # least IoU with an object; 1 leaves all
CROP_TRIALS = 40
MIN_CROP = 0.3  # of each side


def recompress(image: torch.Tensor) -> torch.Tensor:
    """JPEG-compress uint8 (3, H, W) at a random quality of 15 to 70 and decode it again.

    torchvision's own JPEG transform goes away with its codecs (deprecated in 0.29).
    """
    quality = int(torch.randint(15, 71, ()))
    data = cv2.imencode('.jpg', image.permute(1, 2, 0).numpy(),
                        [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
    return torch.from_numpy(cv2.imdecode(data, cv2.IMREAD_COLOR)).permute(2, 0, 1)


def blur(image: torch.Tensor) -> torch.Tensor:
    """Blur uint8 (3, H, W) with a random sigma of 0.3 to 2 px."""
    sigma = float(torch.empty(1).uniform_(0.3, 2.0))
    pixels = np.ascontiguousarray(image.permute(1, 2, 0).numpy())
    return torch.from_numpy(cv2.GaussianBlur(pixels, (5, 5), sigma)).permute(2, 0, 1)


def add_noise(image: torch.Tensor) -> torch.Tensor:
    """Add Gaussian noise of a deviation of 10 to uint8 (3, H, W)."""
    rng = np.random.default_rng(int(torch.randint(2 ** 62, ())))
    noise = rng.standard_normal(tuple(image.shape), np.float32)
    noise *= 10
    noise += image.numpy()
    return torch.from_numpy(np.clip(noise, 0, 255, noise).astype(np.uint8))


def zoom_out(sample: TrainingItem, fill: int, rng: np.random.Generator) -> TrainingItem:
    """Put an image anywhere on a canvas of up to ``MAX_ZOOM_OUT`` times its sides."""
    height, width = sample.image.shape[:2]
    factor = rng.uniform(1, MAX_ZOOM_OUT)
    canvas = np.full((int(height * factor), int(width * factor), 3), fill, np.uint8)
    top = rng.integers(canvas.shape[0] - height + 1)
    left = rng.integers(canvas.shape[1] - width + 1)
    canvas[top:top + height, left:left + width] = sample.image
    moved = sample.xyxy + np.array([left, top] * 2, np.float32)
    return sample._replace(image=canvas, xyxy=moved)


def overlap_crop(sample: TrainingItem, rng: np.random.Generator) -> TrainingItem:
    """Cut out a part that overlaps an object by at least a random IoU (SSD, section 2.2).

    An image without objects is cut anywhere. Boxes whose centre is outside go, the rest is
    clipped. Parts of images of more than 2:1 may be as narrow.
    """
    image, xyxy, labels = sample
    height, width = image.shape[:2]
    limit = rng.choice(CROP_OVERLAPS)
    if limit >= 1:
        return sample
    centres = (xyxy[:, :2] + xyxy[:, 2:]) / 2
    # Parts of 2:1 at most would leave most of a 5:1 input grey.
    usual = np.clip(width / height, 0.5, 2)
    narrow = width / height / usual
    for _ in range(CROP_TRIALS):
        across, down = rng.uniform(MIN_CROP, 1, 2).tolist()
        w, h = int(width * across), int(height * down)
        if not h or not 0.5 <= w / h / narrow <= 2:
            continue
        left, top = int(rng.integers(width - w + 1)), int(rng.integers(height - h + 1))
        part = np.array([left, top, left + w, top + h], np.float32)
        kept = ((centres > part[:2]) & (centres < part[2:])).all(1)
        if len(xyxy) and not (kept.any() and (
                limit <= 0 or iou(xyxy[kept], part[None]).max() >= limit)):
            continue
        boxes = np.clip(xyxy[kept], part[[0, 1, 0, 1]], part[[2, 3, 2, 3]]) - part[[0, 1, 0, 1]]
        return TrainingItem(image[top:top + h, left:left + w], boxes, labels[kept])
    return sample


def mirror(sample: TrainingItem) -> TrainingItem:
    """Mirror left to right."""
    width = sample.image.shape[1]
    return sample._replace(image=cv2.flip(sample.image, 1), xyxy=np.stack(
        [width - sample.xyxy[:, 2], sample.xyxy[:, 1], width - sample.xyxy[:, 0],
         sample.xyxy[:, 3]], 1))


class ColourJitter(nn.Module):
    """What torchvision's ``ColorJitter`` does, by OpenCV: a fifth of the time for a hue.

    Args:
        brightness, contrast, saturation: least and greatest factor.
        hue: largest turn to either side, in turns of the colour circle.
    """

    def __init__(self, *, brightness: tuple[float, float] = (1, 1),
                 contrast: tuple[float, float] = (1, 1),
                 saturation: tuple[float, float] = (1, 1), hue: float = 0.0):
        super().__init__()
        self._ranges = brightness, contrast, saturation, (-hue, hue)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Change uint8 (3, H, W) RGB."""
        brightness, contrast, saturation, hue = (
            float(torch.empty(1).uniform_(*span)) for span in self._ranges)
        pixels = np.ascontiguousarray(image.permute(1, 2, 0).numpy())
        if contrast != 1 or brightness != 1:
            grey = brightness * cv2.mean(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY))[0]
            table = (np.arange(256) * brightness - grey) * contrast + grey
            pixels = cv2.LUT(pixels, np.clip(table, 0, 255).round().astype(np.uint8))
        if hue:
            hsv = cv2.cvtColor(pixels, cv2.COLOR_RGB2HSV_FULL)
            # uint8 wraps around, as hues of 256 steps do.
            hsv[..., 0] += np.uint8(round(hue * 256) % 256)
            pixels = cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB_FULL)
        if saturation != 1:
            greys = cv2.cvtColor(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
            pixels = cv2.addWeighted(pixels, saturation, greys, 1 - saturation, 0)
        return torch.from_numpy(pixels).permute(2, 0, 1)


class Augmentation:
    """SSD's set (Liu et al. 2016, section 2.2), with milder zoom-out and camera faults added.

    Random numbers come from torch's global generator; the caller seeds it per sample.

    Args:
        aspect: images are stretched sideways by up to this factor, or its inverse.
        flip, zoom_out, crop, photometric, camera: probabilities of each part.
        recolour_empty, recolour_objects: probability that ``recolour`` changes an image at
            all, without and with objects in it.
        padding_value: grey that fills the margins, 0 to 255.
    """

    def __init__(self, *, aspect: float, flip: float, zoom_out: float, crop: float,
                 photometric: float, camera: float, recolour_empty: float,
                 recolour_objects: float, padding_value: int):
        self._aspect = aspect
        self._recolour = [v2.RandomApply([v2.RandomChannelPermutation(),
                                          ColourJitter(saturation=(0.7, 1.8), hue=0.5)], p=p)
                          if p else None for p in (recolour_empty, recolour_objects)]
        self._zoom_out, self._crop, self._flip, self._fill = zoom_out, crop, flip, padding_value
        self._colour = v2.Compose([
            v2.RandomApply([ColourJitter(brightness=(0.55, 1.45), contrast=(0.6, 1.4),
                                         saturation=(0.6, 1.4), hue=0.03)], p=photometric),
            # What a moving, cheap or badly lit camera does.
            v2.RandomApply([v2.RandomChoice([
                blur,
                recompress,
                add_noise,
                v2.RandomGrayscale(1.0),
            ], p=[0.35, 0.25, 0.3, 0.1])], p=camera),
        ])

    def geometry(self, sample: TrainingItem) -> TrainingItem:
        """Stretch, zoom out, crop and flip; slivers of cut objects are dropped."""
        image, xyxy, labels = sample
        factor = float(torch.empty(1).uniform_(-1, 1)) * np.log(self._aspect)
        height, width = image.shape[:2]
        stretched = max(1, round(width * np.exp(factor)))
        image = cv2.resize(image, (stretched, height), interpolation=cv2.INTER_LINEAR)
        xyxy = xyxy * np.array([stretched / width, 1, stretched / width, 1], np.float32)
        rng = np.random.default_rng(int(torch.randint(2 ** 62, ())))
        cut = TrainingItem(image, xyxy, np.arange(len(labels)))  # indices
        if rng.random() < self._zoom_out:
            cut = zoom_out(cut, self._fill, rng)
        whole = cut.xyxy
        if rng.random() < self._crop:
            cut = overlap_crop(cut, rng)
        if rng.random() < self._flip:
            cut = mirror(cut)
        visible = keep_visible(cut.xyxy, whole[cut.labels])
        return TrainingItem(np.ascontiguousarray(cut.image), cut.xyxy[visible],
                        labels[cut.labels[visible]])

    def colour(self, image: np.ndarray) -> np.ndarray:
        """Change colours and add camera faults; uint8 (H, W, 3) in and out."""
        return _applied(self._colour, image)

    def recolour(self, sample: TrainingItem) -> TrainingItem:
        """Give an image any colours.

        Without objects it stays an image without: with a few hundred of them a detector of
        orange cones would otherwise see few orange things that are none. Objects keep their
        class: a blue cone is a cone.
        """
        transform = self._recolour[len(sample.xyxy) > 0]
        if transform is None:
            return sample
        return sample._replace(image=_applied(transform, sample.image))


def _applied(transform: v2.Transform, image: np.ndarray) -> np.ndarray:
    picture = tv_tensors.Image(torch.from_numpy(image).permute(2, 0, 1))
    return np.ascontiguousarray(transform(picture).permute(1, 2, 0).numpy())
