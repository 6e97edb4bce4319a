"""The whole repository passes the linter with the settings of pyproject.toml."""

from pathlib import Path
import subprocess
import sys

import ssd_perception

ROOT = Path(ssd_perception.__file__).parents[1]


def test_ruff_finds_nothing():
    done = subprocess.run(
        [sys.executable, '-m', 'ruff', 'check', '--no-cache', '--output-format', 'concise', '.'],
        cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
