"""Several processes give the gradient of one; real torchrun, real Gloo, on the CPU."""

import dataclasses
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from gradient_process import ALONE, frozen
from tiny import TINY, YAML, gradient, write_pictures

from ssd_perception.data.voc import read_voc
from ssd_perception.training.distributed import World
from ssd_perception.training.recipe import RecipeError
from ssd_perception.training.trainer import Trainer


@pytest.fixture(scope='module')
def data(tmp_path_factory):
    return write_pictures(tmp_path_factory.mktemp('voc') / 'data')


def torchrun(processes, *command):
    environment = {**os.environ, 'OMP_NUM_THREADS': '1'}
    return subprocess.run(
        [sys.executable, '-m', 'torch.distributed.run', '--standalone', '--nproc-per-node',
         str(processes), *map(str, command)], capture_output=True, text=True, env=environment,
        timeout=240)


def test_two_processes_give_the_gradient_of_one(data, tmp_path):
    samples = read_voc(data, 'train')
    alone, losses = gradient(frozen(Trainer(ALONE, samples, {}, tmp_path)), samples)
    done = torchrun(2, Path(__file__).with_name('gradient_process.py'), data,
                    tmp_path / 'shared.pt')
    assert done.returncode == 0, done.stderr[-2000:]
    shared = torch.load(tmp_path / 'shared.pt', weights_only=True)
    assert shared['size'] == 2
    for key in losses:
        assert shared['losses'][key] == pytest.approx(losses[key], rel=1e-5)
    largest = 0.0
    for name, wanted in alone.items():
        error = (shared['gradients'][name] - wanted).norm() / wanted.norm().clamp(min=1e-12)
        largest = max(largest, float(error))
    print(f'largest relative difference {largest:.1e}')
    assert largest < 1e-5


def test_parts_of_a_batch_give_the_gradient_of_the_whole(data, tmp_path):
    samples = read_voc(data, 'train')
    whole, _ = gradient(frozen(Trainer(ALONE, samples, {}, tmp_path)), samples)
    recipe = dataclasses.replace(ALONE, accumulate=4)
    parts, _ = gradient(frozen(Trainer(recipe, samples, {}, tmp_path)), samples)
    for name, wanted in whole.items():
        assert (parts[name] - wanted).norm() <= 1e-5 * wanted.norm() + 1e-12, name


def test_positives_are_counted_over_the_whole_batch_not_per_part(data, tmp_path):
    """Per-part normalisation weighs an object in a poor part more: it must be noticed."""
    samples = read_voc(data, 'train')
    recipe = dataclasses.replace(ALONE, accumulate=4)
    trainer = frozen(Trainer(recipe, samples, {}, tmp_path))
    _, losses = gradient(trainer, samples)
    parts_only = Trainer(ALONE, samples, {}, tmp_path)
    _, whole = gradient(frozen(parts_only), samples)
    assert losses['positives'] == whole['positives'] > 4
    assert losses['classes'] == pytest.approx(whole['classes'], rel=1e-5)


def test_a_batch_that_cannot_be_shared_out_is_refused(data, tmp_path):
    with pytest.raises(RecipeError, match='multiple of processes x accumulate = 1 x 4'):
        Trainer(dataclasses.replace(TINY, accumulate=4), read_voc(data, 'train'), {}, tmp_path)


def test_the_train_verb_under_torchrun_writes_once_and_resumes(data, tmp_path):
    recipe, out = tmp_path / 'recipe.yaml', tmp_path / 'run'
    recipe.write_text(YAML.format(iterations=6, every=2))
    verb = ('-m', 'ssd_perception', 'train', recipe, '--data', data, '--out', out, '--device',
            'cpu', '--set', 'batch_size=4')
    done = torchrun(2, *verb)
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.count('Training on 6 images') == 1 and 'in 2 processes' in done.stdout
    rows = [json.loads(line) for line in (out / 'log.jsonl').read_text().splitlines()]
    assert [row['iteration'] for row in rows if 'classes' in row] == [1, 2, 3, 4, 5, 6]
    state = torch.load(out / 'checkpoint.pt', weights_only=True)
    assert state['iteration'] == 6
    # Both processes go on from the one checkpoint; nothing is left to do.
    done = torchrun(2, *verb, '--resume')
    assert done.returncode == 0 and 'from iteration 6 on' in done.stdout, done.stderr[-2000:]


def test_one_process_is_a_world_of_its_own():
    world = World.from_environment(torch.device('cpu'))
    assert (world.rank, world.size, world.main) == (0, 1, True)
    assert world.share(b'x') == b'x' and world.sum(torch.tensor(3)).item() == 3
