"""Names of the package are the field's: those that were given up do not come back."""

import io
import re
import tokenize
from pathlib import Path

import pytest

import ssd_perception

PACKAGE = Path(ssd_perception.__file__).parent
# word of a name -> the field's word
GIVEN_UP = {
    'told': 'format_number, describe, shown', '_tell': 'describe, log', 'tells': 'describe',
    'says': 'describe, log', 'cure': 'remedy', 'cures': 'remedies',
    'let_go': 'release', 'contestant': 'entry', 'contestants': 'entries', 'turns': 'rounds',
    'peer': 'baseline', 'peers': 'baselines', 'piece': 'chunk', 'pieces': 'chunks',
    'against': 'ground_truth', 'whole_file': 'atomic_write', 'write_whole': 'atomic_write',
    'examine': 'check_dataset, analyse, scan', 'examined': 'checked, analysed, scanned',
    'examination': 'DatasetReport, Analysis',
}
# Sayings that a reader had to look at twice.
SAYINGS = re.compile(r'that flies|will fly|cannot be had|could be had|in flight\b', re.I)


def words(name):
    """Return a name's words, and each two of them that follow each other: letGo, LET_GO."""
    parts = [part for part in re.split(r'_|(?<=[a-z0-9])(?=[A-Z])', name) if part]
    parts = [part.lower() for part in parts]
    return {name, *parts, *(f'{a}_{b}' for a, b in zip(parts, parts[1:]))}


def names(source):
    """Return (line, name) of every name in Python source."""
    return [(token.start[0], token.string)
            for token in tokenize.generate_tokens(io.StringIO(source).readline)
            if token.type == tokenize.NAME]


@pytest.mark.parametrize('path', sorted(PACKAGE.rglob('*.py')),
                         ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_no_name_that_was_given_up_comes_back(path):
    source = path.read_text(encoding='utf-8')
    found = [f'{line}: {name}; the word is {GIVEN_UP[word]}' for line, name in names(source)
             for word in sorted(words(name) & GIVEN_UP.keys())]
    found += [f'{source[:hit.start()].count(chr(10)) + 1}: "{hit[0]}"'
              for hit in SAYINGS.finditer(source)]
    assert not found


@pytest.mark.parametrize(('name', 'bad'), [
    ('told', True), ('_told', True), ('isTold', True), ('LET_GO', True), ('letGo', True),
    ('write_whole', True), ('scolded', False), ('letters', False), ('whole', False)])
def test_the_rule_itself(name, bad):
    assert bool(words(name) & GIVEN_UP.keys()) == bad
