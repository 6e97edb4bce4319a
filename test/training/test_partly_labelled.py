"""Sets that label only some of the classes: their images say nothing about the others."""

import dataclasses

import pytest
import torch
from small_sets import write_voc
from test_losses import ANCHORS, CELLS
from tiny import TINY, first_step, write_pictures

from ssd_perception.core.anchors import BoxCoder
from ssd_perception.data.layout import read_split
from ssd_perception.data.training_data import read_training_data
from ssd_perception.training.losses import DetectionLoss, Target
from ssd_perception.training.recipe import LossRecipe
from ssd_perception.training.trainer import Trainer


@pytest.mark.parametrize('assignment', ['iou', 'aligned'])
def test_the_loss_leaves_classes_out_that_an_image_does_not_label(assignment):
    torch.manual_seed(0)
    logits = torch.randn(2, 4, 3, requires_grad=True)
    deltas = torch.zeros(2, 4, 4)
    target = Target(torch.tensor([[0.0, 0, 10, 10]]), torch.tensor([1]))
    labelled = torch.tensor([[True, True, True], [False, True, False]])
    loss = DetectionLoss(ANCHORS, BoxCoder(), LossRecipe(assignment=assignment), CELLS)
    loss(logits, deltas, [target, target], labelled=labelled).total.backward()
    gradient = logits.grad[1].abs().sum(0)
    assert gradient[0] == 0 and gradient[2] == 0 and gradient[1] > 0
    assert (logits.grad[0].abs().sum(0) > 0).all()


def test_a_folder_without_some_classes_is_named(tmp_path):
    cones, cubes = (write_voc(tmp_path / name, {'train': {f'{name}{i}': [(name, (20, 10, 70, 60))]
                                                          for i in range(10)}})
                    for name in ('cone', 'cube'))
    (cubes / 'dataset.yaml').write_text('classes: [cube]\n')
    *_, line = read_training_data([cones, cubes]).taken
    assert line.startswith(f'{cones} has no object of cube: ')
    assert f'write "classes: [cone]" into {cones}/dataset.yaml' in line
    (cones / 'dataset.yaml').write_text('classes: [cone]\n')
    assert len(read_training_data([cones, cubes]).taken) == 2


def test_a_folder_limits_the_classes_and_a_mosaic_takes_what_all_its_images_label(tmp_path):
    own, whole = write_pictures(tmp_path / 'own'), write_pictures(tmp_path / 'whole')
    (own / 'dataset.yaml').write_text('classes: [cone]\n')
    recipe = dataclasses.replace(TINY, class_names=('cone', 'cube'), batch_size=12)
    mosaics = dataclasses.replace(recipe.augmentation, mosaic=1.0, mosaic_off=0.0)
    limited, free = (read_split(folder, 'train') for folder in (own, whole))
    for samples, augmentation, rows in (
            (limited, recipe.augmentation, {(True, False)}),
            (free, recipe.augmentation, None),
            (limited + free, mosaics, {(True, False), (True, True)})):
        trainer = Trainer(dataclasses.replace(recipe, augmentation=augmentation), samples, {},
                          tmp_path / 'run')
        batch, = first_step(trainer, samples)
        found = batch.labelled
        assert (found if rows is None else {tuple(row) for row in found.tolist()}) == rows
    # Most mosaics of twelve images hold one that labels cones only.
    assert found[:, 1].sum() < 6
    losses = trainer.gradient([batch])
    assert torch.isfinite(torch.tensor(list(losses.values()))).all()
