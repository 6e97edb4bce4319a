"""A Python module that is not installed: the node says which, and how to get it."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

# Importing the module named first fails as if it were not installed.
PROGRAM = """
import importlib.abc, runpy, sys
absent = sys.argv.pop(1)
class Absent(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if f'{name}.'.startswith(f'{absent}.'):
            raise ModuleNotFoundError(f'No module named {name!r}', name=name)
sys.meta_path.insert(0, Absent())
runpy.run_module('ssd_perception.ros.detector_node', run_name='__main__')
"""


def start_without(name, **environment):
    return subprocess.run([sys.executable, '-c', PROGRAM, name, '--ros-args'], text=True,
                          capture_output=True, timeout=60, env={**os.environ, **environment})


@pytest.mark.parametrize('name, cure', [
    ('rclpy', 'source a ROS 2 installation, or run `make env` for ROS 2 from pip'),
    ('diagnostic_msgs', 'source a ROS 2 installation, or run `make env` for ROS 2 from pip'),
    ('vision_msgs', 'install ros-$ROS_DISTRO-vision-msgs, or run `make env`'),
    ('cv2', 'pip install opencv-python-headless'),
    ('numpy', 'pip install numpy'),
])
def test_the_node_names_what_is_missing_in_one_sentence(name, cure):
    if name != 'rclpy':
        pytest.importorskip('rclpy')
        pytest.importorskip('vision_msgs')
    done = start_without(name)
    assert done.returncode == 1
    assert done.stderr == f'detector_node: needs the Python module "{name}"; {cure}.\n'


def test_a_traceback_on_request():
    done = start_without('rclpy', SSD_PERCEPTION_TRACEBACK='1')
    assert done.returncode == 1 and 'Traceback' in done.stderr


def test_a_missing_module_of_the_package_itself_is_a_defect_and_not_hidden():
    done = start_without('ssd_perception.ros.node')
    assert done.returncode == 1 and 'Traceback' in done.stderr
