"""What torchrun starts in test_distributed: one process's share of a step's gradient.

Arguments: data folder, output file, assignment of anchors.
"""

import dataclasses
import sys
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).parent))
from tiny import TINY, gradient  # noqa: E402

from ssd_perception.data.voc import read_voc  # noqa: E402
from ssd_perception.training.recipe import Recipe  # noqa: E402
from ssd_perception.training.trainer import Trainer  # noqa: E402

# Batch norms see a share of the batch in each process, and drop-path draws in each: both off,
# the gradient has to be the same.
ALONE = dataclasses.replace(TINY, batch_size=4, drop_path=0.0)


def with_assignment(name: str) -> Recipe:
    """Return the recipe with ``loss.assignment``."""
    return dataclasses.replace(ALONE, loss=dataclasses.replace(ALONE.loss, assignment=name))


def frozen(trainer: Trainer) -> Trainer:
    """Let every norm, also the pyramid's and the heads', keep its statistics."""
    trainer._train_mode = lambda: trainer.model.train() and trainer.model.eval()
    return trainer


if __name__ == '__main__':
    data, out = Path(sys.argv[1]), Path(sys.argv[2])
    samples = read_voc(data, 'train')
    trainer = frozen(Trainer(with_assignment(sys.argv[3]), samples, {}, out.parent))
    gradients, losses = gradient(trainer, samples)
    if trainer.world.main:
        torch.save({'gradients': gradients, 'losses': losses, 'size': trainer.world.size}, out)
    trainer.world.leave()
