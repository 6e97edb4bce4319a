"""Measure how long a training step, and the measurement of an image, take on this machine."""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import torch

from ssd_perception.data.sample import Sample
from ssd_perception.evaluation.accuracy import measure
from ssd_perception.inference.detector import Detector
from ssd_perception.inference.runtimes.torch import TorchRuntime
from ssd_perception.training.dataset import batches
from ssd_perception.training.recipe import Recipe
from ssd_perception.training.trainer import Trainer

STOCK = 4  # batches that each loader process makes ahead
BLOCK = 4  # steps, or one for each loader process; they may deliver as many at once
BLOCKS, SHORT = 4, 3  # at least so many are measured; so many steps where a step takes long
SHARE, LIMIT = 0.02, 0.08  # of the run's time: usual, and longest for the measurement of a step
LONGEST = 30.0  # seconds; a longer measurement of usual steps would not be more exact
VALIDATION = 12  # images


class Times(NamedTuple):
    """Seconds that parts of a run take here: a step, loading included, and a validation image."""

    step: float
    image: float


def measure_times(recipe: Recipe, samples: Sequence[Sample], validation: Sequence[Sample],
                  device: str, seconds: float) -> Times:
    """Train some steps and measure on some images, in a folder that is removed.

    Args:
        samples: to be trained on.
        validation: to be measured on; may be empty.
        device: ``cpu`` or ``cuda``.
        seconds: of the whole run.
    """
    recipe = replace(recipe, iterations=10 ** 6)
    first, block = _lengths(recipe.workers)
    with tempfile.TemporaryDirectory() as folder:
        trainer = Trainer(recipe, samples, {}, Path(folder, 'run'), device)
        trainer.folder.open(recipe, 0)
        stream = batches(trainer.images, recipe, 0, trainer.device, trainer.world)
        times: list[float] = []
        begin = time.perf_counter()
        enough = min(SHARE * seconds, LONGEST)
        try:
            for count, parts in enumerate(stream):
                trainer.step(parts)
                if trainer.device.type == 'cuda':
                    torch.cuda.synchronize()
                times.append(time.perf_counter())
                passed = times[-1] - begin
                if count >= SHORT and passed > LIMIT * seconds or \
                        count >= first + block * BLOCKS and passed > enough:
                    break
        finally:
            stream.close()
            trainer.folder.close()
        return Times(typical(times, recipe.workers), _image_seconds(trainer, validation))


def typical(times: Sequence[float], workers: int = 1) -> float:
    """Return the seconds of a step, of the moments at which steps ended.

    That is the median of blocks' means: what a busy moment costs does not count, and neither does
    it matter that the loader delivers several batches at once.

    Args:
        workers: processes of the loader.
    """
    first, block = _lengths(workers)
    times = times[min(first, len(times) - SHORT) - 1:]
    if len(times) <= 2 * block:
        return (times[-1] - times[0]) / (len(times) - 1)
    ends = times[::block]
    return statistics.median(b - a for a, b in zip(ends, ends[1:])) / block


def _lengths(workers: int) -> tuple[int, int]:
    """Return the steps that do not count and those of a block.

    The first step is slower, and the loader has the batches of those after it in stock.
    """
    return 1 + STOCK * max(1, workers), max(BLOCK, workers)


def _image_seconds(trainer: Trainer, validation: Sequence[Sample]) -> float:
    """Return the seconds of a validation image in the measurements of a run."""
    if not validation:
        return 0.0
    detector = Detector.from_runtime(TorchRuntime(trainer.result(), trainer.metadata,
                                                  trainer.device.type, 'fp32'))
    few = validation[::-(-len(validation) // VALIDATION)]
    detector.warm_up()
    begin = time.perf_counter()
    measure(detector, few, skip_unreadable=True)
    return (time.perf_counter() - begin) / len(few)
