"""What `make` asks tools/make_env.sh for exists; a wrong word is one sentence."""

import re
import subprocess
from pathlib import Path

import ssd_perception

ROOT = Path(ssd_perception.__file__).parents[1]
SCRIPT = ROOT / 'tools' / 'make_env.sh'


def test_an_unknown_purpose_is_one_sentence_and_changes_nothing(tmp_path):
    done = subprocess.run([SCRIPT, 'everything'], capture_output=True, text=True,
                          env={'VENV': str(tmp_path / 'venv'), 'PATH': '/usr/bin:/bin'})
    assert done.returncode == 1 and done.stdout == ''
    assert done.stderr == ('make env: what for? demo, drive, or nothing for everything; '
                           'got everything\n')
    assert list(tmp_path.iterdir()) == []


def test_the_targets_purposes_are_known_and_need_no_torch():
    targets = re.search(r'^(env-.*):$', (ROOT / 'Makefile').read_text(), re.M).group(1)
    purposes = [target.removeprefix('env-') for target in targets.split()]
    assert re.search(rf"^    {' [|] '.join(purposes)}\) EXTRAS=\"\$LEVEL,onnxruntime\"",
                     SCRIPT.read_text(), re.M)


def test_its_extras_exist(setup_arguments):
    listed = re.search(r"^ALL='(.*)'", SCRIPT.read_text(), re.M).group(1).split(',')
    extras = setup_arguments['extras_require']
    assert {*listed, 'demo', 'drive', 'onnxruntime'} <= set(extras)
    for light in ('demo', 'drive', 'onnxruntime'):
        assert not [line for line in extras[light] if line.startswith('torch')]
        # The stamp of everything also stands for the smaller ones.
        assert set(extras[light]) <= {line for name in listed for line in extras[name]}
