"""The metadata for colcon, rosdep and pip agree with each other and with the code."""

import ast
import functools
import re
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest
import yaml
from catkin_pkg.changelog import Changelog, populate_changelog_from_rst
from catkin_pkg.package import parse_package
from catkin_pkg.package_version import get_forthcoming_label, rename_section, update_versions

import ssd_perception
from ssd_perception.inference.runtimes import RUNTIMES

ROOT = Path(ssd_perception.__file__).parents[1]
SOURCES = [*ROOT.glob('ssd_perception/**/*.py'), *ROOT.glob('launch/*.py')]

# import name: rosdep key of what Debian packages
ROSDEP = {'numpy': 'python3-numpy', 'cv2': 'python3-opencv', 'yaml': 'python3-yaml'}
# import name: name on PyPI, where they differ
PYPI = {'cuda': 'cuda-python', 'cv2': 'opencv-python-headless', 'yaml': 'PyYAML', 'PIL': 'pillow'}
# Runtimes a user adds by choice: one of them, for the machine at hand. And a peer that the
# benchmark takes in where somebody installed it; its licence keeps it out of our extras.
OPTIONAL = {'onnx', 'ultralytics', *(name for runtime in RUNTIMES.values()
                                     for name in runtime.modules if name != 'torch')}


# REP 149's schema, package_format3.xsd: the elements in their order, and how many of each; no
# package on PyPI brings the file itself. Dependencies may stand in any order among themselves.
DEPENDENCIES = {
    'build_depend', 'build_export_depend', 'buildtool_depend', 'buildtool_export_depend',
    'exec_depend', 'depend', 'doc_depend', 'test_depend', 'conflict', 'replace'}
ORDER = (('name', 1, 1), ('version', 1, 1), ('description', 1, 1), ('maintainer', 1, None),
         ('license', 1, None), ('url', 0, None), ('author', 0, None), ('dependency', 0, None),
         ('group_depend', 0, None), ('member_of_group', 0, None), ('export', 0, 1))
VERSION = r'(0|[1-9]\d*)(\.(0|[1-9]\d*)){2}'
EMAIL = r'[-\w%+]+(\.[-\w%+]+)*@[-a-zA-Z0-9%]+(\.[-a-zA-Z0-9%]+)*\.[a-zA-Z]{2,}'
ATTRIBUTES = {
    'maintainer': {'email': EMAIL}, 'author': {'email': EMAIL}, 'license': {'file': r'\S+'},
    'url': {'type': 'website|bugtracker|repository'}, 'version': {'compatibility': r'[\d.]+'},
    'dependency': {'condition': r"[$\w\s\"'<>!=()-]*", **dict.fromkeys(
        (f'version_{limit}' for limit in ('lt', 'lte', 'eq', 'gte', 'gt')), r'[\d.]+')},
    'group_depend': {'condition': r'.*'}, 'member_of_group': {'condition': r'.*'}}


def offences(text):
    """Return what package_format3.xsd would refuse in a package.xml, one sentence each."""
    root = ElementTree.fromstring(text)
    tags = ['dependency' if e.tag in DEPENDENCIES else e.tag for e in root]
    places = {tag: place for place, (tag, _, _) in enumerate(ORDER)}
    found = [f'{tag} is no element of format 3' for tag in tags if tag not in places]
    known = [places[tag] for tag in tags if tag in places]
    if known != sorted(known):
        found.append(f'the order is not {", ".join(tag for tag, _, _ in ORDER)}')
    found += [f'{tags.count(tag)} of {tag}' for tag, least, most in ORDER
              if not least <= tags.count(tag) <= (most or len(tags))]
    for tag, element in zip(tags, root):
        allowed = ATTRIBUTES.get(tag, {})
        found += [f'{element.tag} {key}="{value}"' for key, value in element.attrib.items()
                  if key not in allowed or not re.fullmatch(allowed[key], value)]
        if tag == 'maintainer' and 'email' not in element.attrib:
            found.append('a maintainer without email')
    for tag, pattern in (('name', r'[a-z](_?[a-z0-9]+)*'), ('version', VERSION)):
        found += [f'{tag} {e.text}' for e in root.findall(tag)
                  if not re.fullmatch(pattern, e.text or '')]
    if root.tag != 'package' or root.attrib != {'format': '3'}:
        found.append(f'{root.tag} {root.attrib}')
    return found


@pytest.mark.parametrize('path', ['package.xml', 'tools/ros_from_pip/vision_msgs/package.xml'])
def test_package_xml_keeps_the_schema(path):
    assert not offences((ROOT / path).read_text())


@pytest.mark.parametrize(('old', 'new'), [
    ('<name>ssd_perception', '<name>SSD-Perception'), ('>0.1.0<', '>0.1<'),
    ('email="', 'mail="'), ('format="3"', 'format="2"'), ('.org"', '"'),
    ('<exec_depend>rclpy</exec_depend>', '<run_depend>rclpy</run_depend>'),
    ('<exec_depend>rclpy', '<exec_depend version_min="1">rclpy'),
    ('</package>', '<url>https://example.org</url></package>'),
    ('<export>', '<export/><export>')])
def test_the_schema_test_itself(old, new):
    text = (ROOT / 'package.xml').read_text()
    assert old in text and offences(text.replace(old, new, 1))


def test_changelog_can_be_released():
    """What `catkin_prepare_release` does: the forthcoming changes become those of a version."""
    text = (ROOT / 'CHANGELOG.rst').read_text()
    assert get_forthcoming_label(text) == 'Forthcoming'
    released = rename_section(text, 'Forthcoming', f'{ssd_perception.__version__} (2026-01-01)')
    changelog = populate_changelog_from_rst(Changelog('ssd_perception'), released)
    (version, _, content), *_ = changelog.foreach_version()
    assert version == ssd_perception.__version__ and content


def test_a_new_version_can_be_released(tmp_path):
    """The rest of `catkin_prepare_release`: it replaces the version in both files, or refuses."""
    for name in ('package.xml', 'setup.py'):
        (tmp_path / name).write_text((ROOT / name).read_text())
    update_versions({str(tmp_path): parse_package(tmp_path)}, '9.8.7')
    assert '<version>9.8.7</version>' in (tmp_path / 'package.xml').read_text()
    assert "version='9.8.7'" in (tmp_path / 'setup.py').read_text()


@pytest.fixture(scope='module')
def manifest():
    """Return package.xml as colcon reads it; reading checks names, version and e-mail."""
    return parse_package(ROOT / 'package.xml')


@functools.cache
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


def test_a_robot_needs_nothing_that_rosdep_cannot_install(manifest, setup_arguments):
    names = {distribution(line) for line in setup_arguments['install_requires']}
    assert names == {PYPI.get(name, name) for name in ROSDEP}
    keys = {dependency.name for dependency in manifest.exec_depends}
    assert {key for key in keys if key.startswith('python3-')} == set(ROSDEP.values())


def test_torch_and_torchvision_always_come_together(setup_arguments):
    for extra, lines in setup_arguments['extras_require'].items():
        names = {distribution(line) for line in lines}
        assert ('torch' in names) == ('torchvision' in names), extra


def test_editable_install_copies_nothing(run_setup):
    assert run_setup('editable_wheel')['data_files'] == []


def test_the_workflow_runs_what_a_desk_runs(setup_arguments):
    workflow = yaml.safe_load((ROOT / '.github' / 'workflows' / 'ci.yml').read_text())
    commands = [step['run'] for job in workflow['jobs'].values() for step in job['steps']
                if 'run' in step]
    assert commands == ['.ci/run', 'make test-slow']
    assert (ROOT / '.ci' / 'run').read_text().splitlines()[-1] == 'exec make test'
    matrix = workflow['jobs']['quick']['strategy']['matrix']
    distros = {*matrix['distro'], *(row['distro'] for row in matrix['include'])}
    assert distros == {path.stem for path in (ROOT / 'tools' / 'ros_from_pip').glob('*.txt')}
    lowest, beyond = re.findall(r'3\.(\d+)', setup_arguments['python_requires'])
    assert matrix['python'] == [f'3.{minor}' for minor in range(int(lowest), int(beyond))]
