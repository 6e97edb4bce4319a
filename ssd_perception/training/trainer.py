"""The training loop: rate, batch, loss, step, average, checkpoint; readable top to bottom."""

from __future__ import annotations

import json
import math
import signal
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import nn
from tqdm import tqdm

from ssd_perception.core.anchors import make_anchors
from ssd_perception.core.metadata import Metadata, recipe_hash
from ssd_perception.data.voc import Sample
from ssd_perception.evaluation.evaluate import evaluate
from ssd_perception.inference.detector import Detector
from ssd_perception.inference.runtimes.torch import TorchRuntime
from ssd_perception.model.initialise import initialise_backbone
from ssd_perception.model.ssd import SSD
from ssd_perception.model.weights import save_weights
from ssd_perception.training.checkpoints import load_checkpoint, save_checkpoint
from ssd_perception.training.ema import ModelEma
from ssd_perception.training.losses import DetectionLoss, Target
from ssd_perception.training.pictures import TrainingPictures, batches
from ssd_perception.training.recipe import Recipe
from ssd_perception.training.schedule import ThreePhase


class TrainingFailed(RuntimeError):
    """Training cannot go on; the message says why and where the evidence lies."""


class Trainer:
    """One run in one folder: ``checkpoint.pt``, ``log.jsonl``, ``best`` and ``last`` weights.

    Args:
        recipe: what to do.
        samples: pictures to train on.
        validation: name -> pictures; the first one chooses the best weights.
        out: the run's folder.
        device: torch device.
    """

    def __init__(self, recipe: Recipe, samples: Sequence[Sample],
                 validation: dict[str, Sequence[Sample]], out: Path, device: str = 'cpu'):
        torch.manual_seed(recipe.seed)
        self.recipe, self.out, self.device = recipe, out, torch.device(device)
        self._validation = validation
        a = recipe.architecture
        plain = recipe.as_dict()
        # The data belong to what a run is: a resume with other pictures is another run.
        self._hash = recipe_hash({'recipe': plain, 'pictures': [s.path.name for s in samples]})
        self.metadata = Metadata(recipe.class_names, a, recipe.preprocessing, recipe=plain,
                                 recipe_hash=recipe_hash(plain))
        self.model = SSD(a, len(recipe.class_names), recipe.drop_path)
        initialise_backbone(self.model.backbone, a.backbone, recipe.init)
        self.model.to(self.device, memory_format=torch.channels_last)
        for stage in self.model.backbone.stages[:recipe.frozen_stages]:
            stage.requires_grad_(False)
        self._ema = ModelEma(self.model, recipe.ema_decay, recipe.ema_ramp)
        self._optimizer = torch.optim.SGD(
            parameter_groups(self.model, recipe), lr=recipe.learning_rate,
            momentum=recipe.momentum, nesterov=recipe.nesterov)
        self._schedule = ThreePhase(recipe.iterations, recipe.warmup, recipe.plateau,
                                    recipe.floor)
        anchors = torch.from_numpy(make_anchors(a.anchors, a.input_hw, a.strides))
        loss = recipe.loss
        self._loss = DetectionLoss(anchors.to(self.device), a.box_coder, loss.alpha, loss.gamma,
                                   loss.box_weight, loss.foreground_iou, loss.background_iou)
        p = recipe.preprocessing
        self._mean = torch.tensor(p.mean, device=self.device).view(1, 3, 1, 1)
        self._std = torch.tensor(p.std, device=self.device).view(1, 3, 1, 1)
        self._pictures = TrainingPictures(samples, recipe.class_names, recipe)
        self.iteration, self.best = 0, -1.0
        self._stop = False

    @property
    def checkpoint(self) -> Path:
        """Where the run can be continued from."""
        return self.out / 'checkpoint.pt'

    def resume(self) -> None:
        """Continue from the checkpoint; the rest of the run is what it would have been.

        Raises:
            CheckpointError: when it is of another recipe, other data, or broken.
        """
        state = load_checkpoint(self.checkpoint, self._hash)
        self.model.load_state_dict(state['model'])
        self._ema.model.load_state_dict(state['ema'])
        self._ema.updates = state['ema_updates']
        self._optimizer.load_state_dict(state['optimizer'])
        torch.set_rng_state(state['rng'])
        self.iteration, self.best = state['iteration'], state['best']

    def run(self, progress: bool = True) -> Metadata:
        """Train to the end, or to SIGINT or SIGTERM; return the last weights' metadata.

        Raises:
            TrainingFailed: when the loss is not finite; the batch's files are named.
            KeyboardInterrupt: after a signal, the checkpoint being written.
        """
        self.out.mkdir(parents=True, exist_ok=True)
        previous = {s: signal.signal(s, self._on_signal) for s in (signal.SIGINT, signal.SIGTERM)}
        bar = tqdm(total=self.recipe.iterations, initial=self.iteration, desc='train', unit='it',
                   disable=not progress)
        try:
            for images, targets, names in batches(self._pictures, self.recipe, self.iteration,
                                                  self.device):
                bar.set_postfix(self._step(images, targets, names), refresh=False)
                bar.update()
                last = self.iteration == self.recipe.iterations
                if last or self.iteration % self.recipe.evaluate_every == 0:
                    self._evaluate(bar)
                if last or self._stop or self.iteration % self.recipe.checkpoint_every == 0:
                    self._save()
                if self._stop:
                    raise KeyboardInterrupt
        finally:
            bar.close()
            for number, handler in previous.items():
                signal.signal(number, handler)
        return self.metadata

    def _step(self, images: torch.Tensor, targets: list[Target],
              names: list[str]) -> dict[str, str]:
        """One iteration; returns what the progress bar shows."""
        recipe = self.recipe
        factor = self._schedule(self.iteration)
        for group in self._optimizer.param_groups:
            group['lr'] = factor * group['full_rate']
        self._train_mode()
        images = images.to(self.device, memory_format=torch.channels_last)
        inputs = (images.float() - self._mean) / self._std
        targets = [Target(t.boxes.to(self.device), t.labels.to(self.device)) for t in targets]
        with torch.autocast(self.device.type, torch.bfloat16,
                            enabled=recipe.precision == 'bf16'):
            logits, deltas = self.model(inputs)
        parts = self._loss(logits, deltas, targets)
        if not math.isfinite(parts.total.item()):
            evidence = self.out / 'bad_batch.json'
            evidence.write_text(json.dumps({'iteration': self.iteration, 'pictures': names}))
            raise TrainingFailed(
                f"The loss is {parts.total.item()} at iteration {self.iteration}; the batch's "
                f'files are listed in {evidence}. Lower the learning rate or check them.')
        self._optimizer.zero_grad(set_to_none=True)
        parts.total.backward()
        if recipe.gradient_clip:
            nn.utils.clip_grad_norm_(self.model.parameters(), recipe.gradient_clip)
        self._optimizer.step()
        self._ema.update(self.model)
        self.iteration += 1
        shown = {'cls': f'{parts.classes.item():.3f}', 'box': f'{parts.boxes.item():.3f}',
                 'lr': f'{factor * recipe.learning_rate:.2e}'}
        self._log({'iteration': self.iteration, 'positives': int(parts.positives),
                   **{key: float(value) for key, value in shown.items()}})
        return shown

    def _train_mode(self) -> None:
        self.model.train()
        backbone = self.model.backbone
        frozen = [backbone] if self.recipe.freeze_backbone_norms else \
            backbone.stages[:self.recipe.frozen_stages]
        # Statistics of a batch of eight are noisier than ImageNet's; drop-path stays on.
        for part in frozen:
            for module in part.modules():
                if isinstance(module, nn.BatchNorm2d):
                    module.eval()

    def _evaluate(self, bar: tqdm) -> None:
        """Measure the averaged weights with the very Detector that will fly."""
        detector = Detector(TorchRuntime(self._ema.model, self.metadata, self.device.type,
                                         'fp32'))
        figures = {name: evaluate(detector, samples)
                   for name, samples in self._validation.items()}
        self._log({'iteration': self.iteration, 'validation': figures})
        for name, figure in figures.items():
            bar.write(f'iteration {self.iteration} {name}: VOC10 AP50 '
                      f'{_shown(figure["voc10_ap50"])}, COCO AP {_shown(figure["coco_ap"])}')
        if figures:
            score = next(iter(figures.values()))['coco_ap'] or 0.0
            if score > self.best:
                self.best = score
                save_weights(self.out / 'best.safetensors', self._ema.model, self.metadata)

    def _save(self) -> None:
        save_weights(self.out / 'last.safetensors', self._ema.model, self.metadata)
        save_checkpoint(self.checkpoint, {
            'recipe_hash': self._hash, 'iteration': self.iteration, 'best': self.best,
            'model': self.model.state_dict(), 'ema': self._ema.model.state_dict(),
            'ema_updates': self._ema.updates, 'optimizer': self._optimizer.state_dict(),
            'rng': torch.get_rng_state()})

    def _log(self, row: dict) -> None:
        with open(self.out / 'log.jsonl', 'a') as file:
            file.write(json.dumps(row) + '\n')

    def _on_signal(self, number, frame) -> None:
        self._stop = True  # the step in progress ends, then the checkpoint is written


def parameter_groups(model: SSD, recipe: Recipe) -> list[dict]:
    """Split the trained parameters: backbone or not, decayed or not.

    Norms and biases are not decayed (Goyal et al. 2017, section 5.3 and mmdetection's
    EfficientNet recipe); each group carries its ``full_rate``.
    """
    groups: dict[tuple[bool, bool], list[nn.Parameter]] = {}
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            key = name.startswith('backbone.'), parameter.ndim > 1
            groups.setdefault(key, []).append(parameter)
    return [{'params': parameters,
             'weight_decay': recipe.weight_decay if decayed else 0.0,
             'full_rate': recipe.learning_rate * (recipe.backbone_rate if backbone else 1.0)}
            for (backbone, decayed), parameters in groups.items()]


def _shown(value: float | None) -> str:
    return 'n/a' if value is None or np.isnan(value) else f'{value:.4f}'
