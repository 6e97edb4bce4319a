"""`python -m ssd_perception`: the right verb, late imports, and mistakes in one sentence."""

from __future__ import annotations

import subprocess
import sys
import types

import pytest

from ssd_perception import __main__ as entry
from ssd_perception.core.errors import DataError, SettingError

VERB = 'ssd_perception.cli.pretend'


def ssd_perception(*words):
    return subprocess.run([sys.executable, '-m', 'ssd_perception', *words], text=True,
                          capture_output=True, timeout=60)


@pytest.fixture
def verb(monkeypatch):
    """Install a verb ``pretend`` whose behaviour a test gives."""
    def install(run, add_arguments=lambda parser: None):
        module = types.ModuleType(VERB, 'Pretend to work.')
        module.add_arguments, module.run = add_arguments, run
        monkeypatch.setitem(sys.modules, VERB, module)
        monkeypatch.setitem(entry.VERBS, 'pretend', VERB)
    return install


def test_help_lists_every_verb_with_its_docstring():
    done = ssd_perception('--help')
    assert done.returncode == 0 and done.stderr == ''
    for name in entry.VERBS:
        line = next(row for row in done.stdout.splitlines() if row.startswith(f'  {name} '))
        assert len(line.split(maxsplit=1)[1]) > 20


def test_no_verb_shows_help_and_fails():
    done = ssd_perception()
    assert done.returncode == 2 and 'VERB' in done.stdout


def test_no_result_takes_the_place_of_a_standard_file_that_is_closed(tmp_path):
    code = ('import sys\nfrom ssd_perception.__main__ import main\nmain([])\n'
            'with open(sys.argv[1], "w") as file:\n    file.write(str(file.fileno()))')
    subprocess.run(['sh', '-c', 'exec "$@" 0<&- 1>&- 2>&-', 'sh', sys.executable, '-c', code,
                    tmp_path / 'result'], timeout=60)
    assert int((tmp_path / 'result').read_text()) > 2


@pytest.mark.parametrize('words, says', [
    (['trian'], 'did you mean "train"'),
    (['zzz'], 'there are '),
    (['play'], 'required: bag'),
    (['play', 'x', '--colour', 'red'], 'unrecognized arguments: --colour'),
    (['play', 'x', '--rate', 'fast'], 'invalid float'),
])
def test_wrong_usage_is_one_line_and_code_2(words, says):
    done = ssd_perception(*words)
    assert done.returncode == 2
    assert says in done.stderr and len(done.stderr.splitlines()) == 1


def test_bad_input_is_one_line_and_code_1(tmp_path):
    pytest.importorskip('rosbags')
    done = ssd_perception('play', str(tmp_path / 'nothing'))
    assert done.returncode == 1
    assert done.stderr == f'ssd_perception play: There is no recording at {tmp_path}/nothing.\n'


@pytest.mark.parametrize('verb', ['train', 'evaluate', 'play', 'view', 'demo'])
def test_importing_a_verb_imports_neither_ros_nor_torch(verb):
    module = entry.VERBS[verb]
    code = (f'import sys, {module}; '
            'sys.exit(bool({"torch", "rclpy", "rosbags", "av"} & set(sys.modules)))')
    assert subprocess.run([sys.executable, '-c', code], timeout=60).returncode == 0


def test_exit_code_and_ros_arguments_are_handed_on(verb):
    seen = []

    def run(args):
        seen.append((args.number, args.ros_args))
        return 7

    verb(run, lambda parser: parser.add_argument('--number', type=int))
    assert entry.main(['pretend', '--number', '3', '--ros-args', '-r', 'image:=/a']) == 7
    assert seen == [(3, ['--ros-args', '-r', 'image:=/a'])]


def fails_with(error):
    def run(args):
        raise error
    return run


@pytest.mark.parametrize('error, code, says', [
    (KeyboardInterrupt(), 130, ''),
    (SettingError('rate must be\npositive.'), 1, 'rate must be positive.'),
    (DataError('a.xml is no XML.', 'a.xml'), 1, 'a.xml is no XML.'),
    (FileNotFoundError('No such file.'), 1, 'No such file.'),
    (ModuleNotFoundError("No module named 'rclpy'", name='rclpy'), 1, 'source a ROS 2'),
    (ModuleNotFoundError("No module named 'acme'", name='acme.sub'), 1, 'pip install acme'),
    (MemoryError(), 1, 'memory does not suffice (MemoryError): free some'),
    (RuntimeError("[enforce fail at alloc_cpu.cpp:117] err == 0. DefaultCPUAllocator: can't "
                  'allocate memory: you\ntried to allocate 8 bytes.'), 1, 'does not suffice'),
    (ImportError('libav.so.1: failed to map segment from shared object'), 1, 'does not suffice'),
])
def test_an_error_for_the_user_is_one_line(verb, capsys, monkeypatch, error, code, says):
    monkeypatch.delenv('SSD_PERCEPTION_TRACEBACK', raising=False)
    verb(fails_with(error))
    assert entry.main(['pretend']) == code
    err = capsys.readouterr().err
    assert says in err and len(err.splitlines()) == (1 if says else 0)


@pytest.mark.parametrize('error', [KeyError('x'), RuntimeError(), ValueError(
    'operands could not be broadcast together with shapes (3,) (4,)')])
def test_a_fault_of_the_package_shows_where_it_came_from(verb, monkeypatch, error):
    monkeypatch.delenv('SSD_PERCEPTION_TRACEBACK', raising=False)
    verb(fails_with(error))
    with pytest.raises(type(error)):
        entry.main(['pretend'])


def test_traceback_on_request(verb, monkeypatch):
    monkeypatch.setenv('SSD_PERCEPTION_TRACEBACK', '1')
    verb(fails_with(SettingError('x')))
    with pytest.raises(SettingError):
        entry.main(['pretend'])
