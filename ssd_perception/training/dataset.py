"""The training set as torch sees it: augmented images that depend on seed and index only."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass, field
from multiprocessing.queues import Queue
from typing import Any, NamedTuple

import cv2
import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset

from ssd_perception.core.errors import DataError
from ssd_perception.data.augment import Augmentation
from ssd_perception.data.cutouts import read_cutouts
from ssd_perception.data.mosaic import canvas_hw, mosaic
from ssd_perception.data.paste import Paster
from ssd_perception.data.sample import Sample, TrainingItem, keep_visible, labels
from ssd_perception.data.synthetic import synthetic_negative
from ssd_perception.imaging.files import ImageCache
from ssd_perception.imaging.placing import place
from ssd_perception.training.distributed import World
from ssd_perception.training.losses import Target
from ssd_perception.training.recipe import Recipe

# Exit code of a loader process whose batch did not fit in /dev/shm.
_NO_SHARED_MEMORY = 77


def random_stream(seed: int, *position: int) -> np.random.Generator:
    """Return a generator that depends on nothing but its arguments."""
    return np.random.default_rng([seed, *position])


class Origin(NamedTuple):
    """The sources of an image of the run.

    Attributes:
        name: the (first) file.
        labelled: bool (classes,), those whose objects are labelled in all of its files; the image
            says nothing about the background of the others. None means every class.
        skipped: why files could not be read; others took their place.
    """

    name: str
    labelled: np.ndarray | None
    skipped: tuple[str, ...]


class Batch(NamedTuple):
    """What one forward pass takes.

    Attributes:
        images: uint8 (B, 3, H, W) at the network's input size.
        targets: the objects of each, in input px.
        labelled: bool (B, classes), see ``Origin``; None where every class is labelled in
            every image.
        names: the (first) file each image was made from.
        skipped: why files could not be read; others took their place.
    """

    images: torch.Tensor
    targets: list[Target]
    labelled: torch.Tensor | None
    names: list[str]
    skipped: list[str]


@dataclass
class _Sources:
    """What one image of the run was made from."""

    skipped: list[str] = field(default_factory=list)
    used: list[Sample] = field(default_factory=list)

    def labelled(self, class_names: tuple[str, ...]) -> np.ndarray | None:
        """Return which classes are labelled in all of them; None for all classes."""
        limits = [sample.labelled for sample in self.used if sample.labelled is not None]
        return np.array([all(name in limit for limit in limits) for name in class_names]
                        ) if limits else None


class TrainingImages(Dataset):
    """Maps a place in the run to an augmented image at the network's input size.

    The index counts all images of the whole run, so image ``i`` is the same whoever
    loads it, with any number of workers, before or after a resume.
    """

    def __init__(self, samples: Sequence[Sample], class_names: tuple[str, ...], recipe: Recipe):
        self._samples, self._class_names, self._recipe = list(samples), class_names, recipe
        for sample in samples:
            labels(sample, class_names)  # an unknown class is refused now, not in a worker
        a = recipe.augmentation
        self._augmentation = Augmentation(
            aspect=a.aspect, flip=a.flip, zoom_out=a.zoom_out, crop=a.crop,
            photometric=a.photometric, camera=a.camera,
            recolour_empty=a.recolour_empty, recolour_objects=a.recolour_objects,
            padding_value=recipe.preprocessing.padding_value)
        workers = max(1, recipe.workers)
        # A fifth more than the input leaves the crops something to cut from.
        self._cache = ImageCache(round(1.25 * max(recipe.architecture.input_hw)),
                                 recipe.cache_mib * 2 ** 20 // workers)
        self._paster: Paster | None = None
        if a.paste.probability:
            # Half as much again as the images may take.
            self._paster = Paster(read_cutouts(a.paste.cutouts, class_names), a.paste.recolour,
                                  recipe.cache_mib * 2 ** 19 // workers)

    def __len__(self) -> int:
        return self._recipe.iterations * self._recipe.batch_size

    def __getitem__(self, index: int) -> tuple[TrainingItem, Origin]:
        """Make the image at place ``index`` of the run, at the network's input size.

        Raises:
            DataError: when no image at all can be read.
        """
        recipe, count = self._recipe, len(self._samples)
        rng = random_stream(recipe.seed, 1, index)
        # Every image comes once per epoch, in an order of that epoch's own.
        order = random_stream(recipe.seed, 0, index // count).permutation(count)
        first = int(order[index % count])
        height, width = recipe.architecture.input_hw
        sources = _Sources()
        with torch.random.fork_rng(devices=[]):
            # torch.manual_seed also keeps a traceback for a GPU that a loader process never uses,
            # which took an eighth of the time of an image.
            torch.default_generator.manual_seed(int(rng.integers(2 ** 62)))
            paster = self._paster
            if paster and rng.random() >= recipe.augmentation.paste.probability:
                paster = None
            item = self._composed(index, first, rng, sources)
            canvas = np.empty((height, width, 3), np.uint8)
            placement = place(item.image, canvas, recipe.preprocessing)
            boxes = placement.to_input(item.xyxy).astype(np.float32).reshape(-1, 4)
            large = keep_visible(boxes, boxes)  # what shrank to nothing cannot be learned
            item = TrainingItem(canvas, boxes[large], item.labels[large])
            if paster:
                item = paster(canvas, item.xyxy, item.labels, rng, sources.skipped)
            canvas = self._augmentation.colour(item.image)
        return item._replace(image=canvas), Origin(
            str(self._samples[first].path), sources.labelled(self._class_names),
            tuple(sources.skipped))

    def _composed(self, index: int, first: int, rng: np.random.Generator,
                  sources: _Sources) -> TrainingItem:
        """Return the image at place ``index``: a drawn one, a mosaic or sample ``first``."""
        recipe, a, count = self._recipe, self._recipe.augmentation, len(self._samples)
        height, width = recipe.architecture.input_hw
        # A recipe without drawn images takes no random number here: its other draws stay the same.
        if a.synthetic and rng.random() < a.synthetic:
            return synthetic_negative(height, width, rng)
        if index < len(self) * (1 - a.mosaic_off) and rng.random() < a.mosaic:
            others = rng.integers(count, size=3)
            tiles = [self._changed(self._samples, int(i), sources) for i in (first, *others)]
            tiles = [tiles[i] for i in rng.permutation(4)]
            return mosaic(tiles, canvas_hw((height, width)), recipe.preprocessing.padding_value,
                          rng)
        return self._changed(self._samples, first, sources)

    def _changed(self, samples: Sequence[Sample], index: int, sources: _Sources) -> TrainingItem:
        item = self._augmentation.recolour(self._read(samples, index, sources))
        return self._augmentation.geometry(item)

    def _read(self, samples: Sequence[Sample], index: int, sources: _Sources) -> TrainingItem:
        # The next one takes the place of an image that cannot be decoded, the same one on
        # every machine and after every resume.
        count = len(samples)
        for which in (i % count for i in range(index, index + count)):
            sample = samples[which]
            try:
                image, scale_x, scale_y = self._cache.read(sample.path, sample.stated_hw)
            except DataError as error:
                sources.skipped.append(str(error))
                continue
            scale = np.array([scale_x, scale_y] * 2, np.float32)
            height, width = image.shape[:2]
            xyxy = np.clip(sample.xyxy * scale, 0, [width, height] * 2).astype(np.float32)
            sources.used.append(sample)
            return TrainingItem(image, xyxy, labels(sample, self._class_names))
        raise DataError(f'None of the {count} images can be read; '
                        f'the last one: {sources.skipped[-1]}')


class _Places:
    """Sampler: the places in the run that one process computes, in its own order."""

    def __init__(self, recipe: Recipe, world: World, start: int):
        self._recipe, self._world, self._start = recipe, world, start

    def __iter__(self) -> Iterator[int]:
        size = self._recipe.batch_size
        share = size // self._world.size
        for iteration in range(self._start, self._recipe.iterations):
            first = iteration * size + self._world.rank * share
            yield from range(first, first + share)


def batches(images: TrainingImages, recipe: Recipe, start: int, device: torch.device,
            world: World) -> Generator[list[Batch], None, None]:
    """Yield, for iterations ``start`` to the end, this process's ``accumulate`` batches.

    All processes' batches of one iteration together are ``batch_size`` images, the same
    ones for any number of processes and parts.
    """
    loader = DataLoader(
        images, recipe.batch_size // (world.size * recipe.accumulate),
        num_workers=recipe.workers, collate_fn=_collate, sampler=_Places(recipe, world, start),
        pin_memory=device.type == 'cuda', prefetch_factor=4 if recipe.workers else None,
        worker_init_fn=_start_worker,
        # Its own generator: making a loader must not move the global one.
        generator=torch.Generator())
    iterator = iter(loader)
    parts: list[Batch] = []
    try:
        for batch in iterator:
            parts.append(batch)
            if len(parts) == recipe.accumulate:
                yield parts
                parts = []
    except (ConnectionError, EOFError, RuntimeError) as error:
        # What torch says depends on when it notices; the exit code does not.
        death = _describe_death(iterator)
        if not death:
            raise
        raise RuntimeError(death) from error
    finally:
        _end_workers(iterator)


def _describe_death(iterator: Any) -> str:
    """Return how a loader process died, in torch's words; empty where none did."""
    for worker in getattr(iterator, '_workers', ()):
        worker.join(0.2)
        if worker.exitcode:
            how = 'Bus error' if worker.exitcode in (-signal.SIGBUS, _NO_SHARED_MEMORY) else \
                f'exit {worker.exitcode}'
            return f'DataLoader worker (pid {worker.pid}) was ended: {how}'
    return ''


def _end_workers(iterator: Any) -> None:
    """End the loader's processes; one that still works after seconds is killed.

    They ignore SIGTERM, see ``_start_worker``, which is all that torch would send, and it would
    then wait for them for ever.
    """
    with contextlib.suppress(RuntimeError):  # about a worker that died
        getattr(iterator, '_shutdown_workers', lambda: None)()
    for worker in getattr(iterator, '_workers', ()):
        worker.kill()


def describe_loader_failure(error: RuntimeError) -> str:
    """Return a sentence about loader processes that died; empty for any other error."""
    text = str(error)
    if 'shared memory' in text or 'Bus error' in text or (
            'unable to write to file' in text and '/torch_' in text) or \
            f'exit code {_NO_SHARED_MEMORY}' in text:  # torch may notice the exit first
        return ('The loader processes have run out of shared memory in /dev/shm; give the '
                'container more (docker run --shm-size=2g), or --set workers=0 for no loader '
                'processes, or a smaller batch_size.')
    if text.startswith('DataLoader worker'):
        return (f'A loader process died ({text.partition(".")[0]}); the system may have been out '
                'of memory: lower workers, cache_mib or batch_size.')
    return ''


def _collate(made: Sequence[tuple[TrainingItem, Origin]]) -> Batch:
    items, origins = zip(*made)
    known = next((origin.labelled for origin in origins if origin.labelled is not None), None)
    labelled = None if known is None else torch.from_numpy(np.stack(
        [np.ones_like(known) if o.labelled is None else o.labelled for o in origins]))
    return Batch(
        torch.stack([torch.from_numpy(item.image).permute(2, 0, 1) for item in items]),
        [Target(torch.from_numpy(item.xyxy), torch.from_numpy(item.labels)) for item in items],
        labelled, [origin.name for origin in origins],
        [reason for origin in origins for reason in origin.skipped])


def _hand_over_failed(error: BaseException, batch: object) -> None:
    """End a loader process whose batch could not be handed over.

    Left alone, multiprocessing prints the error and drops the batch, for which the trainer would
    wait for ever.
    """
    os._exit(_NO_SHARED_MEMORY if isinstance(error, (OSError, RuntimeError)) else 1)


def _start_worker(worker: int) -> None:
    Queue._on_queue_feeder_error = staticmethod(_hand_over_failed)  # type: ignore[attr-defined]
    # Workers are the parallelism; OpenCV's own threads would only fight with them.
    cv2.setNumThreads(0)
    torch.set_num_threads(1)
    # Ctrl-C reaches the whole process group; the trainer decides when its loader ends.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
