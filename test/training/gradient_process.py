"""What test_distributed starts twice: one process's share of a step's gradient."""

import dataclasses
from pathlib import Path

import torch
from tiny import TINY, gradient

from ssd_perception.data.voc import read_voc
from ssd_perception.training.recipe import Recipe
from ssd_perception.training.trainer import Trainer

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


def share_of_gradient(data: Path, out: Path, assignment: str) -> None:
    """Save this process's share of a step's gradient, the loss parts and the number of processes.
    """
    samples = read_voc(data, 'train')
    trainer = frozen(Trainer(with_assignment(assignment), samples, {}, out.parent))
    gradients, losses = gradient(trainer, samples)
    if trainer.world.main:
        torch.save({'gradients': gradients, 'losses': losses, 'size': trainer.world.size}, out)
    trainer.world.leave()
