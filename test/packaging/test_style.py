"""The whole repository passes the linter, the package the type checker, as pyproject.toml sets."""

import subprocess
import sys
from pathlib import Path

import ssd_perception

ROOT = Path(ssd_perception.__file__).parents[1]


def check(*command):
    """Run a module as a program on the repository; it must find nothing."""
    done = subprocess.run(
        [sys.executable, '-m', *command], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_ruff_finds_nothing():
    check('ruff', 'check', '--no-cache', '--output-format', 'concise', '.')


def test_mypy_finds_nothing():
    check('mypy')
