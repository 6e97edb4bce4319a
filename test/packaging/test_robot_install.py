"""A robot's environment: numpy, OpenCV and PyYAML alone; detection works there."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import ssd_perception

pytestmark = pytest.mark.slow

ROOT = Path(ssd_perception.__file__).parents[1]
GENERATED = shutil.ignore_patterns(
    '.*', 'build', 'install', 'log', 'demo', 'demo_output', 'runs', 'test', 'docs', '*.egg-info',
    '__pycache__')

DETECT = """
import sys
import cv2
from ssd_perception.inference.detector import Detector
detector = Detector.from_weights('rover')
found, = detector([cv2.imread(sys.argv[1])[:, :, ::-1]])
print(detector.describe(), [detector.class_names[label] for label in found.labels])
assert not {'torch', 'torchvision', 'onnx'} & set(sys.modules)
"""


def run(*command):
    return subprocess.run([str(part) for part in command], capture_output=True, text=True,
                          timeout=280, cwd='/')


@pytest.fixture(scope='module')
def robot(tmp_path_factory):
    """Return the Python of a fresh environment with the package, and what the verb needs."""
    folder = tmp_path_factory.mktemp('robot')
    source = folder / 'source'
    shutil.copytree(ROOT, source, ignore=GENERATED)
    assert run(sys.executable, '-m', 'venv', folder / 'venv').returncode == 0
    python = folder / 'venv' / 'bin' / 'python'
    done = run(python, '-m', 'pip', 'install', '--quiet', f'{source}[detect]')
    if done.returncode and 'No matching distribution' in done.stderr:
        pytest.skip('no package index can be reached')
    assert done.returncode == 0, done.stderr
    return python


def test_no_runtime_comes_from_pip(robot):
    names = run(robot, '-m', 'pip', 'list').stdout
    assert 'opencv' in names
    assert not [name for name in ('torch', 'onnx', 'openvino', 'safetensors') if name in names]


def test_the_detector_finds_objects(robot):
    picture = ROOT / 'demo' / 'rendered_val' / 'JPEGImages' / 'val_0000.jpg'
    done = run(robot, '-c', DETECT, picture)
    assert done.returncode == 0, done.stderr
    assert 'in opencv on cpu, fp32' in done.stdout
    assert 'cone' in done.stdout.rpartition('[')[2] or 'cube' in done.stdout.rpartition('[')[2]


def test_the_verb_works(robot, tmp_path):
    done = run(robot, '-m', 'ssd_perception', 'detect', ROOT / 'demo/rendered_val/JPEGImages',
               '--out', tmp_path / 'out')
    assert done.returncode == 0, done.stderr
    assert len((tmp_path / 'out' / 'detections.jsonl').read_text().splitlines()) == 24
