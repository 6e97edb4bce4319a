"""The whole recipe can learn: sixteen photographs are known by heart, without augmentation."""

import dataclasses
from pathlib import Path

import pytest

from ssd_perception.core.metadata import Architecture
from ssd_perception.data.voc import read_voc
from ssd_perception.evaluation.accuracy import evaluate
from ssd_perception.inference.detector import Detector
from ssd_perception.training.recipe import AugmentationRecipe, load_recipe
from ssd_perception.training.trainer import Trainer

ROOT = Path(__file__).resolve().parents[2]
PHOTOGRAPHS = ROOT.parent / 'shared' / 'datasets' / 'cone_cube'
NONE = AugmentationRecipe(mosaic=0.0, aspect=1.0, flip=0.0, zoom_out=0.0, crop=0.0,
                          photometric=0.0, camera=0.0)


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize('backbone, norms_frozen, iterations', [
    ('efficientnet_lite1', True, 120), ('efficientnet_b1', False, 160)])
def test_sixteen_photographs_are_learned_by_heart(tmp_path, backbone, norms_frozen, iterations):
    if not PHOTOGRAPHS.is_dir():
        pytest.skip('no data: cone_cube is not here')
    samples = read_voc(PHOTOGRAPHS, 'train')[::27][:16]
    assert len(samples) == 16
    recipe = dataclasses.replace(
        load_recipe(ROOT / 'config/train/rover.yaml'), iterations=iterations, init='lite',
        architecture=Architecture(backbone, (320, 320)), augmentation=NONE, workers=0,
        freeze_backbone_norms=norms_frozen, warmup=20, ema_decay=0.9, evaluate_every=10 ** 6)
    trainer = Trainer(recipe, samples, {}, tmp_path)
    trainer.run(progress=False)
    figures = evaluate(Detector.from_weights(trainer.folder.last, device='cpu'), samples)
    print(backbone, figures.voc10_ap50, figures.coco_ap)
    assert figures.voc10_ap50 >= 0.99
