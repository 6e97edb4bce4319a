"""The training loop on a tiny network: it learns, resumes bit for bit, and fails in a sentence."""

import json

import cv2
import numpy as np
import pytest
import torch

from ssd_perception.core.metadata import Architecture
from ssd_perception.data.voc import read_voc
from ssd_perception.model.weights import load_model
from ssd_perception.training.checkpoints import CheckpointError
from ssd_perception.training.recipe import Recipe, RecipeError, load_recipe
from ssd_perception.training.trainer import Trainer, TrainingFailed, parameter_groups

TINY = Recipe(iterations=6, class_names=('cone',), init='random', batch_size=2, workers=0,
              architecture=Architecture(backbone='efficientnet_lite0', input_hw=(64, 64),
                                        pyramid_channels=8, head_depth=1),
              warmup=2, checkpoint_every=3, evaluate_every=6, drop_path=0.2)


@pytest.fixture(scope='module')
def samples(tmp_path_factory):
    """Six noisy pictures with one orange square each."""
    root = tmp_path_factory.mktemp('voc')
    for folder in ('JPEGImages', 'Annotations', 'ImageSets/Main'):
        (root / folder).mkdir(parents=True)
    rng = np.random.default_rng(0)
    for i in range(6):
        image = rng.integers(0, 120, (80, 80, 3)).astype(np.uint8)
        x, y = rng.integers(5, 40, 2)
        image[y:y + 30, x:x + 30] = (0, 120, 255)
        cv2.imwrite(str(root / f'JPEGImages/{i}.png'), image)
        (root / f'Annotations/{i}.xml').write_text(
            f'<annotation><object><name>cone</name><bndbox><xmin>{x}</xmin><ymin>{y}</ymin>'
            f'<xmax>{x + 30}</xmax><ymax>{y + 30}</ymax></bndbox></object></annotation>')
    (root / 'ImageSets/Main/train.txt').write_text('\n'.join(map(str, range(6))))
    return read_voc(root, 'train')


def weights_of(trainer):
    return {k: v.clone() for k, v in trainer.model.state_dict().items()}


def test_a_resumed_run_ends_in_the_same_weights_bit_for_bit(samples, tmp_path, monkeypatch):
    whole = Trainer(TINY, samples, {}, tmp_path / 'whole')
    whole.run(progress=False)

    first = Trainer(TINY, samples, {}, tmp_path / 'parts')
    step = first._step

    def stop_after_three(*batch):
        shown = step(*batch)
        first._stop = first.iteration == 3
        return shown
    monkeypatch.setattr(first, '_step', stop_after_three)
    with pytest.raises(KeyboardInterrupt):
        first.run(progress=False)
    torch.manual_seed(99)  # what another process would have done
    second = Trainer(TINY, samples, {}, tmp_path / 'parts')
    second.resume()
    assert second.iteration == 3
    second.run(progress=False)

    expected, got = weights_of(whole), weights_of(second)
    assert all(torch.equal(expected[key], got[key]) for key in expected)
    assert (tmp_path / 'whole/last.safetensors').read_bytes() == \
        (tmp_path / 'parts/last.safetensors').read_bytes()


def test_pictures_do_not_depend_on_the_number_of_workers(samples, tmp_path):
    import dataclasses
    alone = Trainer(TINY, samples, {}, tmp_path / 'a')
    alone.run(progress=False)
    helped = Trainer(dataclasses.replace(TINY, workers=2), samples, {}, tmp_path / 'b')
    helped.run(progress=False)
    expected, got = weights_of(alone), weights_of(helped)
    assert all(torch.equal(expected[key], got[key]) for key in expected)


def test_the_run_leaves_weights_log_and_checkpoint(samples, tmp_path):
    trainer = Trainer(TINY, samples, {'tiny': samples}, tmp_path)
    trainer.run(progress=False)
    model, metadata = load_model(tmp_path / 'best.safetensors')
    assert metadata.class_names == ('cone',) and metadata.recipe['iterations'] == 6
    rows = [json.loads(line) for line in (tmp_path / 'log.jsonl').read_text().splitlines()]
    assert len([r for r in rows if 'cls' in r]) == 6 and 'validation' in rows[-1]
    assert not list(tmp_path.glob('*.partial'))
    torch.load(tmp_path / 'checkpoint.pt', weights_only=True)


def test_a_checkpoint_of_another_recipe_is_refused(samples, tmp_path):
    import dataclasses
    Trainer(TINY, samples, {}, tmp_path).run(progress=False)
    other = Trainer(dataclasses.replace(TINY, learning_rate=0.5), samples, {}, tmp_path)
    with pytest.raises(CheckpointError, match='another recipe'):
        other.resume()
    (tmp_path / 'checkpoint.pt').write_bytes(b'torn')
    with pytest.raises(CheckpointError, match='not a readable checkpoint'):
        other.resume()


def test_a_loss_that_is_not_finite_stops_and_names_the_pictures(samples, tmp_path):
    trainer = Trainer(TINY, samples, {}, tmp_path)
    with torch.no_grad():
        trainer.model.class_head.predict[1].bias.fill_(float('nan'))
    with pytest.raises(TrainingFailed, match='iteration 0'):
        trainer.run(progress=False)
    assert json.loads((tmp_path / 'bad_batch.json').read_text())['pictures']


def test_norms_and_biases_are_not_decayed(samples, tmp_path):
    model = Trainer(TINY, samples, {}, tmp_path).model
    groups = parameter_groups(model, TINY)
    for group in groups:
        for parameter in group['params']:
            assert (group['weight_decay'] > 0) == (parameter.ndim > 1)
    assert sum(len(g['params']) for g in groups) == len(list(model.parameters()))


@pytest.mark.parametrize('text, message', [
    ('', 'must hold'), ('iterations: 5\nlerning_rate: 1', 'Did you mean "learning_rate"'),
    ('iterations: many', 'iterations'), ('iterations: 0', '"iterations" must be'),
    ('iterations: 5\narchitecture: {input_hw: [333, 333]}', 'input_hw'), ('a: [', 'YAML'),
    ('{}', 'iterations')])
def test_a_wrong_recipe_is_one_sentence(tmp_path, text, message):
    path = tmp_path / 'r.yaml'
    path.write_text(text)
    with pytest.raises(RecipeError, match=message) as error:
        load_recipe(path)
    assert str(path) in str(error.value)


def test_shipped_recipes_load_and_take_overrides():
    from pathlib import Path
    path = Path(__file__).resolve().parents[2] / 'config' / 'train' / 'rover.yaml'
    recipe = load_recipe(path, ('iterations=7', 'augmentation.mosaic=0.0'))
    assert recipe.iterations == 7 and recipe.augmentation.mosaic == 0
    assert recipe.class_names == ('cone', 'cube')
