"""What an image looks like to the detector's backbone: one vector, to measure novelty by."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from ssd_perception.core.errors import UserError
from ssd_perception.imaging.placing import empty_batch, place
from ssd_perception.replay.work_folder import FrameResult, WorkFolder


class FeaturesUnavailable(UserError, RuntimeError):
    """The backbone is not available here; the message names the reason."""


class Features:
    """The deepest level of a weights file's backbone, averaged over the image.

    Args:
        path: the weights.
        device: as ``Detector.device``. Where another runtime has a GPU and torch has none, the
            CPU computes them.

    Raises:
        FeaturesUnavailable: without torch, or when the weights are no .safetensors file.
    """

    def __init__(self, path: Path, device: str):
        if path.suffix != '.safetensors':
            raise FeaturesUnavailable(f'{path.name} holds no backbone that torch can run; give '
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
        batch = empty_batch(len(images), self._metadata)
        for image, canvas in zip(images, batch):
            place(image, canvas, self._metadata.preprocessing)
        with torch.inference_mode():
            pixels = torch.from_numpy(batch).to(self._device).permute(0, 3, 1, 2)
            deepest = self._backbone((pixels.float() - self._mean) / self._std)[-1]
            return deepest.mean((2, 3)).float().cpu().numpy()


class FeatureVectors:
    """Keeps the features of every frame; a ``replay.scan.Consumer``.

    Args:
        features: uint8 (H, W, 3) RGB images -> float32 (n, d).
    """

    name = 'features'

    def __init__(self, features: Callable[[Sequence[np.ndarray]], np.ndarray]):
        self._features = features

    def begin(self, chunk: Path) -> None:
        """Nothing is written beside what is kept."""

    def add(self, result: FrameResult, image: np.ndarray) -> bytes:
        """Return the frame's features."""
        return self._features([image])[0].tobytes()

    def end(self) -> None:
        """Nothing is open."""


def kept_features(folder: WorkFolder) -> np.ndarray | None:
    """Return every frame's features: (n, d) float32, 0 where an image could not be decoded.

    None where no frame has any.
    """
    vectors = [np.frombuffer(kept, np.float32) for kept in folder.kept(FeatureVectors.name)]
    length = max((len(vector) for vector in vectors), default=0)
    if not length:
        return None
    return np.stack([vector if len(vector) else np.zeros(length, np.float32)
                     for vector in vectors])
