"""The drawing in docs/architecture.md is that of the code, and its links lead to files."""

import re
import sys
from pathlib import Path

import pytest
from test_imports import LAYERS

import ssd_perception

ROOT = Path(ssd_perception.__file__).parents[1]


@pytest.fixture
def tool(monkeypatch):
    """Return the module that draws."""
    monkeypatch.syspath_prepend(str(ROOT / 'tools'))
    import draw_architecture
    yield draw_architecture
    sys.modules.pop('draw_architecture')


def test_drawing_is_up_to_date(tool):
    text = tool.DOCUMENT.read_text()
    assert tool.with_drawing(text) == text, 'run .venv/bin/python tools/draw_architecture.py'


def test_drawing_shows_every_part(tool):
    drawn = tool.draw()
    for path in ROOT.glob('ssd_perception/*/__init__.py'):
        assert f'`{path.parent.name}/`' in drawn


def test_every_arrow_points_down(tool):
    row = {part: number for number, parts in enumerate(LAYERS) for part in parts}
    arrows = re.findall(r'^    (\w+) -(?:\.-|-)> (\w+)$', tool.draw(), re.M)
    assert len(arrows) > 10
    assert not [(part, other) for part, other in arrows if row[part] >= row[other]]


def test_parts_that_import_each_other_are_refused(tool, monkeypatch, tmp_path):
    for part, other in (('one', 'two'), ('two', 'one')):
        (tmp_path / tool.NAME / part).mkdir(parents=True)
        (tmp_path / tool.NAME / part / '__init__.py').write_text(f'import {tool.NAME}.{other}')
    monkeypatch.setattr(tool, 'ROOT', tmp_path)
    with pytest.raises(SystemExit, match='import each other'):
        tool.draw()
