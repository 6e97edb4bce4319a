"""Imports point one way only: a part uses the parts below it and its own libraries."""

import ast
from pathlib import Path
import sys

import pytest

import ssd_perception

PACKAGE = Path(ssd_perception.__file__).parent
NAME = 'ssd_perception'
MODULES = sorted(path.relative_to(PACKAGE).as_posix() for path in PACKAGE.rglob('*.py'))
MAX_LINES = 300

TORCH = {'torch', 'torchvision'}
ROS = {
    'ament_index_python', 'builtin_interfaces', 'cv_bridge', 'diagnostic_msgs', 'geometry_msgs',
    'launch', 'launch_ros', 'lifecycle_msgs', 'rcl_interfaces', 'rclpy', 'rosgraph_msgs',
    'sensor_msgs', 'std_msgs', 'std_srvs', 'vision_msgs',
}

# part: (parts of this package it may import beside itself, libraries it may import)
ALLOWED = {
    'core': (set(), {'numpy'}),
    'imaging': (set(), {'numpy', 'cv2'}),
    'model': ({'core'}, TORCH | {'numpy', 'safetensors'}),
    # ament_index_python is the index of installed files; it needs no running ROS
    'inference': ({'core'}, {'numpy', 'cv2', 'safetensors', 'ament_index_python'}),
    'data': (
        {'core'}, TORCH | {'numpy', 'cv2', 'PIL', 'scipy', 'imagehash', 'tqdm', 'av'}),
    # mcap, zstandard and lz4 read what rosbags refuses
    'bags': ({'core', 'imaging'}, {'numpy', 'rosbags', 'mcap', 'zstandard', 'lz4', 'yaml'}),
    'evaluation': ({'core', 'inference', 'data'}, TORCH | {'numpy', 'cv2', 'tqdm', 'pycocotools'}),
    'training': (
        {'core', 'model', 'inference', 'data', 'evaluation'},
        TORCH | {'numpy', 'cv2', 'tqdm', 'yaml', 'matplotlib'}),
    'replay': (
        {'core', 'imaging', 'inference', 'bags', 'data', 'evaluation', 'report'},
        {'numpy', 'cv2'}),
    'mining': (
        {'core', 'imaging', 'inference', 'bags', 'data', 'replay'}, {'numpy', 'cv2'}),
    'ros': ({'core', 'imaging', 'inference'}, ROS | {'numpy', 'cv2', 'yaml'}),
}
# Files that may do more than their part.
RUNTIMES = 'inference/runtimes'
EXCEPTIONS = {
    f'{RUNTIMES}/torch.py': ({'model'}, TORCH),
    'mining/features.py': ({'model'}, TORCH),
    'inference/export.py': ({'model'}, TORCH | {'onnx', 'onnxruntime'}),
    'inference/quantise.py': (set(), {'onnx', 'onnxruntime'}),
    f'{RUNTIMES}/onnxruntime.py': (set(), {'onnxruntime'}),
    f'{RUNTIMES}/quiet_openvino.py': (set(), {'openvino'}),
    f'{RUNTIMES}/tensorrt.py': (set(), {'tensorrt', 'cuda'}),
}
# The command line, and what it draws and reports with, joins everything.
JOINS_EVERYTHING = {'cli', 'report', 'benchmark', '__main__.py', '__init__.py'}


def imported(source: str) -> list[tuple[int, str]]:
    """Return (line, dotted name) of every import in a module, those inside functions included."""
    found = []
    for statement in ast.walk(ast.parse(source)):
        if isinstance(statement, ast.Import):
            found += [(statement.lineno, alias.name) for alias in statement.names]
        elif isinstance(statement, ast.ImportFrom):
            # a relative import stays in its part and would hide where it points: refused below
            prefix = '.' * statement.level + (statement.module or '')
            if prefix == NAME:  # from ssd_perception import core
                found += [(statement.lineno, f'{NAME}.{alias.name}') for alias in statement.names]
            else:
                found.append((statement.lineno, prefix))
    return found


def offences(module: str, source: str) -> list[str]:
    """Return one sentence for each import that the module may not make."""
    part = module.split('/')[0]
    if part in JOINS_EVERYTHING:
        return []
    if part not in ALLOWED:
        return [f'{module}: {part} has no rule here yet; add one to this test']
    parts, libraries = ALLOWED[part]
    more_parts, more_libraries = EXCEPTIONS.get(module, (set(), set()))
    parts, libraries = parts | more_parts | {part, '__version__'}, libraries | more_libraries
    found = []
    for line, name in imported(source):
        first, _, rest = name.partition('.')
        if not first:
            found.append(f'{module}:{line}: write {name} as an absolute import')
        elif first == NAME and rest.split('.')[0] not in parts:
            found.append(f'{module}:{line}: {part} may not import {name}')
        elif first != NAME and first not in sys.stdlib_module_names and first not in libraries:
            found.append(f'{module}:{line}: {part} may not import the library {name}')
    return found


@pytest.mark.parametrize('module', MODULES)
def test_imports_point_one_way(module):
    assert not offences(module, (PACKAGE / module).read_text())


@pytest.mark.parametrize(('module', 'source', 'count'), [
    ('core/boxes.py', 'import numpy as np\nfrom ssd_perception.core.detections import D', 0),
    ('core/boxes.py', 'import cv2', 1),
    ('core/boxes.py', 'from . import detections', 1),
    ('core/boxes.py', 'from ssd_perception import __version__', 0),
    ('inference/detector.py', 'def f():\n    import torch', 1),
    ('inference/detector.py', 'from ssd_perception import model', 1),
    ('inference/runtimes/torch.py', 'import torch\nfrom ssd_perception.model.ssd import SSD', 0),
    ('ros/node.py', 'import rclpy\nfrom sensor_msgs.msg import Image', 0),
    ('ros/node.py', 'from torchvision.ops import nms', 1),
    ('ros/node.py', 'from ssd_perception.training import trainer', 1),
    ('training/trainer.py', 'import rclpy', 1),
    ('data/voc.py', 'from ssd_perception.evaluation import voc', 1),
    ('cli/train.py', 'import rclpy, torch', 0),
    ('new/part.py', '', 1),
])
def test_the_rule_itself(module, source, count):
    assert len(offences(module, source)) == count


@pytest.mark.parametrize('module', MODULES)
def test_first_line_says_what_the_module_is_for(module):
    source = (PACKAGE / module).read_text()
    docstring = ast.get_docstring(ast.parse(source))
    assert docstring and source.startswith('"""'), f'{module} does not begin with a docstring'
    assert docstring.splitlines()[0].endswith(('.', ';', ':')), f'{module}: not a sentence'


def test_openvino_is_imported_without_its_telemetry_alone():
    importing = {str(path.relative_to(PACKAGE)) for path in PACKAGE.rglob('*.py')
                 if any(name.partition('.')[0] == 'openvino'
                        for _, name in imported(path.read_text()))}
    assert importing == {f'{RUNTIMES}/quiet_openvino.py'}


def test_files_are_short_enough_to_read_at_once():
    root = PACKAGE.parent
    paths = [path for folder in (NAME, 'test', 'tools', 'demo', 'examples', 'launch')
             for path in (root / folder).rglob('*.py')]
    counts = {path.relative_to(root): len(path.read_text().splitlines()) for path in paths}
    long = [f'{path}: {count} lines' for path, count in counts.items() if count > MAX_LINES]
    assert not long, 'a file of more lines than that holds more than one idea'


def test_every_folder_of_modules_is_a_package():
    # setuptools leaves out a folder without __init__.py: it works here and is gone once installed
    folders = {path.parent for path in PACKAGE.rglob('*.py')}
    assert not [folder.name for folder in folders if not (folder / '__init__.py').is_file()]
