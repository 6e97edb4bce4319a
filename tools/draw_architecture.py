"""Draw the parts of the package and their imports, read from the code, into docs/architecture.md.

    .venv/bin/python tools/draw_architecture.py

test/packaging/test_architecture.py fails while the drawing there is not the one made here.
"""

import ast
import re
import sys
from collections import defaultdict
from pathlib import Path

import networkx

NAME = 'ssd_perception'
ROOT = Path(__file__).parents[1]
DOCUMENT = ROOT / 'docs' / 'architecture.md'
MARKS = '<!-- drawing -->', '<!-- /drawing -->'

# Files that are imported only for one choice of the user, so that the rest of their part works
# without the library that they import.
ON_CHOICE = {'inference/runtimes/torch.py', 'inference/export.py'}


def imports(path: Path) -> set[str]:
    """Return the dotted names that a module imports, those inside functions included."""
    names = set()
    for statement in ast.walk(ast.parse(path.read_text())):
        if isinstance(statement, ast.Import):
            names |= {alias.name for alias in statement.names}
        elif isinstance(statement, ast.ImportFrom) and statement.module == NAME:
            names |= {f'{NAME}.{alias.name}' for alias in statement.names}
        elif isinstance(statement, ast.ImportFrom):
            names.add(statement.module or '')
    return names


def draw() -> str:
    """Return the drawing, as Mermaid, and the table of the parts, as Markdown."""
    package = ROOT / NAME
    parts = sorted(path.parent.name for path in package.glob('*/__init__.py'))
    files = defaultdict(set)  # (part, part it imports) -> files that do
    libraries = defaultdict(set)
    for path in package.glob('*/**/*.py'):
        part = path.relative_to(package).parts[0]
        for name in imports(path):
            first, _, rest = name.partition('.')
            other = rest.split('.')[0]
            if first == NAME and other in parts and other != part:
                files[part, other].add(path.relative_to(package).as_posix())
            elif first != NAME and first not in sys.stdlib_module_names:
                libraries[part].add(first)
    graph = networkx.DiGraph(sorted(files))
    if not networkx.is_directed_acyclic_graph(graph):
        raise SystemExit(f'Parts import each other: {sorted(networkx.simple_cycles(graph))}')
    lines = ['```mermaid', 'flowchart TD']
    for part, other in sorted(networkx.transitive_reduction(graph).edges):
        lines.append(f'    {part} {"-.->" if files[part, other] <= ON_CHOICE else "-->"} {other}')
    lines += ['```', '', '| part | what it is | libraries |', '| --- | --- | --- |']
    # From the top down: each part before those that it imports.
    for part in networkx.lexicographical_topological_sort(graph):
        docstring = ast.get_docstring(ast.parse((package / part / '__init__.py').read_text()))
        used = ', '.join(sorted(libraries[part], key=str.lower)) or 'none'
        lines.append(f'| `{part}/` | {docstring.splitlines()[0]} | {used} |')
    return '\n'.join(lines)


def with_drawing(text: str) -> str:
    """Return the document with the drawing between its marks."""
    begin, end = MARKS
    pattern = f'(?<={re.escape(begin)}\n).*(?={re.escape(end)})'
    return re.sub(pattern, lambda _: draw() + '\n', text, flags=re.S)


if __name__ == '__main__':
    DOCUMENT.write_text(with_drawing(DOCUMENT.read_text()))
