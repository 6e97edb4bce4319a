"""A killed, interrupted or cramped training loses at most an interval, and ends the same."""

import json
import os
import random
import signal
import subprocess
import time
from functools import partial

import pytest
import torch
from forked import Forked, verb
from tiny import YAML, write_pictures


@pytest.fixture(scope='module')
def data(tmp_path_factory):
    return write_pictures(tmp_path_factory.mktemp('voc') / 'data')


class Run:
    """A training in processes of its own."""

    def __init__(self, folder, data, iterations, every=5):
        self.out = folder / 'run'
        recipe = folder / 'recipe.yaml'
        recipe.write_text(YAML.format(iterations=iterations, every=every))
        self.folder = folder
        self.words = ['train', recipe, '--data', data, '--out', self.out, '--device', 'cpu',
                      '--resume']

    def start(self, *more, **options):
        # Its output lies beside the run's folder, which may be on a full disk.
        return Forked(self.folder.parent, *verb(*self.words, *more), **options)

    def finish(self, **options):
        process = self.start(**options)
        out, err = process.communicate(timeout=250)
        return process.returncode, out, err

    def logged(self):
        """Return the last iteration that the log tells."""
        path = self.out / 'log.jsonl'
        lines = path.read_bytes().split(b'\n')[:-1] if path.exists() else []
        return json.loads(lines[-1])['iteration'] if lines else 0

    def written(self):
        """Return when the log was last written, ns; 0 where there is none."""
        path = self.out / 'log.jsonl'
        return path.stat().st_mtime_ns if path.exists() else 0

    def progressed(self, before, written):
        """Tell whether a step was logged since; what a killed process left there is none."""
        return self.written() != written and self.logged() > before

    def saved(self):
        """Return the checkpoint's iteration, 0 where there is none; it must be readable."""
        path = self.out / 'checkpoint.pt'
        return torch.load(path, weights_only=True)['iteration'] if path.exists() else 0

    def weights(self):
        return (self.out / f'{self.out.name}.last.safetensors').read_bytes()

    def wait_for(self, condition, process):
        deadline = time.monotonic() + 120
        while not condition() and process.returncode is None and time.monotonic() < deadline:
            time.sleep(0.05)
        if not condition():
            process.kill()
            pytest.fail(process.communicate()[1])


@pytest.fixture
def run(tmp_path, data):
    return Run(tmp_path, data, iterations=40)


@pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGTERM])
def test_a_signal_writes_a_checkpoint_of_that_very_iteration(run, number):
    process = run.start()
    run.wait_for(lambda: run.logged() >= 7, process)
    process.send_signal(number)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130 and 'Traceback' not in err
    assert f'{run.out}/checkpoint.pt keeps what was learned' in err.splitlines()[-1]
    assert 7 <= run.saved() == run.logged() < 40


def test_a_file_limit_is_told_and_the_last_good_checkpoint_stays(tmp_path, data):
    """EFBIG by a limit of the process stands for every error of writing; no rights needed."""
    run = Run(tmp_path, data, iterations=12)
    process = run.start()
    run.wait_for(lambda: run.saved() >= 5, process)
    process.kill()
    before = (run.out / 'checkpoint.pt').read_bytes()
    code, _, err = run.finish(file_limit=5_000_000)
    assert code == 1 and 'Traceback' not in err
    assert 'checkpoint.pt' not in err.splitlines()[-1] and 'Make room' in err.splitlines()[-1]
    assert '.last.safetensors could not be written' in err
    assert (run.out / 'checkpoint.pt').read_bytes() == before
    assert not list(run.out.glob('*.partial'))
    code, _, err = run.finish()
    assert code == 0 and run.saved() == 12, err[-500:]


def test_a_full_disk_is_told_and_the_last_good_checkpoint_stays(data, tmp_path):
    disk = tmp_path / 'disk'
    disk.mkdir()
    if subprocess.run(['mount', '-t', 'tmpfs', '-o', 'size=110m', 'tmpfs', str(disk)],
                      capture_output=True).returncode:
        pytest.skip('this user may not mount a small disk')
    try:
        run = Run(disk, data, iterations=12)
        process = run.start()
        run.wait_for(lambda: run.saved() >= 5, process)
        process.kill()
        before = (run.out / 'checkpoint.pt').read_bytes()
        filler = disk / 'filler'
        with open(filler, 'wb', buffering=0) as file:
            try:
                while file.write(b'0' * 4096):
                    pass
            except OSError:
                pass  # not a byte is left
        code, _, err = run.finish()
        assert code == 1 and 'No space left on device' in err and 'Traceback' not in err
        assert (run.out / 'checkpoint.pt').read_bytes() == before
        filler.unlink()
        code, _, err = run.finish()
        assert code == 0 and run.saved() == 12, err[-500:]
    finally:
        subprocess.run(['umount', '-l', str(disk)], check=True)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_twenty_kills_at_random_moments_cost_at_most_an_interval_each(tmp_path, data):
    (tmp_path / 'whole').mkdir()
    whole = Run(tmp_path / 'whole', data, iterations=400)
    code, _, err = whole.finish()
    assert code == 0, err[-500:]
    (tmp_path / 'killed').mkdir()
    run = Run(tmp_path / 'killed', data, iterations=400)
    moments = random.Random(0)
    lost = []
    for _ in range(20):
        before = run.saved(), run.written()
        process = run.start()
        # From the first step on, so that kills fall into training, saving and evaluating.
        run.wait_for(partial(run.progressed, *before), process)
        time.sleep(moments.uniform(0, 1.0))
        process.kill()
        lost.append(run.logged() - run.saved())
    print('iterations lost per kill:', lost)
    # The log may be one step ahead of the interval's end, where the checkpoint was being written.
    assert max(lost) <= 5 and len(set(lost)) > 1
    code, _, err = run.finish()
    assert code == 0, err[-500:]
    assert run.weights() == whole.weights()
    steps = [row['iteration'] for row in map(json.loads, (run.out / 'log.jsonl').open())
             if 'classes' in row]
    assert steps == list(range(1, 401))


@pytest.mark.parametrize('number, words', [
    (signal.SIGKILL, 'A loader process died'),
    (signal.SIGBUS, '/dev/shm; give the container more')])
def test_a_loader_process_that_dies_ends_the_run(tmp_path, data, number, words):
    run = Run(tmp_path, data, 100_000, every=5)
    process = run.start('--set', 'workers=2')
    run.wait_for(lambda: run.logged() > 2, process)
    tasks = subprocess.run(['ps', '--ppid', str(process.pid), '-o', 'pid='], text=True,
                           capture_output=True, check=True).stdout.split()
    assert tasks, 'the loader has no processes'
    os.kill(int(tasks[0]), number)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 1
    last = err.strip().splitlines()[-1]
    assert last.startswith('ssd_perception train: ') and words in last and '--resume' in last
    assert 'Traceback' not in err


@pytest.fixture(scope='module')
def own_shm(tmp_path_factory):
    """Skip where a process cannot have a /dev/shm of its own size, as in a container."""
    tried = Forked(tmp_path_factory.mktemp('shm'), os.system, 'df /dev/shm', shm='64k')
    out, err = tried.communicate()
    if tried.returncode:
        pytest.skip(f'a tmpfs cannot be mounted here, which takes root: {err[-200:]}')
    assert ' 64 ' in out


@pytest.mark.parametrize('size, more', [
    ('64k', ()),
    ('64m', ('architecture.input_hw=[512, 512]', 'batch_size=64'))])
@pytest.mark.usefixtures('own_shm')
def test_a_small_shared_memory_ends_the_run_with_the_remedy(tmp_path, data, size, more):
    run = Run(tmp_path, data, 100_000)
    process = run.start('--set', 'workers=2', *more, shm=size)
    _, err = process.communicate(timeout=200)
    last = err.strip().splitlines()[-1]
    assert process.returncode == 1 and 'Traceback' not in err, err[-2000:]
    assert last.startswith('ssd_perception train: ') and '/dev/shm; give the container' in last
    left = subprocess.run(['ps', '-s', str(process.pid), '-o', 'args='], capture_output=True,
                          text=True, check=False).stdout
    assert not left, 'a process of the training is left'
