"""Each extra of setup.py brings what the modules need that it is for."""

import importlib.util
import re
import subprocess
import sys
from pathlib import Path

import pytest

from ssd_perception.inference.runtimes import RUNTIMES, to_markdown

# Modules that are imported when the verbs of an extra run.
NEEDED_BY = {
    'demo': ('live.demo', 'live.summary', 'live.live_table'),
    'detect': ('replay.detect',),
    'evaluate': ('evaluation.run', 'evaluation.report'),
    'bags': ('bags.reader', 'bags.writer', 'bags.frames'),
    'replay': ('replay.run', 'replay.page', 'mining.run'),
}
# Import names of what PyPI knows by another, and what a library brings along itself.
IMPORTED = {'pillow': 'PIL'}
BRINGS = {'matplotlib': {'PIL'}, 'rosbags': {'lz4', 'zstandard'}}
BLOCKED = {'torch', 'torchvision', 'matplotlib', 'pycocotools', 'PIL', 'tqdm', 'rosbags', 'mcap',
           'zstandard', 'lz4', 'av', 'markupsafe', 'scipy', 'imagehash', 'onnx', 'onnxruntime',
           'openvino'}
IMPORT_WITHOUT = """
import importlib, sys
sys.modules.update(dict.fromkeys(sys.argv[1].split(',')))
for name in sys.argv[2].split(','):
    importlib.import_module('ssd_perception.' + name)
"""


@pytest.mark.parametrize('extra', NEEDED_BY)
def test_an_extra_is_enough_for_what_it_is_for(setup_arguments, extra):
    libraries = {re.split(r'[><=]', line)[0] for line in setup_arguments['extras_require'][extra]}
    there = {IMPORTED.get(name, name) for name in libraries}
    there |= {brought for name in libraries for brought in BRINGS.get(name, ())}
    if any(importlib.util.find_spec(name) is None for name in there):
        pytest.skip('not all of it is installed here')
    done = subprocess.run([sys.executable, '-c', IMPORT_WITHOUT, ','.join(BLOCKED - there),
                           ','.join(NEEDED_BY[extra])], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_ray_and_fsspec_have_extras_of_their_own_and_no_module_imports_them_at_once(
        setup_arguments):
    extras = setup_arguments['extras_require']
    for library, extra in (('ray', 'fleet'), ('fsspec', 'remote')):
        assert [name for name, lines in extras.items()
                if any(line.startswith(library) for line in lines)] == [extra]
        assert not any(line.startswith(library) for line in setup_arguments['install_requires'])
    done = subprocess.run([sys.executable, '-c', IMPORT_WITHOUT, 'ray,fsspec', 'fleet.replay'],
                          capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_extras_and_docs_follow_from_the_table(setup_arguments):
    assert {name for name, row in RUNTIMES.items() if row.install} \
        <= set(setup_arguments['extras_require'])
    page = (Path(__file__).parents[2] / 'docs' / 'deploying.md').read_text()
    table = page.partition('<!-- runtimes -->\n')[2].partition('<!-- /runtimes -->')[0]
    assert table == to_markdown()
