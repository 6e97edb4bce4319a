"""What colcon, rosdep and pip are told about the package agrees with itself and with the code."""

import ast
from pathlib import Path
import re
import runpy
import sys

from catkin_pkg.package import parse_package
import pytest
import setuptools

import ssd_perception

ROOT = Path(ssd_perception.__file__).parents[1]
SOURCES = [*ROOT.glob('ssd_perception/**/*.py'), *ROOT.glob('launch/*.py')]

# import name: rosdep key of what Debian packages
ROSDEP = {'numpy': 'python3-numpy', 'cv2': 'python3-opencv', 'yaml': 'python3-yaml'}
# import name: name on PyPI, where they differ
PYPI = {'cuda': 'cuda-python', 'cv2': 'opencv-python-headless', 'yaml': 'PyYAML', 'PIL': 'pillow'}
# Runtimes a user adds by choice: one of them, for the machine at hand. And a peer that the
# benchmark takes in where somebody installed it; its licence keeps it out of our extras.
OPTIONAL = {'onnx', 'onnxruntime', 'openvino', 'tensorrt', 'ultralytics'}


@pytest.fixture(scope='module')
def manifest():
    """Return package.xml as colcon reads it; reading checks names, version and e-mail."""
    return parse_package(ROOT / 'package.xml')


@pytest.fixture(scope='module')
def setup_arguments():
    """Return what setup.py hands to setuptools."""
    with pytest.MonkeyPatch.context() as patch:
        taken = {}
        patch.setattr(setuptools, 'setup', lambda **arguments: taken.update(arguments))
        patch.setattr(sys, 'argv', ['setup.py', 'install'])
        patch.chdir(ROOT)
        runpy.run_path('setup.py')
    return taken


def foreign_imports():
    """Return the names of all libraries that the package and its launch files import."""
    names = set()
    for path in SOURCES:
        for statement in ast.walk(ast.parse(path.read_text())):
            if isinstance(statement, ast.Import):
                names |= {alias.name.split('.')[0] for alias in statement.names}
            elif isinstance(statement, ast.ImportFrom):
                names.add(statement.module.split('.')[0])
    return names - set(sys.stdlib_module_names) - {'ssd_perception'}


def distribution(requirement):
    """Return the name in a requirement: torch>=2.4 -> torch."""
    return re.match(r'[\w.-]+', requirement).group()


def test_version_is_the_same_everywhere(manifest, setup_arguments):
    assert manifest.version == setup_arguments['version'] == ssd_perception.__version__


def test_names_and_people_are_the_same_everywhere(manifest, setup_arguments):
    assert manifest.name == setup_arguments['name'] == 'ssd_perception'
    assert manifest.maintainers[0].email == setup_arguments['maintainer_email']
    assert manifest.licenses[0] == setup_arguments['license']


def test_it_is_an_ament_python_package(manifest, setup_arguments):
    assert [(e.tagname, e.content) for e in manifest.exports] == [('build_type', 'ament_python')]
    scripts = setup_arguments['entry_points']['console_scripts']
    assert {line.split(' = ')[0] for line in scripts} == {'detector_node', 'ssd_perception'}
    marker = ('share/ament_index/resource_index/packages', ['resource/ssd_perception'])
    assert marker in setup_arguments['data_files']


def test_every_import_is_declared(manifest, setup_arguments):
    """Each library comes from rosdep (package.xml), from pip (setup.py), or from both."""
    rosdep = {dependency.name for dependency in manifest.exec_depends}
    extras = setup_arguments['extras_require'].values()
    pip = {
        distribution(line).lower()
        for lines in [setup_arguments['install_requires'], *extras] for line in lines
    }
    undeclared = {
        name for name in foreign_imports() - OPTIONAL
        if ROSDEP.get(name, name) not in rosdep and PYPI.get(name, name).lower() not in pip
    }
    # the Lite backbones' weights are imported by a computed name; the rest must be written down
    assert not undeclared


def test_rosdep_keys_of_libraries_are_declared(manifest):
    declared = {dependency.name for dependency in manifest.exec_depends}
    assert {key for name, key in ROSDEP.items() if name in foreign_imports()} <= declared


def test_a_robot_installs_little(setup_arguments):
    names = {distribution(line) for line in setup_arguments['install_requires']}
    assert names == {'numpy', 'opencv-python-headless', 'safetensors', 'PyYAML'}


def test_torch_and_torchvision_always_come_together(setup_arguments):
    for extra, lines in setup_arguments['extras_require'].items():
        names = {distribution(line) for line in lines}
        assert ('torch' in names) == ('torchvision' in names), extra


def test_editable_install_copies_nothing(monkeypatch):
    taken = {}
    monkeypatch.setattr(setuptools, 'setup', lambda **arguments: taken.update(arguments))
    monkeypatch.setattr(sys, 'argv', ['setup.py', 'editable_wheel'])
    monkeypatch.chdir(ROOT)
    runpy.run_path('setup.py')
    assert taken['data_files'] == []
