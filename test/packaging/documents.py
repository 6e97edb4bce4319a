"""Read the documentation: its commands, links and headings, as a reader of Markdown sees them."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import ssd_perception

ROOT = Path(ssd_perception.__file__).parents[1]
DOCUMENTS = sorted(
    path.relative_to(ROOT).as_posix()
    for pattern in ('*.md', 'docs/*.md', 'demo/*.md', 'weights/*.md', 'tools/*/*.md')
    for path in ROOT.glob(pattern))

_FENCE = re.compile(r'^```(\w*)\n(.*?)^```', re.M | re.S)
_SEPARATORS = {'&&', ';', '|', '||'}
_LOOP = {'do', 'done', 'for', 'then', 'fi'}


def text(document: str) -> str:
    return (ROOT / document).read_text()


def commands(document: str) -> list[list[str]]:
    """Return the commands of all bash blocks as words, without comments and settings."""
    found = []
    for language, body in _FENCE.findall(text(document)):
        if language != 'bash':
            continue
        variables: dict[str, list[str]] = {}
        for line in body.replace('\\\n', ' ').splitlines():
            lexer = shlex.shlex(line, posix=True, punctuation_chars=';&|')
            lexer.whitespace_split = True
            found += _parts(list(lexer), variables)
    return found


def _parts(words: list[str], variables: dict[str, list[str]]) -> list[list[str]]:
    """Split at && and the like; put in ``$R`` what ``R="..."`` was set to."""
    parts: list[list[str]] = [[]]
    for word in words:
        name, is_setting, value = word.partition('=')
        if word in _SEPARATORS:
            parts.append([])
        elif word in _LOOP and not parts[-1]:
            continue
        elif not parts[-1] and is_setting and name.isidentifier():
            variables[f'${name}'] = shlex.split(value)
        else:
            parts[-1] += variables.get(word, [word]) if not parts[-1] else [word]
    return [part for part in parts if part and not (len(part) > 1 and part[1] == 'in')]


def spans(document: str) -> list[str]:
    """Return what stands between single backticks outside of blocks, on one line each."""
    plain = _FENCE.sub('', text(document))
    return [' '.join(span.split()) for span in re.findall(r'(?<!`)`([^`]+)`(?!`)', plain)]


def links(document: str) -> list[str]:
    """Return the targets of all links and pictures."""
    plain = _FENCE.sub('', text(document))
    return re.findall(r'\]\(([^)\s]+)\)', plain)


def anchors(document: str) -> set[str]:
    """Return the anchors that GitHub gives to the document's headings."""
    plain = _FENCE.sub('', text(document))
    titles = re.findall(r'^#+ (.+)$', plain, re.M)
    return {re.sub(r'[^\w\- ]', '', re.sub(r'\]\([^)]*\)', '', title)).strip().lower()
            .replace(' ', '-') for title in titles}
