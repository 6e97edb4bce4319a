"""The page of field problems points at tests that exist."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = ROOT / 'docs' / 'field_problems.md'


def test_every_test_named_there_exists():
    named = re.findall(r'`(test_\w+\.py)(?:::(test_\w+))?`', PAGE.read_text())
    assert len(named) > 40
    for file, name in named:
        texts = [path.read_text() for path in ROOT.glob(f'test/*/{file}')]
        assert any(f'def {name or "test_"}' in text for text in texts), f'{file}::{name}'
