"""The package as colcon and as pip install it: executables, launch file, settings and weights."""

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import ssd_perception

pytestmark = pytest.mark.slow

ROOT = Path(ssd_perception.__file__).parents[1]
GENERATED = shutil.ignore_patterns(
    '.*', 'build', 'install', 'log', 'demo_output', 'runs', '*.egg-info', '__pycache__')


def run(*command, cwd, **environment):
    """Run a command; return what it printed, or fail with it."""
    done = subprocess.run(
        [str(part) for part in command], cwd=cwd, env={**os.environ, **environment},
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=250)
    assert done.returncode == 0, done.stdout
    return done.stdout


def files_below(folder):
    """Return the relative paths of all files below a folder."""
    return {
        path.relative_to(folder).as_posix() for path in folder.rglob('*')
        if path.is_file() and path.suffix != '.pyc'
    }


def modules_below(folder):
    """Return the package's modules below a folder that holds it."""
    return {path.relative_to(folder).as_posix() for path in folder.glob('ssd_perception/**/*.py')}


def expected_share():
    """Return what must lie in share/ssd_perception, from what this checkout holds."""
    sources = [*ROOT.glob('launch/*'), *ROOT.glob('config/*'), *ROOT.glob('config/train/*'),
               *ROOT.glob('weights/*'), ROOT / 'package.xml']
    return {path.relative_to(ROOT).as_posix() for path in sources if path.is_file()}


@pytest.fixture(scope='module')
def workspace(tmp_path_factory):
    """Return a workspace with a copy of the repository in src/."""
    folder = tmp_path_factory.mktemp('workspace')
    shutil.copytree(ROOT, folder / 'src' / 'ssd_perception', ignore=GENERATED)
    return folder


@pytest.fixture(scope='module')
def colcon(workspace):
    """Return a function that runs colcon in the workspace."""
    # The colcon beside this Python: the executables it installs are started by the same one.
    program = Path(sys.executable).with_name('colcon')
    assert program.exists(), 'no colcon beside this Python: pip install -e .[test]'
    prefix = os.environ.get('AMENT_PREFIX_PATH', sys.prefix)
    return lambda *arguments: run(
        program, *arguments, cwd=workspace, AMENT_PREFIX_PATH=prefix, COLCON_LOG_PATH='log')


@pytest.fixture(scope='module')
def installed(workspace, colcon):
    """Return the prefix that `colcon build` makes."""
    colcon('build', '--base-paths', 'src')
    return workspace / 'install' / 'ssd_perception'


def test_colcon_sees_one_ament_python_package(colcon):
    # One: tools/ros_from_pip is hidden from it, or it would build a second vision_msgs.
    listed = colcon('list', '--base-paths', 'src').split()
    assert listed[0] == 'ssd_perception' and listed[2:] == ['(ros.ament_python)']


def test_colcon_installs_launch_config_and_weights(installed):
    share = installed / 'share' / 'ssd_perception'
    assert expected_share() <= files_below(share)
    index = installed / 'share' / 'ament_index' / 'resource_index' / 'packages'
    assert (index / 'ssd_perception').is_file()


@pytest.mark.parametrize('name', ['detector_node', 'ssd_perception'])
def test_colcon_installs_the_executables(installed, name):
    program = installed / 'lib' / 'ssd_perception' / name
    assert os.access(program, os.X_OK)
    # by their folders: that of the environment may be reached through a link
    first = Path(program.read_text().splitlines()[0].removeprefix('#!'))
    assert first.parent.resolve() == Path(sys.executable).parent.resolve()


def test_installed_command_runs_the_installed_code(workspace, installed):
    (site,) = installed.glob('lib/python*/site-packages')
    path = os.pathsep.join([str(site), os.environ.get('PYTHONPATH', '')])
    run(installed / 'lib' / 'ssd_perception' / 'ssd_perception', '--help',
        cwd=workspace, PYTHONPATH=path)
    where = run(sys.executable, '-c', 'import ssd_perception as s; print(s.__file__)',
                cwd=workspace, PYTHONPATH=path)
    assert Path(where.strip()).is_relative_to(installed)


@pytest.fixture(scope='module')
def by_pip(workspace, tmp_path_factory):
    """Return the prefix that `pip install .` fills, from a copy of the repository."""
    folder = tmp_path_factory.mktemp('by_pip')
    shutil.copytree(workspace / 'src' / 'ssd_perception', folder / 'source')
    run(sys.executable, '-m', 'pip', 'install', '--quiet', '--no-deps', '--no-build-isolation',
        '--no-index', '--ignore-installed', '--prefix', folder / 'prefix', folder / 'source',
        cwd=folder)
    return folder / 'prefix'


def test_pip_and_colcon_install_the_same(installed, by_pip):
    share = files_below(by_pip / 'share' / 'ssd_perception')
    assert share == expected_share()
    # colcon adds the scripts that set up a shell
    assert share <= files_below(installed / 'share' / 'ssd_perception')
    (ours,), (theirs,) = (
        prefix.glob('lib/python*/site-packages') for prefix in (installed, by_pip))
    assert modules_below(ours) == modules_below(theirs) == modules_below(ROOT)
    assert {'detector_node', 'ssd_perception'} <= files_below(by_pip / 'bin')


def test_the_wheel_holds_the_package_and_its_share_files_alone(workspace, tmp_path):
    source = tmp_path / 'source'
    shutil.copytree(workspace / 'src' / 'ssd_perception', source)
    run(sys.executable, '-m', 'pip', 'wheel', '--quiet', '--no-deps', '--no-build-isolation',
        '--no-index', '--wheel-dir', tmp_path, source, cwd=tmp_path)
    wheel, = tmp_path.glob('*.whl')
    names = set(zipfile.ZipFile(wheel).namelist())
    version = ssd_perception.__version__
    data = f'ssd_perception-{version}.data/data/share/'
    share = {f'{data}ssd_perception/{name}' for name in expected_share()}
    index = {f'{data}ament_index/resource_index/packages/ssd_perception'}
    rest = names - modules_below(ROOT) - share - index
    assert {name.split('/')[0] for name in rest} == {f'ssd_perception-{version}.dist-info'}
    assert names - rest == modules_below(ROOT) | share | index


def test_colcon_with_symlinks_installs_the_same(workspace, colcon, installed):
    colcon('build', '--base-paths', 'src', '--symlink-install',
           '--build-base', 'build_links', '--install-base', 'install_links')
    prefix = workspace / 'install_links' / 'ssd_perception'
    share = prefix / 'share' / 'ssd_perception'
    assert expected_share() <= files_below(share)
    index = prefix / 'share' / 'ament_index' / 'resource_index' / 'packages'
    assert (index / 'ssd_perception').exists()
    # The modules stay in the source tree: a change there is one here, without building.
    found = run('bash', '-c', 'source install_links/setup.bash && python -c "import ssd_perception'
                ' as s; print(s.__file__)"',
                cwd=workspace, PATH=f'{Path(sys.executable).parent}:{os.environ["PATH"]}')
    source = workspace / 'src' / 'ssd_perception' / 'ssd_perception' / '__init__.py'
    assert Path(found.splitlines()[0]).resolve() == source.resolve()
    for name in ('detector_node', 'ssd_perception'):
        assert os.access(prefix / 'lib' / 'ssd_perception' / name, os.X_OK)
