"""Strong augmentation from torchvision.transforms.v2, and the glue around it."""

from __future__ import annotations

import cv2
import numpy as np
import torch
from torch import nn
from torchvision import tv_tensors
from torchvision.transforms import v2

from ssd_perception.data.sample import Labelled, keep_visible


def recompress(image: torch.Tensor) -> torch.Tensor:
    """JPEG-compress uint8 (3, H, W) at a random quality of 15 to 70 and decode it again.

    torchvision's own JPEG transform goes away with its codecs (deprecated in 0.29).
    """
    quality = int(torch.randint(15, 71, ()))
    data = cv2.imencode('.jpg', image.permute(1, 2, 0).numpy(),
                        [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
    return torch.from_numpy(cv2.imdecode(data, cv2.IMREAD_COLOR)).permute(2, 0, 1)


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
            grey = cv2.cvtColor(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
            pixels = cv2.addWeighted(pixels, saturation, grey, 1 - saturation, 0)
        return torch.from_numpy(pixels).permute(2, 0, 1)


class Augmentation:
    """SSD's set (Liu et al. 2016, section 2.2), with milder zoom-out and camera faults added.

    Random numbers come from torch's global generator; the caller seeds it per sample.

    Args:
        aspect: pictures are stretched sideways by up to this factor, or its inverse.
        flip, zoom_out, crop, photometric, camera: probabilities of each part.
        recolour_empty, recolour_objects: probability that ``recolour`` changes a picture at
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
        self._geometry = v2.Compose([
            v2.RandomZoomOut(fill=padding_value, side_range=(1.0, 2.5), p=zoom_out),
            # Ten trials per overlap, not forty: the trials were two fifths of a sample's cost.
            v2.RandomApply([v2.RandomIoUCrop(min_scale=0.3, trials=10)], p=crop),
            v2.RandomHorizontalFlip(flip),
        ])
        self._colour = v2.Compose([
            v2.RandomApply([ColourJitter(brightness=(0.55, 1.45), contrast=(0.6, 1.4),
                                         saturation=(0.6, 1.4), hue=0.03)], p=photometric),
            # What a moving, cheap or badly lit camera does.
            v2.RandomApply([v2.RandomChoice([
                v2.GaussianBlur(5, (0.3, 2.0)),
                recompress,
                v2.GaussianNoise(sigma=0.04),
                v2.RandomGrayscale(1.0),
            ], p=[0.35, 0.25, 0.3, 0.1])], p=camera),
        ])

    def geometry(self, sample: Labelled) -> Labelled:
        """Stretch, zoom out, crop and flip; slivers of cut objects are dropped."""
        image, xyxy, labels = sample
        factor = float(torch.empty(1).uniform_(-1, 1)) * np.log(self._aspect)
        height, width = image.shape[:2]
        stretched = max(1, round(width * np.exp(factor)))
        image = cv2.resize(image, (stretched, height), interpolation=cv2.INTER_LINEAR)
        xyxy = xyxy * np.array([stretched / width, 1, stretched / width, 1], np.float32)
        picture = tv_tensors.Image(torch.from_numpy(image).permute(2, 0, 1))
        # Boxes carry an index along, so that labels and areas follow what the crop keeps.
        boxes = tv_tensors.BoundingBoxes(torch.from_numpy(xyxy), format='XYXY',
                                         canvas_size=(height, stretched))
        out = self._geometry({'image': picture, 'boxes': boxes,
                              'labels': torch.arange(len(labels))})
        kept = out['labels'].numpy()
        new_image = np.ascontiguousarray(out['image'].permute(1, 2, 0).numpy())
        new_xyxy = out['boxes'].numpy().reshape(-1, 4)
        # Zoom-out and flip do not scale, so the area an object had is comparable.
        visible = keep_visible(new_xyxy, xyxy[kept])
        return Labelled(new_image, new_xyxy[visible], labels[kept][visible])

    def colour(self, image: np.ndarray) -> np.ndarray:
        """Change colours and add camera faults; uint8 (H, W, 3) in and out."""
        return _applied(self._colour, image)

    def recolour(self, sample: Labelled) -> Labelled:
        """Give a picture any colours.

        Without objects it stays a picture without: with a few hundred of them a detector of
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
