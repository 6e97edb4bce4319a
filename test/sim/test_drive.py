"""Closed loop over DDS: node, follower and simulated rover end before the right cone."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip('vision_msgs')
try:
    import sim.rover  # noqa: F401
except ImportError as error:
    pytest.skip(f'no MuJoCo with EGL: {error}', allow_module_level=True)

from sim.drive import main  # noqa: E402

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.skipif(not (ROOT / 'weights' / 'rover.onnx').is_file(),
                                reason='no weights')


def drive(out, *arguments, timeout=280):
    """Run the command; return what it did, and its summary."""
    done = subprocess.run(
        [sys.executable, '-m', 'sim.drive', '--out', str(out), *map(str, arguments)], cwd=ROOT,
        env=os.environ, capture_output=True, text=True, timeout=timeout)
    path = out / 'summary.json'
    return done, json.loads(path.read_text()) if path.is_file() else None


@pytest.mark.parametrize('arguments', [('--courses', 0), ('--loss', 1), ('--latency-ms', -1)])
def test_bad_arguments_are_one_sentence(tmp_path, capsys, arguments):
    out = tmp_path / 'out'
    assert main(['--out', str(out), *map(str, arguments)]) == 1 and not out.exists()
    error = capsys.readouterr().err
    assert 'must be' in error and len(error.splitlines()) == 1


def test_weights_that_are_not_there_end_it_with_the_reason(tmp_path):
    done, summary = drive(tmp_path / 'out', '--weights', 'absent')
    assert done.returncode == 1 and summary is None
    assert 'absent' in done.stderr and 'Traceback' not in done.stderr


def test_it_goes_around_a_cube_and_ends_before_the_right_cone(tmp_path):
    out = tmp_path / 'out'
    done, summary = drive(out, '--courses', 2)
    assert done.returncode == 0, done.stdout + done.stderr
    assert {course['kind'] for course in summary['each']} == {'both', 'one cone'}
    for course in summary['each']:
        assert course['success'] and abs(course['distance_m'] - 0.5) <= 0.1
        assert not course['touched'] and course['images'] > 30
    assert summary['positions']['range_error_median'] < 0.05
    page = (out / 'report.html').read_text()
    assert (out / 'video.webm').stat().st_size > 10_000 and '<video' in page


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize('arguments', [(), ('--latency-ms', 150, '--loss', 0.1)],
                         ids=['as it is', 'late and lossy'])
def test_18_of_20_courses_end_before_the_right_cone(tmp_path, arguments):
    done, summary = drive(tmp_path / 'out', '--seed', 0, '--courses', 20, *arguments,
                          timeout=3500)
    assert summary['succeeded'] >= 18, done.stdout + done.stderr
    assert done.returncode == (0 if summary['succeeded'] == 20 else 1)
    assert summary['positions']['range_error_median'] <= 0.05
    assert summary['positions']['range_error_p95'] <= 0.15
