"""The training loop: learning rate, batch, loss, step, weight average, checkpoint."""

from __future__ import annotations

import contextlib
import copy
import itertools
import json
import math
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import cast

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.parallel import DistributedDataParallel
from tqdm import tqdm

from ssd_perception.core.atomic_write import atomic_write
from ssd_perception.core.errors import UserError
from ssd_perception.core.format import format_number, to_json
from ssd_perception.core.memory import keep_freed_memory
from ssd_perception.core.metadata import Metadata, recipe_hash
from ssd_perception.core.text import one_line
from ssd_perception.data.sample import Sample, labels
from ssd_perception.evaluation.accuracy import accuracy, measure
from ssd_perception.inference.detector import Detector
from ssd_perception.inference.resolve import resolve_weights
from ssd_perception.inference.runtimes.torch import TorchRuntime
from ssd_perception.inference.weights_file import read_metadata
from ssd_perception.model.initialise import INITS, initialise
from ssd_perception.model.ssd import SSD
from ssd_perception.training.checkpoints import CheckpointError, checkpoint_bytes, read_checkpoint
from ssd_perception.training.dataset import (
    Batch,
    TrainingImages,
    batches,
    describe_loader_failure,
    random_stream,
)
from ssd_perception.training.distributed import World, local_device
from ssd_perception.training.inputs import NetworkInputs
from ssd_perception.training.losses import count_positives
from ssd_perception.training.recipe import Recipe, RecipeError
from ssd_perception.training.run_folder import RunFolder
from ssd_perception.training.schedule import ModelEma, make_optimizer, schedule_of

_DTYPES = {'fp32': torch.float32, 'bf16': torch.bfloat16, 'fp16': torch.float16}


class TrainingFailed(UserError, RuntimeError):
    """Training cannot continue; the message gives the reason and the file with the evidence."""


class Trainer:
    """One run in one folder; see ``RunFolder`` for what lies there.

    Under torchrun every process makes one; together they compute what one alone would.

    Args:
        recipe: what to do.
        samples: images to train on.
        validation: name -> images; the first one chooses the best weights, without any the last
            ones are kept.
        out: the run's folder.
        device: ``cpu`` or ``cuda``.

    Attributes:
        precision: arithmetic of the network really used: fp32, bf16 or fp16.
        images: what is trained on, augmented.
        skipped: sentences about images that could not be read.
        validation: as given, without the images that could not be read when they were measured.
        world: the processes that train together.
    """

    def __init__(self, recipe: Recipe, samples: Sequence[Sample],
                 validation: dict[str, Sequence[Sample]], out: Path, device: str = 'cpu'):
        # A step frees and allocates the same hundreds of MB: 27 000 pages, a fifth of its time.
        keep_freed_memory(block=1 << 30, unused=2 ** 31 - 1)
        self.recipe, self.device = recipe, local_device(device)
        self.world = World.from_environment(self.device)
        if recipe.batch_size % (self.world.size * recipe.accumulate):
            raise RecipeError(f'"batch_size" {recipe.batch_size} must be a multiple of processes '
                              f'x accumulate = {self.world.size} x {recipe.accumulate}.')
        self.folder = RunFolder(out, self._log)
        self.validation = dict(validation)
        for sample in itertools.chain(*validation.values()):
            labels(sample, recipe.class_names)  # an unknown class is refused before the training
        a = recipe.architecture
        plain = recipe.as_dict()
        # The data belong to what a run is: a resume with other images is another run.
        self._hash = recipe_hash({'recipe': plain, 'pictures': [s.path.name for s in samples]})
        self.metadata = Metadata(recipe.class_names, a, recipe.preprocessing, recipe=plain,
                                 recipe_hash=recipe_hash(plain))
        torch.manual_seed(recipe.seed)
        self.model = SSD(a, len(recipe.class_names), recipe.drop_path)
        named = recipe.init not in INITS and Path(recipe.init).suffix in ('', '.safetensors')
        initialise(self.model, str(resolve_weights(recipe.init)) if named else recipe.init,
                   recipe.class_names, recipe.init_backbone)
        self.model.to(self.device).to(memory_format=torch.channels_last)
        self._start = start_of(self.model, recipe)
        for stage in self.model.backbone.stages[:recipe.frozen_stages]:
            stage.requires_grad_(False)
        self._ema = ModelEma(self.model, recipe.ema_decay, recipe.ema_ramp)
        self._optimizer = make_optimizer(self.model, recipe)
        self._network = self.world.wrap(self.model, self.device)
        self.precision = choose_precision(recipe.precision, self.device)
        self._scaler = torch.amp.GradScaler(self.device.type, enabled=self.precision == 'fp16')
        self._schedule = schedule_of(recipe)
        self._inputs = NetworkInputs(recipe, self.device)
        self.images = TrainingImages(samples, recipe.class_names, recipe)
        self.iteration, self.best = 0, -1.0
        self.skipped: set[str] = set()
        self._bar: tqdm | None = None
        self._signalled = False

    def resume(self) -> bool:
        """Continue from the checkpoint, if there is one; return whether there was.

        The rest of the run is what it would have been, bit for bit on the CPU: all that is
        random in a step follows from the seed, the iteration and the process.

        Raises:
            CheckpointError: when it is of another recipe, other data, or broken.
        """
        path = self.folder.checkpoint
        here = self.world.main and path.is_file()
        data = self.world.share(checkpoint_bytes(path) if here else b'')
        if not data:
            return False
        state = read_checkpoint(data, str(path), self._hash)
        try:
            self.model.load_state_dict(state['model'])
            self._ema.model.load_state_dict(state['ema'])
            self._ema.updates = state['ema_updates']
            self._optimizer.load_state_dict(state['optimizer'])
            self._scaler.load_state_dict(state['scaler'])
            self.iteration, self.best = int(state['iteration']), float(state['best'])
        except (KeyError, TypeError, ValueError, RuntimeError, AttributeError) as error:
            raise CheckpointError(f'{path} is not a checkpoint of this package: '
                                  f'{one_line(error, 200)}') from error
        return True

    def run(self, progress: bool = True) -> Metadata:
        """Train to the end, or to SIGINT or SIGTERM; return the last weights' metadata.

        Raises:
            TrainingFailed: when the loss is not finite (the batch's files are named), when a
                loader process died, or when the last results could not be written.
            KeyboardInterrupt: after a signal, the checkpoint being written.
        """
        recipe, main = self.recipe, self.world.main
        if main:
            self.folder.open(recipe, self.iteration)
            if self._schedule.warmup < recipe.warmup:
                self._log(f'The warm-up is shortened from {recipe.warmup} to '
                          f'{self._schedule.warmup} steps, a fifth of this run.')
        previous = {s: signal.signal(s, self._on_signal) for s in (signal.SIGINT, signal.SIGTERM)}
        self._bar = tqdm(total=recipe.iterations, initial=self.iteration, desc='train',
                         unit='it', disable=not (progress and main))
        stream = batches(self.images, recipe, self.iteration, self.device, self.world)
        try:
            for parts in stream:
                self.step(parts)
                if self._after_step():
                    break
        except RuntimeError as error:
            sentence = describe_loader_failure(error)
            if not sentence:
                raise
            raise TrainingFailed(f'{sentence} --resume goes on from the last '
                                 'checkpoint.') from error
        finally:
            self._bar.close()
            self.folder.close()
            for number, handler in previous.items():
                signal.signal(number, handler)
            stream.close()
        return self.metadata

    def _after_step(self) -> bool:
        """Measure and save where it is time to; return whether the run ends here."""
        recipe, main = self.recipe, self.world.main
        last = self.iteration == recipe.iterations
        if main and (last or self.iteration % recipe.evaluate_every == 0):
            self._evaluate()
        # The processes agree here: a signal may have reached only some of them.
        interrupted = self.world.sum(torch.tensor(
            self._signalled, dtype=torch.int64, device=self.device)).item()
        stop = bool(last or interrupted)
        if main and (stop or self.iteration % recipe.checkpoint_every == 0):
            saved = self._save()
            if stop and not saved:
                kept = ('the last checkpoint is complete. Make room and continue with --resume.'
                        if self.folder.checkpoint.exists() else
                        'there is no earlier checkpoint. Make room and start again.')
                raise TrainingFailed(f'The results of iteration {self.iteration} could not be '
                                     f'written in {self.folder.path}; {kept}')
        if interrupted and not last:
            raise KeyboardInterrupt
        return stop

    def step(self, parts: Sequence[Batch]) -> None:
        """One iteration: the gradient of all parts of all processes, then one SGD step."""
        recipe = self.recipe
        # Drop-path depends on nothing else, so a resumed run needs no generator's state.
        torch.manual_seed(int(random_stream(recipe.seed, 2, self.iteration, self.world.rank)
                              .integers(2 ** 62)))
        factor = self._schedule(self.iteration)
        for group in self._optimizer.param_groups:
            group['lr'] = factor * group['full_rate']
        self._train_mode()
        self._optimizer.zero_grad(set_to_none=True)
        losses = self.gradient(parts)
        self._scaler.unscale_(self._optimizer)
        if recipe.gradient_clip:
            nn.utils.clip_grad_norm_(self.model.parameters(), recipe.gradient_clip)
        self._scaler.step(self._optimizer)
        self._scaler.update()
        self.iteration += 1
        if self.world.main:
            self._ema.update(self.model)
            self._log_step(losses, factor * recipe.learning_rate, parts)

    def gradient(self, parts: Sequence[Batch]) -> dict[str, float]:
        """Add up the gradient of the whole step; return its loss parts, for people."""
        size = self._inputs.size(self.iteration)
        loss = self._inputs.loss(size)
        placed = [self._inputs.place(part, size) for part in parts]
        matches = [loss.assign(targets) for _, targets in placed]
        known = [count_positives(m) for m in matches if m is not None]
        positives = self.world.sum(torch.stack(known).sum()) if known else None
        # Without, each part is divided by its own; then the parts count alike.
        weight = 1.0 if known else 1 / len(placed)
        sums = torch.zeros(3, device=self.device)
        for index, (inputs, targets) in enumerate(placed):
            with contextlib.ExitStack() as stack:
                if self.world.size > 1 and index + 1 < len(placed):
                    stack.enter_context(cast(DistributedDataParallel, self._network).no_sync())
                with torch.autocast(self.device.type, _DTYPES[self.precision],
                                    enabled=self.precision != 'fp32'):
                    logits, deltas = self._network(inputs)
                labelled = parts[index].labelled
                result = loss(logits, deltas, targets, matches[index], positives,
                              None if labelled is None else labelled.to(self.device),
                              self.world.sum)
                if not math.isfinite(result.total.item()):
                    self._give_up(result.total.item(), parts[index])
                # The processes' gradients are averaged; their losses are shares of one sum.
                self._scaler.scale(result.total * self.world.size * weight).backward()
            sums += torch.stack([result.classes * weight, result.boxes * weight,
                                 result.positives.to(sums)])
        classes, boxes, positives = self.world.sum(sums).tolist()
        return {'classes': classes, 'boxes': boxes, 'positives': int(positives)}

    def _train_mode(self) -> None:
        self.model.train()
        backbone = self.model.backbone
        frozen = [backbone] if self.recipe.freeze_backbone_norms else \
            backbone.stages[:self.recipe.frozen_stages]
        # Statistics of a batch of eight are noisier than ImageNet's; drop-path stays on.
        for part in frozen:
            for module in part.modules():
                if isinstance(module, _BatchNorm):
                    module.eval()

    def _give_up(self, loss: float, batch: Batch) -> None:
        evidence = self.folder.path / 'bad_batch.json'
        atomic_write(evidence, json.dumps(
            {'iteration': self.iteration, 'images': batch.names}).encode())
        raise TrainingFailed(
            f"The loss is {loss} at iteration {self.iteration}; the batch's files are listed in "
            f'{evidence}. Lower the learning rate or check them.')

    def _log_step(self, losses: dict[str, float], rate: float, parts: Sequence[Batch]) -> None:
        if self._bar is not None:
            self._bar.set_postfix(cls=f'{losses["classes"]:.3f}', lr=f'{rate:.2e}',
                                  box=f'{losses["boxes"]:.3f}', refresh=False)
            self._bar.update()
        self.folder.log({'iteration': self.iteration, **losses, 'learning_rate': rate}, 'train/')
        for reason in {r for part in parts for r in part.skipped} - self.skipped:
            self.skipped.add(reason)
            self._log(f'{reason} Another image takes its place.')

    def _evaluate(self) -> None:
        """Measure the averaged weights with the Detector that runs on the robot."""
        result = self.result()
        detector = Detector.from_runtime(TorchRuntime(result, self.metadata, self.device.type,
                                                      'fp32'))
        figures = {}
        for name, samples in self.validation.items():
            measured = measure(detector, samples, skip_unreadable=True)
            self.validation[name] = measured.samples  # the others are named once
            figures[name] = accuracy(measured.detections, measured.truths,
                                     detector.class_names)
        self.folder.log({'iteration': self.iteration, 'validation': to_json(figures)})
        for name, figure in figures.items():
            self._log(f'iteration {self.iteration} {name}: VOC10 AP50 '
                      f'{_shown(figure.voc10_ap50)}, COCO AP {_shown(figure.coco_ap)}')
        if not figures:
            self.folder.save_weights(self.folder.best, result, self.metadata)
        else:
            score = next(iter(figures.values())).coco_ap
            score = 0.0 if math.isnan(score) else score
            if score > self.best:
                self.best = score
                self.folder.save_weights(self.folder.best, result, self.metadata)
        self.folder.draw_curves()

    def result(self) -> SSD:
        """Return the averaged weights, with the share of the start that the recipe wants."""
        if self._start is None:
            return self._ema.model
        result = copy.deepcopy(self._ema.model)
        for mine, start in zip(result.state_dict().values(), self._start):
            if mine.is_floating_point():
                mine.lerp_(start, self.recipe.start_share)
        return result

    def _save(self) -> bool:
        """Write what the run has reached; return whether all of it could be written."""
        weights = self.folder.save_weights(self.folder.last, self.result(), self.metadata)
        return weights and self.folder.save_checkpoint({
            'recipe_hash': self._hash, 'iteration': self.iteration, 'best': self.best,
            'model': self.model.state_dict(), 'ema': self._ema.model.state_dict(),
            'ema_updates': self._ema.updates,
            'optimizer': self._optimizer.state_dict(), 'scaler': self._scaler.state_dict()})

    def _log(self, sentence: str) -> None:
        if self.world.main:
            tqdm.write(sentence, file=sys.stderr)

    def _on_signal(self, number: int, frame: object) -> None:
        self._signalled = True  # the step in progress ends, then the checkpoint is written


def start_of(model: SSD, recipe: Recipe) -> list[torch.Tensor] | None:
    """Return a copy of the weights that a training begins with, where they are needed later.

    Fine-tuned weights and those they began with lie in one valley of the loss, and their mean
    keeps what the start knew of other data (Wortsman et al. 2022, "Robust fine-tuning of
    zero-shot models").

    Raises:
        RecipeError: where the start is no detector of the same classes and anchors.
    """
    if not recipe.start_share:
        return None
    start = None if recipe.init in INITS else read_metadata(resolve_weights(recipe.init))
    if start is None or start.class_names != recipe.class_names \
            or getattr(start.architecture, 'anchors', None) != recipe.architecture.anchors:
        raise RecipeError(f'"start_share" {recipe.start_share:g} needs an "init" that is a '
                          'detector of the same classes, in the same order, and with the same '
                          'anchors; use 0.')
    return [tensor.detach().clone() for tensor in model.state_dict().values()]


def choose_precision(precision: str, device: torch.device) -> str:
    """Return what ``auto`` means on ``device``: half precision where it is fast.

    Raises:
        RecipeError: for bf16 on a CPU, where the loss became NaN in about half of a few short
            runs (torch 2.14, AVX512_BF16, cause unknown); it was slower than fp32 there, too.
    """
    if precision == 'bf16' and device.type == 'cpu':
        raise RecipeError('"precision" bf16 needs a GPU: on a CPU it is slower than fp32 and '
                          'gives NaN now and then; use auto or fp32.')
    if precision != 'auto':
        return precision
    if device.type != 'cuda':
        return 'fp32'
    return 'bf16' if torch.cuda.is_bf16_supported() else 'fp16'


def _shown(value: float) -> str:
    return format_number(value, digits=4, missing='n/a')
