"""The training set as torch sees it: augmented pictures that depend on seed and index only."""

from __future__ import annotations

import signal
from collections.abc import Iterator, Sequence

import cv2
import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset

from ssd_perception.data.augment import Augmentation
from ssd_perception.data.mosaic import Labelled, keep_visible, mosaic
from ssd_perception.data.pictures import PictureCache
from ssd_perception.data.voc import Sample, labels
from ssd_perception.inference.preprocess import place
from ssd_perception.training.losses import Target
from ssd_perception.training.recipe import Recipe


def random_stream(seed: int, *position: int) -> np.random.Generator:
    """Return a generator that depends on nothing but its arguments."""
    return np.random.default_rng([seed, *position])


class TrainingPictures(Dataset):
    """Maps a place in the run to an augmented picture at the network's input size.

    The index counts all pictures of the whole run, so picture ``i`` is the same whoever
    loads it, with any number of workers, before or after a resume.
    """

    def __init__(self, samples: Sequence[Sample], class_names: tuple[str, ...], recipe: Recipe):
        self._samples = list(samples)
        self._labels = [labels(sample, class_names) for sample in samples]
        self._recipe = recipe
        a = recipe.augmentation
        self._augmentation = Augmentation(a.aspect, a.zoom_out, a.crop, a.photometric, a.camera,
                                          recipe.preprocessing.padding_value)
        workers = max(1, recipe.workers)
        # A fifth more than the input leaves the crops something to cut from.
        self._cache = PictureCache(round(1.25 * max(recipe.architecture.input_hw)),
                                   recipe.cache_mib * 2 ** 20 // workers)

    def __len__(self) -> int:
        return self._recipe.iterations * self._recipe.batch_size

    def __getitem__(self, index: int) -> tuple[torch.Tensor, Target, str]:
        """Return uint8 (3, H, W), its Target in input px, and the (first) file's name."""
        recipe, count = self._recipe, len(self._samples)
        rng = random_stream(recipe.seed, 1, index)
        # Every picture comes once per epoch, in an order of that epoch's own.
        order = random_stream(recipe.seed, 0, index // count).permutation(count)
        first = int(order[index % count])
        height, width = recipe.architecture.input_hw
        mosaic_ends = len(self) * (1 - recipe.augmentation.mosaic_off)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(int(rng.integers(2 ** 62)))
            if index < mosaic_ends and rng.random() < recipe.augmentation.mosaic:
                others = rng.integers(count, size=3)
                tiles = [self._augmentation.geometry(self._read(int(i)))
                         for i in (first, *others)]
                tiles = [tiles[i] for i in rng.permutation(4)]
                picture = mosaic(tiles, max(height, width), rng,
                                 padding_value=recipe.preprocessing.padding_value)
            else:
                picture = self._augmentation.geometry(self._read(first))
            canvas = np.empty((height, width, 3), np.uint8)
            placement = place(picture.image, canvas, recipe.preprocessing)
            canvas = self._augmentation.colour(canvas)
        boxes = placement.to_input(picture.xyxy).astype(np.float32).reshape(-1, 4)
        large = keep_visible(boxes, boxes)  # what shrank to nothing cannot be learned
        return (torch.from_numpy(canvas).permute(2, 0, 1),
                Target(torch.from_numpy(boxes[large]), torch.from_numpy(picture.labels[large])),
                str(self._samples[first].path))

    def _read(self, index: int) -> Labelled:
        sample = self._samples[index]
        image, scale_x, scale_y = self._cache.read(sample.path)
        scale = np.array([scale_x, scale_y] * 2, np.float32)
        height, width = image.shape[:2]
        xyxy = np.clip(sample.xyxy * scale, 0, [width, height] * 2).astype(np.float32)
        return Labelled(image, xyxy, self._labels[index])


def batches(pictures: TrainingPictures, recipe: Recipe, start: int,
            device: torch.device) -> Iterator[tuple[torch.Tensor, list[Target], list[str]]]:
    """Yield the batches of iterations ``start`` to the end: uint8 (B, 3, H, W), targets, names."""
    loader = DataLoader(
        pictures, recipe.batch_size, num_workers=recipe.workers, collate_fn=_collate,
        sampler=range(start * recipe.batch_size, len(pictures)),
        pin_memory=device.type == 'cuda', prefetch_factor=4 if recipe.workers else None,
        worker_init_fn=_start_worker,
        # Otherwise the loader draws from the global generator, and a resumed run, which makes
        # a loader once more, would drop other paths than an uninterrupted one.
        generator=torch.Generator())
    yield from loader


def _collate(items):
    images, targets, names = zip(*items)
    return torch.stack(images), list(targets), list(names)


def _start_worker(worker: int) -> None:
    # Workers are the parallelism; OpenCV's own threads would only fight with them.
    cv2.setNumThreads(0)
    torch.set_num_threads(1)
    # Ctrl-C reaches the whole process group; the trainer decides when its loader ends.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
