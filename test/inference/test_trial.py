"""Weights are tried in a child: what hangs, fills the memory or crashes there ends there."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

pytest.importorskip('onnx')
from hostile_weights import growing  # noqa: E402
from random_weights import random_weights  # noqa: E402

from ssd_perception.core.metadata import WeightsError  # noqa: E402
from ssd_perception.inference import exported, trial  # noqa: E402
from ssd_perception.inference.exported import CACHE_VARIABLE, keep_in_cache  # noqa: E402
from ssd_perception.inference.options import DetectorOptions  # noqa: E402
from ssd_perception.inference.resolve import resolve_weights  # noqa: E402
from ssd_perception.inference.trial import ensure_tried, try_weights  # noqa: E402


def test_good_weights_pass():
    try_weights(resolve_weights('rover'), device='cpu')


@pytest.mark.parametrize('runtime', ['onnxruntime', 'opencv'])
def test_what_the_detector_refuses_is_its_own_sentence(tmp_path, runtime):
    with pytest.raises(WeightsError, match='output "logits" should be'):
        try_weights(growing(tmp_path / 'other.onnx', 1), runtime, 'cpu')


@pytest.mark.parametrize('within_s, max_bytes, says', [
    (60.0, 700_000_000, r'used 0\.[7-9] GB of memory, more than the 0\.7 GB allowed|'
     r'used [1-9].* GB of memory'),
    (0.2, 1 << 40, 'had not ended after 0.2 s')])
def test_what_goes_beyond_a_limit_is_stopped_there(tmp_path, within_s, max_bytes, says):
    path = growing(tmp_path / 'hostile.onnx', 400)  # 64 x 64 x 3 x 160 000 x 4 bytes: 7.9 GB
    with pytest.raises(WeightsError, match=says) as caught:
        try_weights(path, 'onnxruntime', 'cpu', within_s=within_s, max_bytes=max_bytes)
    assert 'tried in a child process' in str(caught.value)


def test_a_trial_that_nobody_waits_for_ends_its_child():
    asked = []
    with pytest.raises(WeightsError, match='which nobody waits for any more; it is not used'):
        try_weights(resolve_weights('rover'), is_abandoned=lambda: asked.append(1) or True)
    assert len(asked) == 1


@pytest.mark.parametrize('number, says', [
    (signal.SIGKILL, 'was killed, as the system does where memory is short; it is not used'),
    (signal.SIGSEGV, 'crashed with signal 11; it is not used')])
def test_a_child_that_the_system_ends_is_one_sentence(monkeypatch, number, says):
    monkeypatch.setattr(trial, '_watch', lambda child, *_: (
        child.send_signal(number) or child.wait() and ''))
    with pytest.raises(WeightsError, match=says):
        try_weights(resolve_weights('rover'))


def test_a_child_without_memory_says_so(tmp_path):
    """Under a limit of the address space, as on clusters, allocating fails instead."""
    code = ('import resource, sys; from ssd_perception.inference import detector, trial; '
            'resource.setrlimit(resource.RLIMIT_AS, (1 << 29, 1 << 29)); '
            'detector.Detector = lambda *_: bytes(1 << 40); sys.exit(trial.main())')
    child = subprocess.run([sys.executable, '-c', code, 'x', '--parent', str(os.getpid())],
                           capture_output=True, text=True, timeout=60)
    assert child.returncode == 3 and 'memory does not suffice' in child.stdout, child.stderr


def test_weights_whose_name_no_runtime_takes_run(tmp_path, monkeypatch, caplog):
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / 'cache'))
    name = os.fsdecode(b'w\xff\x1b' + b'x' * 230)
    path = random_weights(tmp_path / 'w.safetensors', 64).rename(tmp_path / f'{name}.safetensors')
    DetectorOptions(str(path), runtime='onnxruntime', device='cpu').load()
    assert caplog.messages and all(message.isprintable() for message in caplog.messages)


def test_a_child_whose_parent_ended_while_it_began_ends_too():
    """Nobody would watch its time and memory."""
    child = subprocess.run([sys.executable, '-m', 'ssd_perception.inference.trial', 'nowhere',
                            '--parent', '1'], capture_output=True, text=True)
    assert (child.returncode, child.stdout, child.stderr) == (1, '', '')


def test_the_oldest_files_leave_a_full_cache(tmp_path, monkeypatch):
    monkeypatch.setattr(exported, 'MAX_CACHE_BYTES', 250)
    names = [f'{name}-{"0" * 32}-1.onnx' for name in 'abc'] + [f'openvino-{"1" * 32}.blob']
    for age, name in enumerate((*names, 'of_the_user.onnx')):
        keep_in_cache(tmp_path / name, bytes(100))
        os.utime(tmp_path / name, (age, age))
    keep_in_cache(tmp_path / names[0], bytes(100))  # made anew
    assert {path.name for path in tmp_path.iterdir()} == {names[0], *names[2:], 'of_the_user.onnx'}
    monkeypatch.setattr(exported, 'MAX_CACHE_FILES', 3)
    for number in range(6):
        keep_in_cache(tmp_path / 'tried' / f'{number:064x}', b'')
        os.utime(tmp_path / 'tried' / f'{number:064x}', (number, number))
    assert len(list((tmp_path / 'tried').iterdir())) == 4


def test_an_engine_of_tensorrt_may_take_an_hour_in_a_command_too(monkeypatch):
    limits = []
    monkeypatch.setattr(trial, '_watch', lambda child, within_s, max_bytes, stop: (
        limits.append(within_s) or 'was watched'))
    for runtime in ('onnxruntime', 'tensorrt'):
        with pytest.raises(WeightsError, match='was watched'):
            try_weights(resolve_weights('rover'), runtime)
    assert limits == [120.0, 3600.0]


def test_weights_on_the_command_line_do_not_reach_this_process_first(tmp_path, monkeypatch):
    monkeypatch.setattr(trial, 'MAX_BYTES', 700_000_000)
    monkeypatch.setenv('SSD_PERCEPTION_CACHE', str(tmp_path / 'cache'))
    path = growing(tmp_path / 'hostile.onnx', 400)
    with pytest.raises(WeightsError, match='tried in a child process, which used'):
        DetectorOptions(str(path), runtime='onnxruntime', device='cpu').load()
    assert not list(trial.cache_folder().glob('tried/*'))


def test_a_child_of_another_folder_imports_nothing_from_there(tmp_path, monkeypatch):
    for name in ('ssd_perception', 'numpy', 'argparse'):
        (tmp_path / f'{name}.py').write_text('raise SystemExit(7)')
    monkeypatch.chdir(tmp_path)
    with pytest.raises(WeightsError, match='output "logits" should be'):
        try_weights(growing(tmp_path / 'other.onnx', 1), 'onnxruntime', 'cpu')


@pytest.fixture
def tries(tmp_path, monkeypatch):
    """What is tried, in a cache of its own."""
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / 'cache'))
    found = []
    monkeypatch.setattr(trial, '_passed', set())
    monkeypatch.setattr(trial, 'try_weights',
                        lambda path, *options, **more: found.append(path.name))
    return found


def in_a_new_process():
    trial._passed.clear()


def test_what_has_passed_is_not_tried_again_until_it_changes(tmp_path, tries):
    path = random_weights(tmp_path / 'mine.safetensors', 64)
    ensure_tried(path, 'onnxruntime')
    in_a_new_process()
    ensure_tried(path, 'onnxruntime')
    path.rename(tmp_path / 'renamed.safetensors')
    ensure_tried(tmp_path / 'renamed.safetensors', 'onnxruntime')
    assert tries == ['mine.safetensors']
    path = tmp_path / 'renamed.safetensors'
    ensure_tried(path, 'openvino')
    ensure_tried(path, 'onnxruntime', batch=2)
    assert len(tries) == 3
    # A runtime takes what lies beside: whatever that is now, it has not been tried.
    growing(tmp_path / 'renamed.onnx', 1)
    ensure_tried(path, 'onnxruntime')
    assert len(tries) == 4
    random_weights(path, 96)
    ensure_tried(path, 'onnxruntime')
    assert len(tries) == 5


def test_shipped_weights_are_not_tried(tries):
    for name in ('', 'rover', 'rover.int8'):
        ensure_tried(name)
    assert not tries and not trial.cache_folder().exists()


def test_what_fails_is_not_recorded(tmp_path, tries, monkeypatch):
    path = random_weights(tmp_path / 'mine.safetensors', 64)

    def refuse(path, *options, **more):
        tries.append(path.name)
        raise WeightsError('no')
    monkeypatch.setattr(trial, 'try_weights', refuse)
    for _ in range(2):
        with pytest.raises(WeightsError, match='^no$'):
            ensure_tried(path)
    assert len(tries) == 2


@pytest.mark.parametrize('cache', ['a file', 'no home'])
def test_without_a_cache_each_process_tries_once(tmp_path, tries, monkeypatch, cache):
    if cache == 'a file':
        (tmp_path / 'cache').touch()
    else:
        monkeypatch.setattr(trial, '_record', lambda key: None)
    path = random_weights(tmp_path / 'mine.safetensors', 64)
    for _ in range(2):
        in_a_new_process()
        ensure_tried(path)
        ensure_tried(path)
    assert len(tries) == 2
