"""Imports point one way only: a part uses the parts below it and its own libraries."""

import ast
import sys
from pathlib import Path

import pytest

import ssd_perception
from ssd_perception.inference.runtimes import RUNTIMES as runtimes

PACKAGE = Path(ssd_perception.__file__).parent
NAME = 'ssd_perception'
MODULES = sorted(path.relative_to(PACKAGE).as_posix() for path in PACKAGE.rglob('*.py'))
MAX_LINES = 400

TORCH = {'torch', 'torchvision'}
ROS = {
    'ament_index_python', 'builtin_interfaces', 'diagnostic_msgs', 'geometry_msgs',
    'launch', 'launch_ros', 'lifecycle_msgs', 'rcl_interfaces', 'rclpy', 'rosgraph_msgs',
    'sensor_msgs', 'std_msgs', 'std_srvs', 'vision_msgs', 'visualization_msgs',
}

# From top to bottom: a part imports parts of lower rows alone, never one of its own row.
LAYERS = (
    ('cli',),
    ('fleet',),
    ('benchmark', 'datacheck', 'mining'),
    ('live', 'replay', 'training'),
    ('evaluation', 'ros'),
    ('bags', 'data', 'inference', 'scene'),
    ('imaging', 'model', 'viz'),
    ('core',),
)
# part: libraries it may import beside the standard library
LIBRARIES = {
    'core': {'numpy', 'yaml'},
    'imaging': {'numpy', 'cv2'},
    'viz': {'numpy', 'markupsafe', 'cv2', 'av', 'matplotlib'},
    'model': TORCH | {'numpy', 'safetensors'},
    # ament_index_python is the index of installed files; it needs no running ROS
    'inference': {'numpy', 'cv2', 'ament_index_python'},
    'scene': {'numpy', 'cv2'},
    'data': TORCH | {'numpy', 'cv2', 'av'},
    # mcap, zstandard and lz4 read what rosbags refuses
    'bags': {'numpy', 'rosbags', 'mcap', 'zstandard', 'lz4', 'yaml'},
    'evaluation': {'numpy', 'markupsafe', 'cv2', 'tqdm', 'pycocotools', 'matplotlib'},
    'ros': ROS | {'numpy', 'cv2', 'yaml'},
    'training': TORCH | {'numpy', 'cv2', 'tqdm', 'yaml', 'matplotlib'},
    'live': ROS | {'numpy', 'markupsafe', 'cv2', 'tqdm'},
    'replay': {'numpy', 'markupsafe', 'cv2', 'tqdm'},
    'benchmark': ROS | TORCH | {
        'numpy', 'cv2', 'tqdm', 'matplotlib', 'onnxruntime', 'ultralytics'},
    'datacheck': {'numpy', 'markupsafe', 'cv2', 'tqdm', 'PIL', 'matplotlib'},
    'mining': {'numpy', 'markupsafe', 'cv2', 'tqdm'},
    'cli': set(),
    'fleet': {'fsspec', 'numpy', 'markupsafe', 'tqdm', 'ray'},
    '__init__.py': set(),
    '__main__.py': set(),
}
# What the layers would allow and nobody may: ros is torch-free, only torch's runtime knows the
# network, and the use-cases stay usable without ROS.
FORBIDDEN = {
    ('inference', 'model'), ('ros', 'data'), ('ros', 'bags'), ('ros', 'model'),
    ('evaluation', 'bags'), ('training', 'bags'), ('training', 'ros'), ('replay', 'ros'),
    ('live', 'model'), ('mining', 'ros'), ('mining', 'model'), ('datacheck', 'ros'),
}
# Files that may do more than their part: the parts and libraries that they alone import.
RUNTIMES = 'inference/runtimes'
EXCEPTIONS = {
    **{f'{RUNTIMES}/{name}.py': (set(), set(row.modules)) for name, row in runtimes.items()},
    f'{RUNTIMES}/torch.py': ({'model'}, TORCH),
    'evaluation/publish.py': ({'bags'}, set()),  # a recording with ground truth, to measure on
    'imaging/files.py': (set(), {'PIL', 'av'}),
    'data/anchor_fit.py': (set(), {'scipy'}),
    'data/duplicates.py': (set(), {'scipy', 'imagehash', 'PIL'}),
    'inference/export.py': ({'model'}, TORCH | {'onnx', 'onnxruntime'}),
    'inference/quantise.py': (set(), {'onnx', 'onnxruntime'}),
    f'{RUNTIMES}/quiet_openvino.py': (set(), {'openvino'}),
}


def allowed_parts(part: str) -> set[str]:
    """Return the parts that a part may import beside itself."""
    rows = [row for row in LAYERS if part in row]
    below = LAYERS if not rows else LAYERS[LAYERS.index(rows[0]) + 1:]
    return {other for row in below for other in row if (part, other) not in FORBIDDEN}


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
    if part not in LIBRARIES:
        return [f'{module}: {part} has no rule here yet; add one to this test']
    parts, libraries = allowed_parts(part), LIBRARIES[part]
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
    ('live/play.py', 'import rclpy', 0),
    ('cli/train.py', 'import torch', 1),
    ('live/view.py', 'from ssd_perception.replay import chunks', 1),
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
    paths = [path for folder in (NAME, 'test', 'tools', 'demo', 'sim', 'examples', 'launch')
             for path in (root / folder).rglob('*.py')]
    counts = {path.relative_to(root): len(path.read_text().splitlines()) for path in paths}
    long = [f'{path}: {count} lines' for path, count in counts.items() if count > MAX_LINES]
    assert not long, 'a file of more lines than that holds more than one idea'


def test_every_folder_of_modules_is_a_package():
    # setuptools leaves out a folder without __init__.py: it works here and is gone once installed
    folders = {path.parent for path in PACKAGE.rglob('*.py')}
    assert not [folder.name for folder in folders if not (folder / '__init__.py').is_file()]
