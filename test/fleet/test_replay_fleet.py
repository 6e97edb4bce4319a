"""Many recordings: each as if alone, failures cost only their own, done ones are left alone."""

import contextlib
import functools
import json
import os
import shutil
import signal
from pathlib import Path

import pytest

pytest.importorskip('rosbags')
pytest.importorskip('tqdm')
import recordings  # noqa: E402
from orange_detector import replace_network  # noqa: E402

from ssd_perception.__main__ import main  # noqa: E402
from ssd_perception.core.errors import UserError  # noqa: E402
from ssd_perception.fleet import replay as fleet  # noqa: E402
from ssd_perception.fleet import tasks  # noqa: E402
from ssd_perception.fleet.summary import FleetSummary, RecordingFigures  # noqa: E402
from ssd_perception.fleet.tasks import LOCAL, Task, run_tasks  # noqa: E402

FRAMES = 6


@pytest.fixture
def detectors(monkeypatch):
    """Replace the network; the list holds every detector that was made."""
    fleet._detectors.cache_clear()
    yield replace_network(monkeypatch)
    fleet._detectors.cache_clear()


@pytest.fixture(scope='module')
def drives(tmp_path_factory):
    """Four recordings: whole, torn, whole, and no recording at all."""
    root = tmp_path_factory.mktemp('drives')
    for name, frames in (('a', FRAMES), ('b', 40), ('c', 3), ('d', 1)):
        recordings.write_recording(root / name, frames, size=(320, 320))
    torn = next((root / 'b').glob('*.mcap'))
    torn.write_bytes(torn.read_bytes()[:torn.stat().st_size // 2])
    next((root / 'd').glob('*.mcap')).write_bytes(b'nothing')
    return root


def replay(source, out, *words):
    return main(['replay', str(source), '--out', str(out), '--no-pictures', *words])


def files(out):
    """Return what must be the same in every run."""
    return {str(path.relative_to(out)): path.read_bytes() for path in sorted(out.rglob('*'))
            if path.suffix in ('.jsonl', '.webm', '.mcap', '.yaml')
            or path.parent == out and path.is_file()}


def calls(detectors):
    return sum(detector.calls for detector in detectors)


def test_each_is_replayed_as_if_alone_and_a_page_sums_up(detectors, drives, tmp_path, capsys):
    out = tmp_path / 'out'
    assert replay(drives, out, '--tracking') == 1
    said = capsys.readouterr()
    assert '3 recordings of 0.00 h, 1 failed' in said.out
    assert [line.partition(':')[0] for line in said.err.splitlines()] == ['d']
    summary = json.loads((out / 'fleet.json').read_text())
    assert [one['name'] for one in summary['recordings']] == ['a', 'b', 'c']
    assert list(summary['failures']) == ['d']
    whole, torn, short = summary['recordings']
    assert whole['frames'] == whole['detections'] == FRAMES and not whole['losses']
    assert 0 < torn['frames'] < 40 and torn['losses']
    assert whole['objects_per_class'] == {'cone': 1} and short['frames'] == 3
    page = (out / 'report.html').read_text()
    assert 'href="a/report.html"' in page and 'objects per hour' in page and 'Cut short' in page
    assert replay(drives / 'a', tmp_path / 'alone', '--tracking') == 0
    assert files(tmp_path / 'alone')['detections.jsonl'] == (out / 'a/detections.jsonl'
                                                             ).read_bytes()


def test_only_what_is_not_done_is_done_again(detectors, drives, tmp_path):
    mine, out = tmp_path / 'drives', tmp_path / 'out'
    shutil.copytree(drives, mine)
    assert replay(mine, out) == 1
    before, seen = files(out), calls(detectors)
    assert replay(mine, out) == 1
    assert calls(detectors) == seen and files(out) == before
    shutil.rmtree(mine / 'd')
    recordings.write_recording(mine / 'd', 2, size=(320, 320))
    os.truncate(out / 'a' / 'summary.json', 0)  # as a power failure may leave it
    assert replay(mine, out) == 0
    assert calls(detectors) == seen + FRAMES + 2
    assert {name: data for name, data in files(out).items() if name[0] in 'abc'} \
        == {name: data for name, data in before.items() if name[0] in 'abc'}
    assert replay(mine, out, '--score-threshold', '0.9') == 0
    assert calls(detectors) > seen + FRAMES + 2


def test_from_elsewhere_the_results_are_the_same(detectors, drives, tmp_path):
    pytest.importorskip('fsspec')
    here, there = tmp_path / 'here', tmp_path / 'there'
    assert replay(f'{drives}/[ac]', here) == replay(f'file://{drives}/[ac]', there) == 0
    assert files(there) == files(here) and len(files(here)) > 6
    assert f'file://{drives}' in json.loads((there / 'a/summary.json').read_text())['bag']
    seen = calls(detectors)
    assert replay(f'file://{drives}/[ac]', there) == 0 and calls(detectors) == seen
    assert not list(there.glob('.*.fetched'))


def test_links_in_the_folder_are_not_followed_and_names_may_be_no_utf8(detectors, drives, tmp_path,
                                                                      capsys):
    mine, out, precious = tmp_path / 'drives', tmp_path / 'out', tmp_path / 'precious'
    for name in ('c', os.fsdecode(b'c\xff\x1b[31m')):
        shutil.copytree(drives / 'c', mine / name)
    assert replay(mine, out) == 0
    (out / 'report.html').unlink()
    precious.mkdir()
    (precious / 'page').write_text('precious')
    (out / 'report.html').symlink_to(precious / 'page')
    assert replay(mine, out) == 0
    page = (out / 'report.html').read_text()
    assert '\x1b' not in page + ''.join(capsys.readouterr())
    shutil.rmtree(out / '.done')
    (out / '.done').symlink_to(precious)
    assert replay(mine, out) == 1
    assert 'is a link; remove it' in capsys.readouterr().err
    assert content_of(precious) == {'page': 'precious'}


def content_of(folder):
    return {path.name: path.read_text() for path in folder.iterdir()}


def test_a_folder_of_something_else_is_left_alone(detectors, drives, tmp_path, capsys):
    (tmp_path / 'thesis.tex').write_text('')
    assert replay(f'{drives}/*', tmp_path) == 1
    assert 'no earlier result' in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ['thesis.tex']


def test_a_class_without_boxes_keeps_its_place_and_so_the_others_their_colours():
    one = RecordingFigures('a', 9, 0, 3, 3, {'cone': 0, 'cube': 3}, {}, 1.0, 0.0)
    assert list(FleetSummary((one, one), {}).detections_per_class().items()) \
        == [('cone', 0), ('cube', 6)]


def test_a_defect_costs_its_own_recording_only(capsys):
    done = []
    failures = run_tasks([Task('a', 1, lambda: 1 / 0), Task('b', 1, lambda: done.append(1))], 'x')
    assert failures == {'a': 'ZeroDivisionError: division by zero'} and done == [1]
    assert capsys.readouterr().err == 'a: ZeroDivisionError: division by zero\n'


def die_once(work, mark: Path):
    """Do the work; the first time the process is killed where it would give its result a name."""
    if not mark.exists():
        mark.touch()
        os.rename = lambda *names: os.kill(os.getpid(), signal.SIGKILL)
    return work()


@pytest.mark.slow
def test_on_ray_a_killed_worker_costs_nothing(drives, tmp_path, monkeypatch, capsys):
    pytest.importorskip('ray')
    monkeypatch.setenv('PYTHONPATH', os.pathsep.join(
        [str(Path(__file__).parent), str(Path(__file__).parents[1]), os.environ.get(
            'PYTHONPATH', '')]))
    assert replay(drives, tmp_path / 'alone') == 1
    run = fleet.run_tasks

    def with_a_death(tasks, *options, **more):
        first, *rest = tasks
        dying = Task(first.name, first.size, functools.partial(die_once, first.work,
                                                               tmp_path / 'died'))
        return run([dying, *rest], *options, **more)
    monkeypatch.setattr(fleet, 'run_tasks', with_a_death)
    assert replay(drives, tmp_path / 'ray', '--ray', LOCAL) == 1
    assert (tmp_path / 'died').exists()
    assert files(tmp_path / 'ray') == files(tmp_path / 'alone')


@pytest.mark.parametrize('address', ['127.0.0.1:1', 'ray://127.0.0.1:1', '127.0.0.1:99999'])
def test_an_address_without_ray_is_said_at_once(address):
    with pytest.raises(UserError, match='does not answer at .*ray start --head'):
        tasks._check_reachable(address)
    for name in (LOCAL, 'auto'):
        tasks._check_reachable(name)


@pytest.mark.parametrize('cores, gpus, says', [
    (4, 0, ''), (5, 0, 'takes 5 cores, and no machine .* more than 4'),
    (1, 1, 'takes 1 GPUs, and no machine')])
def test_a_task_that_fits_no_machine_of_ray_does_not_wait_for_ever(cores, gpus, says):
    machines = [{'Alive': True, 'Resources': {'CPU': 4.0}}, {'Alive': True, 'Resources': {}},
                {'Alive': False, 'Resources': {'CPU': 64.0, 'GPU': 8.0}}]
    with pytest.raises(UserError, match=says) if says else contextlib.nullcontext():
        tasks._check_size(machines, 'there', cores, gpus)
