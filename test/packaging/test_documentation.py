"""Nothing in the documentation is stale: commands, options, launch arguments, links, sentences."""

from __future__ import annotations

import ast
import contextlib
import importlib
import io
import re

import pytest
from documents import DOCUMENTS, ROOT, anchors, commands, links, spans, text

from ssd_perception.__main__ import VERBS, _Parser

# What runs each verb; further commands by their first words.
RUN_BY = {
    'ssd_perception bag_to_voc': 'test/mining/test_bag_to_voc.py',
    'ssd_perception check_data': 'test/cli/test_check_data.py',
    'ssd_perception demo': 'test/demo/test_demo.py',
    'ssd_perception detect': 'test/cli/test_detect.py',
    'ssd_perception evaluate': 'test/cli/test_evaluate.py',
    'ssd_perception export': 'test/inference/test_export.py',
    'ssd_perception import_torchvision': 'test/inference/test_published.py',
    'ssd_perception play': 'test/live/test_player.py',
    'ssd_perception publish': 'test/cli/test_publish.py',
    'ssd_perception replay': 'test/replay/replaying.py',
    'ssd_perception train': 'test/cli/test_train_past_bad_files.py',
    'ssd_perception view': 'test/live/test_viewer.py',
    'make demo': 'test/demo/test_demo.py',
    'make drive': 'test/sim/test_drive.py',
    'colcon build': 'test/packaging/test_install.py',
    'pip install': 'test/packaging/test_robot_install.py',
    'ruff check': 'test/packaging/test_style.py',
    'mypy': 'test/packaging/test_style.py',
    'ros2 launch': 'test/ros/test_launch_and_config.py',
    'ros2 run': 'test/ros/test_ros2_tools.py',
    'ros2 topic': 'test/ros/test_ros2_tools.py',
    'torchrun': 'test/training/test_distributed.py',
    'python -m ssd_perception.ros.parameters': 'test/ros/test_parameters.py',
    'python tools/measure_far.py': 'test/tools/test_measure_far.py',
    'python tools/measure_positions.py': 'test/tools/test_measure_positions.py',
    'python tools/simulate_place.py': 'test/tools/test_simulate_place.py',
    'python tools/shift_scores.py': 'test/tools/test_shift_scores.py',
    'python tools/draw_architecture.py': 'test/packaging/test_architecture.py',
}
# Commands that no test runs, and why; what can be checked of them without running is.
NOT_RUN = {
    'ssd_perception benchmark': 'takes minutes of a quiet machine; test/benchmark has its parts',
    'make': 'tests are started by it',
    'pytest': 'this is one',
    'cd': 'changes a shell', 'source': 'changes a shell', 'export': 'changes a shell',
    'mkdir': 'makes a folder',
    'git clone': 'needs the published address',
    'rosdep': 'needs an apt installation of ROS', 'sudo': 'changes the machine',
    'apt': 'changes the machine', 'python3 -m venv': 'test_robot_install.py makes one',
    'labelImg': 'opens a window', 'docker': 'needs a Docker daemon',
    'ros2 security': 'needs the sros2 package of an apt installation',
    'ros2 lifecycle': 'needs the ros2 command of an apt installation',
    'ros2 action': "needs nav2's following server",
    'python tools/drives_to_voc.py': 'needs drives that take an hour to render',
    'python tools/measure_tracks.py': 'needs trackeval',
    'python tools/train_others.py': 'trains for 25 minutes; test_train_others.py does a step',
    'yolo': 'needs ultralytics, which nothing here installs',
    'demo/venv/bin/python -m demo.render_drive': 'renders for an hour',
    'demo/venv/bin/python -m demo.render_cutouts': 'renders for minutes, with bpy',
    'demo/venv/bin/python -m demo.render_pictures': 'renders for minutes, with bpy',
}
SOURCES = [*ROOT.glob('ssd_perception/**/*.py'), *ROOT.glob('launch/*.py')]


def parser_of(verb):
    """Return the verb's parser, as the command line builds it."""
    module = importlib.import_module(VERBS[verb])
    parser = _Parser(prog=verb)
    module.add_arguments(parser)
    return parser


def program(words):
    """Return the words without where the program lies and without what starts it."""
    first = re.sub(r'^\.venv(-\w+)?/bin/', '', words[0])
    words = [first, *words[1:]]
    for i, word in enumerate(words[:-1]):
        if word == '-m' and words[i + 1] in ('ssd_perception', 'pip'):
            return words[i + 1:]
    return words


def launch_arguments():
    tree = ast.parse((ROOT / 'launch' / 'detector.launch.py').read_text())
    table, = (s.value for s in tree.body if isinstance(s, ast.Assign)
              and s.targets[0].id == 'ARGUMENTS')
    return {row.elts[0].value for row in table.elts}


def complaint(words):
    """Return what is wrong with a command; nothing when it can be run as it stands."""
    if words[0] == 'ssd_perception':
        if words[1] not in VERBS:
            return f'no verb {words[1]}'
        if words[2:] in (['...'], []):
            return ''
        stderr = io.StringIO()
        with contextlib.redirect_stderr(stderr):
            try:
                parser_of(words[1]).parse_args([w for w in words[2:] if w != '...'])
            except SystemExit:
                return stderr.getvalue().strip()
    if words[:3] == ['ros2', 'launch', 'ssd_perception']:
        given = {word.partition(':=')[0] for word in words[4:]}
        return ', '.join(given - launch_arguments())
    if words[:3] == ['ros2', 'run', 'ssd_perception'] and words[3] not in (
            'detector_node', 'ssd_perception'):
        return f'no executable {words[3]}'
    if words[0] == 'make':
        target = next(w for w in words[1:] if '=' not in w)
        return '' if re.search(rf'^{target}:', text('Makefile'), re.M) else f'no target {target}'
    return ''


@pytest.mark.parametrize('document', DOCUMENTS)
def test_commands_are_run_by_a_test_or_known_not_to_be(document, setup_arguments):
    extras = set(setup_arguments['extras_require'])
    for words in commands(document):
        words = program(words)
        line = ' '.join(words)
        known = [start for start in (*RUN_BY, *NOT_RUN) if f'{line} '.startswith(f'{start} ')]
        assert known, f'{document}: no test runs "{line}"; add it to RUN_BY or NOT_RUN'
        assert not complaint(words), f'{document}: {line}: {complaint(words)}'
        for word in words:  # files of this repository
            if word.startswith(('config/', 'tools/', 'test/', 'demo/', 'examples/')) \
                    and not word.startswith('demo/venv'):
                assert (ROOT / word).exists(), f'{document}: no {word}'
        for extra in re.findall(r'(?:\.|ssd_perception)\[([\w,]+)\]', line):
            assert set(extra.split(',')) <= extras, f'{document}: no extra {extra}'


@pytest.mark.parametrize('start', RUN_BY)
def test_the_test_that_runs_a_command_is_there(start):
    path = ROOT / RUN_BY[start]
    verb = start.split()[-1] if start.startswith('ssd_perception') else ''
    assert verb in path.read_text()


def test_every_verb_is_run_by_a_test():
    assert {f'ssd_perception {verb}' for verb in VERBS} <= {*RUN_BY, *NOT_RUN}


@pytest.mark.parametrize('document', DOCUMENTS)
def test_options_named_in_the_text_exist(document):
    for span in spans(document):
        words = program(span.split())
        if words[0] != 'ssd_perception' or len(words) < 2 or words[1] not in VERBS:
            continue
        options = parser_of(words[1])._option_string_actions
        named = {word.partition('=')[0] for word in words if word.startswith('--')}
        assert named <= {*options, '--ros-args', '--help'}, f'{document}: `{span}`'
    for span in spans(document):
        if span.startswith('ros2 launch ssd_perception'):
            assert not complaint(span.split()), f'{document}: `{span}`'


@pytest.mark.parametrize('document', DOCUMENTS)
def test_links_lead_somewhere(document):
    for link in links(document):
        if link.startswith(('http://', 'https://', 'mailto:')):
            continue
        target, _, anchor = link.partition('#')
        path = (ROOT / document).parent / target if target else ROOT / document
        assert path.exists(), f'{document}: {link}'
        if anchor and path.suffix == '.md':
            named = path.resolve().relative_to(ROOT).as_posix()
            assert anchor in anchors(named), f'{document}: {link}'


def test_every_document_can_be_reached_from_the_readme():
    reached, waiting = set(), ['README.md']
    while waiting:
        document = waiting.pop()
        if document in reached:
            continue
        reached.add(document)
        for link in links(document):
            path = ((ROOT / document).parent / link.partition('#')[0]).resolve()
            if path.suffix == '.md' and path.is_file():
                waiting.append(path.relative_to(ROOT).as_posix())
    # of the weights the README names the default; the others lie beside it
    assert {name for name in DOCUMENTS if not name.startswith('weights/')} <= reached


def code_sentences():
    """Return all text in the code, as a user may see it, in one string."""
    parts = []
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                parts.append(' '.join(node.value.split()))
    return '\n'.join(parts)


def seen_sentences():
    """Return what stands first in each entry of docs/troubleshooting.md."""
    rows = re.findall(r'^(?:\| |- )`([^`]+)`', text('docs/troubleshooting.md'), re.M)
    return [row for row in rows if ' ' in row]


def test_troubleshooting_begins_with_what_the_code_says():
    code = code_sentences()
    assert len(seen_sentences()) > 8
    for sentence in seen_sentences():
        # Left out is what changes from case to case: names, paths, numbers, dots for the rest.
        literal = re.split(r'\.\.\.|\(ms\)|cuda|nothing, |activate|\S+\.safetensors|'
                           r'\S*/\S*|\S*\d\S*|"\S*"', sentence)
        pieces = [piece.strip(' ,.;:') for piece in literal]
        missing = [piece for piece in pieces if piece and piece not in code]
        assert not missing, f'"{sentence}": the code does not say {missing}'
