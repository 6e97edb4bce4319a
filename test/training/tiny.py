"""A training small enough for tests: six noisy pictures with one orange square each."""

from pathlib import Path

import cv2
import numpy as np

from ssd_perception.core.metadata import Architecture
from ssd_perception.training.dataset import TrainingImages, batches
from ssd_perception.training.recipe import Recipe

TINY = Recipe(iterations=6, class_names=('cone',), init='random', batch_size=2, workers=0,
              architecture=Architecture(backbone='efficientnet_lite0', input_hw=(64, 64),
                                        pyramid_channels=8, head_depth=1),
              warmup=2, checkpoint_every=3, evaluate_every=6, drop_path=0.2)
YAML = """
iterations: {iterations}
class_names: [cone]
init: random
batch_size: 2
workers: 0
architecture:
  {{backbone: efficientnet_lite0, input_hw: [64, 64], pyramid_channels: 8, head_depth: 1}}
warmup: 2
checkpoint_every: {every}
evaluate_every: 1000
drop_path: 0.2
"""


def write_pictures(root: Path, count: int = 6) -> Path:
    """Make a VOC folder with a ``train`` split; return it."""
    for folder in ('JPEGImages', 'Annotations', 'ImageSets/Main'):
        (root / folder).mkdir(parents=True)
    rng = np.random.default_rng(0)
    for i in range(count):
        image = rng.integers(0, 120, (80, 80, 3)).astype(np.uint8)
        x, y = rng.integers(5, 40, 2)
        image[y:y + 30, x:x + 30] = (0, 120, 255)
        cv2.imwrite(str(root / f'JPEGImages/{i}.png'), image)
        (root / f'Annotations/{i}.xml').write_text(
            f'<annotation><object><name>cone</name><bndbox><xmin>{x}</xmin><ymin>{y}</ymin>'
            f'<xmax>{x + 30}</xmax><ymax>{y + 30}</ymax></bndbox></object></annotation>')
    (root / 'ImageSets/Main/train.txt').write_text('\n'.join(map(str, range(count))))
    return root


def first_step(trainer, samples):
    """Return the parts of a trainer's first step."""
    pictures = TrainingImages(samples, trainer.recipe.class_names, trainer.recipe)
    return next(batches(pictures, trainer.recipe, 0, trainer.device, trainer.world))


def gradient(trainer, samples):
    """Return name -> gradient of a trainer's first step, and its loss parts."""
    parts = first_step(trainer, samples)
    trainer._train_mode()
    losses = trainer.gradient(parts)
    return {name: p.grad.clone() for name, p in trainer.model.named_parameters()}, losses
