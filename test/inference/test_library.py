"""docs/library.md: its lines run as they stand, on a rendered image, and find what is there."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_the_lines_of_the_page_run(tmp_path, monkeypatch, capsys):
    image = sorted((ROOT / 'demo' / 'rendered_val' / 'JPEGImages').glob('*.jpg'))[0]
    shutil.copy(image, tmp_path / 'image.jpg')
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r'```python\n(.*?)```', (ROOT / 'docs' / 'library.md').read_text(), re.S)
    names: dict = {}
    for block in blocks:
        exec(compile(block, 'library.md', 'exec'), names)  # noqa: S102
    lines = capsys.readouterr().out.splitlines()
    assert re.fullmatch(r'(cone|cube) [01]\.\d\d at \d+, \d+', lines[0])
    assert re.fullmatch(r'2 \d+\.\d ms', lines[-1])
