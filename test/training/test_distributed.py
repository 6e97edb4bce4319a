"""Several processes give the gradient of one; as torchrun starts them, real Gloo, on the CPU."""

import dataclasses
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from forked import Forked, verb
from gradient_process import ALONE, frozen, share_of_gradient, with_assignment
from tiny import TINY, YAML, gradient, write_pictures

from ssd_perception.data.voc import read_voc
from ssd_perception.training.distributed import BEAT_S, SILENT_S, Pulses, World
from ssd_perception.training.recipe import RecipeError
from ssd_perception.training.trainer import Trainer


@pytest.fixture(scope='module')
def data(tmp_path_factory):
    return write_pictures(tmp_path_factory.mktemp('voc') / 'data')


def in_two_processes(folder, function, *arguments):
    """Run a function in two processes as torchrun starts them; return their stdouts."""
    with socket.socket() as free:
        free.bind(('127.0.0.1', 0))
        port = free.getsockname()[1]
    environment = {'WORLD_SIZE': '2', 'MASTER_ADDR': '127.0.0.1', 'MASTER_PORT': str(port)}
    processes = [Forked(folder, function, *arguments,
                        environment={**environment, 'RANK': rank, 'LOCAL_RANK': rank})
                 for rank in '01']
    deadline = time.monotonic() + 240
    while {process.returncode for process in processes} - {0} == {None} \
            and time.monotonic() < deadline:
        time.sleep(0.05)
    for process in processes:  # where one failed, the other waits for it
        process.kill()
    shown = [process.communicate() for process in processes]
    assert [process.returncode for process in processes] == [0, 0], [e[-2000:] for _, e in shown]
    return [out for out, _ in shown]


@pytest.mark.parametrize('assignment', ['iou', 'aligned'])
def test_two_processes_give_the_gradient_of_one(data, tmp_path, assignment):
    samples = read_voc(data, 'train')
    recipe = with_assignment(assignment)
    alone, losses = gradient(frozen(Trainer(recipe, samples, {}, tmp_path)), samples)
    in_two_processes(tmp_path, share_of_gradient, data, tmp_path / 'shared.pt', assignment)
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


def test_the_train_verb_under_torchrun_writes_and_warns_once_and_resumes(data, tmp_path):
    recipe, out = tmp_path / 'recipe.yaml', tmp_path / 'run'
    data = shutil.copytree(data, tmp_path / 'data')
    first = (data / 'ImageSets/Main/train.txt').read_text().split()[0]
    (data / f'Annotations/{first}.xml').write_text('no XML')
    recipe.write_text(YAML.format(iterations=6, every=2))
    words = ('train', recipe, '--data', data, '--out', out, '--device', 'cpu', '--set',
             'batch_size=4')
    done = subprocess.run(
        [sys.executable, '-m', 'torch.distributed.run', '--standalone', '--nproc-per-node', '2',
         '-m', 'ssd_perception', *map(str, words)], capture_output=True, text=True,
        env={**os.environ, 'OMP_NUM_THREADS': '1'}, timeout=240)
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.count('Training on 5 images') == 1 and 'in 2 processes' in done.stdout
    assert done.stderr.count('1 file was skipped') == done.stderr.count(f'{first}.xml') == 1
    rows = [json.loads(line) for line in (out / 'log.jsonl').read_text().splitlines()]
    assert [row['iteration'] for row in rows if 'classes' in row] == [1, 2, 3, 4, 5, 6]
    state = torch.load(out / 'checkpoint.pt', weights_only=True)
    assert state['iteration'] == 6
    # Both processes go on from the one checkpoint; nothing is left to do.
    shown = in_two_processes(tmp_path, *verb(*words, '--resume'))
    assert 'from iteration 6 on' in shown[0] and not shown[1]


def test_one_process_is_a_world_of_its_own():
    world = World.from_environment(torch.device('cpu'))
    assert (world.rank, world.size, world.main) == (0, 1, True)
    assert world.share(b'x') == b'x' and world.sum(torch.tensor(3)).item() == 3


def test_a_process_that_gives_no_sign_of_life_is_lost(monkeypatch):
    monkeypatch.setenv('TORCHELASTIC_RESTART_COUNT', '0')
    store, now = torch.distributed.HashStore(), [0.0]
    ours, other = (Pulses(rank, 3, lambda: now[0]) for rank in (0, 1))
    for beat in range(12):  # rank 1 falls silent after 25 s, rank 2 was never there
        now[0] = beat * BEAT_S
        ours.exchange(store, beat)
        if now[0] <= 25:
            other.exchange(store, beat)
        assert ours.lost() == ([2] if now[0] > SILENT_S else [])
    now[0] = 30 + SILENT_S + 1  # its last sign was seen at the next beat
    ours.exchange(store, 99)
    assert ours.lost() == [1, 2]
    monkeypatch.setenv('TORCHELASTIC_RESTART_COUNT', '1')
    ours.exchange(store, 100)
    assert ours.lost() == [1, 2], 'signs of life of an attempt before this one do not count'


@pytest.mark.slow
def test_the_others_end_when_one_falls_silent(data, tmp_path):
    """As when a machine loses its network: no connection is closed."""
    recipe, out = tmp_path / 'recipe.yaml', tmp_path / 'run'
    recipe.write_text(YAML.format(iterations=100_000, every=2))
    log = tmp_path / 'log'
    with log.open('w') as file:
        process = subprocess.Popen(
            [sys.executable, '-m', 'torch.distributed.run', '--standalone', '--nproc-per-node',
             '2', '-m', 'ssd_perception', 'train', str(recipe), '--data', str(data), '--out',
             str(out), '--device', 'cpu', '--set', 'batch_size=4'],
            stdout=file, stderr=file, env={**os.environ, 'OMP_NUM_THREADS': '1'})
    while not (out / 'checkpoint.pt').is_file():
        assert process.poll() is None, log.read_text()
        time.sleep(0.2)
    children = [int(pid) for pid in Path(
        f'/proc/{process.pid}/task/{process.pid}/children').read_text().split()]
    silent = next(pid for pid in children if b'\0RANK=1\0' in
                  b'\0' + Path(f'/proc/{pid}/environ').read_bytes())
    os.kill(silent, signal.SIGSTOP)
    try:
        assert process.wait(120) == 1
    finally:
        for pid in (silent, process.pid):
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
    assert 'Nothing was heard of process 1 of 2 for 40 s' in log.read_text()
