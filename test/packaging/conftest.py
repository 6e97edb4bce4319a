"""What setup.py tells pip and colcon, for the tests that compare it with the rest."""

import runpy
import sys
from pathlib import Path

import pytest
import setuptools

import ssd_perception


@pytest.fixture(scope='session')
def run_setup():
    """Return a function: what setup.py, run for a command, hands to setuptools."""
    def run(command):
        taken = {}
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(setuptools, 'setup', lambda **arguments: taken.update(arguments))
            patch.setattr(sys, 'argv', ['setup.py', command])
            patch.chdir(Path(ssd_perception.__file__).parents[1])
            runpy.run_path('setup.py')
        return taken
    return run


@pytest.fixture(scope='session')
def setup_arguments(run_setup):
    """Return what setup.py hands to setuptools for an installation."""
    return run_setup('install')
