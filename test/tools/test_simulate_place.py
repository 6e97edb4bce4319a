"""`tools/simulate_place.py`: its folder says what the camera saw."""

from __future__ import annotations

import runpy
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

try:
    import sim.rover  # noqa: F401
except ImportError as error:
    pytest.skip(f'no MuJoCo with EGL: {error}', allow_module_level=True)

from ssd_perception.data.voc import read_voc

TOOL = Path(__file__).resolve().parents[2] / 'tools' / 'simulate_place.py'


def test_a_place_is_written_as_voc(tmp_path):
    tool = SimpleNamespace(**runpy.run_path(str(TOOL)))
    tool.write(tmp_path / 'room', 3, 'train', range(1))
    sample, = read_voc(tmp_path / 'room', 'train')
    image, names, xyxy = tool.seen_at(3, 0)
    assert sample.names == tuple(names) and set(names) <= {'cone', 'cube'} and 'cone' in names
    np.testing.assert_array_equal(sample.xyxy, xyxy)
    assert (xyxy >= 0).all() and (xyxy <= np.array(image.shape[1::-1] * 2)).all()
