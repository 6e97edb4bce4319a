"""Does loading keep up? Images per second of real training against one preloaded batch.

    .venv/bin/python tools/benchmark_loader.py config/train/rover.yaml --data DIR

Both kinds of steps take turns in one process, so that a busy machine slows both alike.
"""

import argparse
import statistics
import tempfile
import time
from pathlib import Path

from ssd_perception.data.layout import read_split
from ssd_perception.inference.runtimes.torch import choose_device
from ssd_perception.training.dataset import TrainingPictures, batches
from ssd_perception.training.recipe import load_recipe
from ssd_perception.training.trainer import Trainer

# The workers go on while the preloaded batch is trained on, until their queues are full; what
# they have in stock then is not counted for the real steps.
STOCK = 6


def seconds(trainer: Trainer, steps) -> float:
    """Return the mean seconds of the steps after the first ones."""
    times = []
    begin = time.perf_counter()
    for parts in steps:
        trainer._step(parts)
        times.append(time.perf_counter() - begin)
        begin = time.perf_counter()
    return sum(times[STOCK:]) / len(times[STOCK:])


def main() -> None:
    """Print one line per round and the median ratio."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('recipe', type=Path)
    parser.add_argument('--data', type=Path, required=True, help='folder in VOC or COCO layout')
    parser.add_argument('--steps', type=int, default=24, help='of each kind in a round')
    parser.add_argument('--rounds', type=int, default=4)
    parser.add_argument('--set', nargs='*', default=(), metavar='KEY=VALUE')
    args = parser.parse_args()
    recipe = load_recipe(args.recipe, tuple(args.set))
    samples = read_split(args.data, 'train')
    trainer = Trainer(recipe, samples, {}, Path(tempfile.mkdtemp()), choose_device('auto')[:4])
    trainer.folder.open(recipe, 0)
    trainer._bar = argparse.Namespace(set_postfix=lambda **_: None, update=lambda: None)
    real = batches(TrainingPictures(samples, recipe.class_names, recipe), recipe, 0,
                   trainer.device, trainer.world)
    preloaded = next(real)
    # A first pass fills the cache of decoded pictures, as the first epoch does.
    for _ in range(min(40, len(samples) // recipe.batch_size)):
        trainer._step(next(real))
    ratios = []
    for _ in range(args.rounds):
        still = seconds(trainer, (preloaded for _ in range(args.steps)))
        moving = seconds(trainer, (next(real) for _ in range(args.steps)))
        ratios.append(still / moving)
        print(f'preloaded {recipe.batch_size / still:6.2f} images/s, real '
              f'{recipe.batch_size / moving:6.2f} images/s, ratio {ratios[-1]:.3f}', flush=True)
    print(f'median ratio {statistics.median(ratios):.3f}')


if __name__ == '__main__':
    main()
