"""Does loading keep up? Images per second of real training against one preloaded batch.

    .venv/bin/python tools/benchmark_loader.py config/train/rover.yaml --data DIR

Both kinds of steps take turns in one process, so that a busy machine slows both alike.
"""

from __future__ import annotations

import argparse
import itertools
import statistics
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from ssd_perception.data.layout import read_split
from ssd_perception.data.sample import Sample
from ssd_perception.inference.runtimes.torch import choose_device
from ssd_perception.training.dataset import Batch, TrainingImages, batches
from ssd_perception.training.recipe import Recipe, load_recipe
from ssd_perception.training.trainer import Trainer

# The workers go on while the preloaded batch is trained on, until their queues are full; what
# they have in stock then is not counted for the real steps.
STOCK = 6


def seconds(trainer: Trainer, steps: Iterable[list[Batch]]) -> float:
    """Return the mean seconds of the steps after the first ones."""
    times = []
    begin = time.perf_counter()
    for parts in steps:
        trainer.step(parts)
        times.append(time.perf_counter() - begin)
        begin = time.perf_counter()
    return sum(times[STOCK:]) / len(times[STOCK:])


def measure(recipe: Recipe, samples: Sequence[Sample], out: Path, device: str, steps: int,
            rounds: int, first: int,
            keep: Callable[[dict[str, float]], object] = lambda figures: None
            ) -> dict[str, float]:
    """Train, and return images per second of real and of preloaded steps, and their ratio.

    Args:
        out: folder of the run.
        steps: of each kind in a round, more than ``STOCK``.
        first: steps before the measurement, which fill the cache of decoded images.
        keep: called after each round with the figures so far.
    """
    trainer = Trainer(recipe, samples, {}, out, device)
    trainer.folder.open(recipe, 0)
    real = batches(TrainingImages(samples, recipe.class_names, recipe), recipe, 0,
                   trainer.device, trainer.world)
    preloaded = next(real)
    for _ in range(first):
        trainer.step(next(real))
    rows = []
    for _ in range(rounds):
        still = seconds(trainer, (preloaded for _ in range(steps)))
        moving = seconds(trainer, itertools.islice(real, steps))
        rows.append((recipe.batch_size / still, recipe.batch_size / moving, still / moving))
        figures = dict(zip(('preloaded_images_per_s', 'real_images_per_s', 'ratio'),
                           (statistics.median(row) for row in zip(*rows))))
        keep(figures)
    real.close()
    return figures


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('recipe', type=Path)
    parser.add_argument('--data', type=Path, required=True, help='folder as of train')
    parser.add_argument('--steps', type=int, default=24, help='of each kind in a round')
    parser.add_argument('--rounds', type=int, default=4)
    parser.add_argument('--set', nargs='*', default=(), metavar='KEY=VALUE')
    args = parser.parse_args()
    recipe = load_recipe(args.recipe, tuple(args.set))
    samples = read_split(args.data, 'train')
    with tempfile.TemporaryDirectory() as folder:
        figures = measure(recipe, samples, Path(folder), choose_device('auto')[:4], args.steps,
                          args.rounds, min(40, len(samples) // recipe.batch_size))
    print(', '.join(f'{name} {value:.3f}' for name, value in figures.items()))


if __name__ == '__main__':
    main()
