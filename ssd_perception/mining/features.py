"""What a picture looks like to the detector's backbone: one vector, to tell pictures apart."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ssd_perception.core.errors import UserError
from ssd_perception.imaging.placing import place


class FeaturesUnavailable(UserError, RuntimeError):
    """The backbone cannot be had here; one sentence says why."""


class Features:
    """The deepest level of a weights file's backbone, averaged over the picture.

    Args:
        path: the weights.
        device: as ``Detector.device``. Where another runtime has a GPU and torch has none, the
            processor looks.

    Raises:
        FeaturesUnavailable: without torch, or when the weights are no .safetensors file.
    """

    def __init__(self, path: Path, device: str):
        if path.suffix != '.safetensors':
            raise FeaturesUnavailable(f'{path.name} has no backbone that can be asked; give '
                                      'weights that end in .safetensors')
        try:
            import torch

            from ssd_perception.model.fold import fold_norms
            from ssd_perception.model.weights import load_model
        except ModuleNotFoundError as error:
            raise FeaturesUnavailable(
                f'it needs the Python module "{error.name}"; install it with pip install torch '
                'torchvision') from error
        if not torch.cuda.is_available():
            device = 'cpu'
        self._torch = torch
        model, self._metadata = load_model(path)
        self._backbone = fold_norms(model).backbone.to(device).to(
            memory_format=torch.channels_last)
        self._device = device
        p = self._metadata.preprocessing
        self._mean, self._std = (torch.tensor(v, device=device).view(1, 3, 1, 1)
                                 for v in (p.mean, p.std))

    def __call__(self, images: Sequence[np.ndarray]) -> np.ndarray:
        """Return float32 (n, d) for uint8 (H, W, 3) RGB images."""
        torch = self._torch
        batch = np.empty((len(images), *self._metadata.architecture.input_hw, 3), np.uint8)
        for image, canvas in zip(images, batch):
            place(image, canvas, self._metadata.preprocessing)
        with torch.inference_mode():
            pixels = torch.from_numpy(batch).to(self._device).permute(0, 3, 1, 2)
            deepest = self._backbone((pixels.float() - self._mean) / self._std)[-1]
            return deepest.mean((2, 3)).float().cpu().numpy()
