"""`ssd_perception demo`: the shipped weights on the shipped recording, and every way to fail."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

for module in ('rclpy', 'vision_msgs', 'torch', 'rosbags', 'av'):
    pytest.importorskip(module)
import recordings  # noqa: E402

ROOT = Path(__file__).parents[2]
RECORDING = ROOT / 'demo' / 'recording'
WEIGHTS = ROOT / 'weights' / 'rover.safetensors'
MARK = 'SSD_PERCEPTION_TEST_RUN'


@pytest.fixture
def demo(tmp_path):
    """Start the demo as `make demo` does, in a ROS domain of its own; it is over afterwards."""
    def start(recording, *words):
        env = {name: value for name, value in os.environ.items()
               if not name.startswith(('FASTDDS_', 'FASTRTPS_')) and name != 'ROS_DOMAIN_ID'}
        return subprocess.Popen(
            [sys.executable, '-m', 'ssd_perception', 'demo', '--recording', str(recording),
             '--out', str(tmp_path / 'out'), *words], cwd=ROOT, text=True,
            env={**env, MARK: str(tmp_path)}, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    yield start
    assert left_behind(tmp_path) == []


def left_behind(mark):
    """Return the command lines of processes that a marked demo started and left."""
    found = []
    for folder in Path('/proc').glob('[0-9]*'):
        try:
            if f'{MARK}={mark}'.encode() in (folder / 'environ').read_bytes().split(b'\0'):
                found.append((folder / 'cmdline').read_text())
        except OSError:  # ended meanwhile, or another user's
            continue
    return found


@pytest.fixture(scope='module')
def synthetic(tmp_path_factory):
    return recordings.write_recording(tmp_path_factory.mktemp('bags') / 'drive', frames=20)


@pytest.fixture(scope='module')
def random_weights(tmp_path_factory):
    """A small network with random weights, which says nothing about any recording."""
    import torch

    from ssd_perception.core.metadata import Architecture, Metadata
    from ssd_perception.model.ssd import SSD
    from ssd_perception.model.weights import save_weights
    torch.manual_seed(1)
    architecture = Architecture('efficientnet_lite0', (128, 128), pyramid_channels=32,
                                head_depth=1)
    return save_weights(tmp_path_factory.mktemp('weights') / 'tiny.safetensors',
                        SSD(architecture, 2), Metadata(('cone', 'cube'), architecture))


@pytest.mark.skipif(not WEIGHTS.is_file(), reason='weights/rover.safetensors is not there')
@pytest.mark.skipif(not RECORDING.is_dir(), reason='demo/recording is not there')
def test_demo_ends_well(demo, tmp_path):
    # Half the speed: whether frames are answered must not depend on what else runs here.
    process = demo(RECORDING, '--rate', '0.5')
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0, out + err
    for words in ('frames sent', 'answered', 'detected', 'median age', 'AP50 by the model card'):
        assert words in out
    folder = tmp_path / 'out'
    summary = json.loads((folder / 'summary.json').read_text())
    assert summary['answered'] >= 0.95 * summary['sent'] and summary['failures'] == []
    assert {'frames', 'video.webm', 'contact_sheet.png', 'summary.html'} <= {
        path.name for path in folder.iterdir()}


def test_weights_that_promise_nothing_are_a_failure_with_results(demo, synthetic, random_weights,
                                                                 tmp_path):
    process = demo(synthetic, '--weights', str(random_weights))
    out, err = process.communicate(timeout=120)
    assert process.returncode == 1
    assert 'have no AP50 on the recording' in err and 'Traceback' not in err
    summary = json.loads((tmp_path / 'out' / 'summary.json').read_text())
    assert summary['sent'] == 20 and summary['answered'] > 0
    assert summary['ap50'] is not None and summary['age_ms']['median'] > 0


def test_a_dying_node_is_told_in_its_own_words(demo, synthetic, tmp_path):
    from safetensors.numpy import save_file

    from ssd_perception.core.metadata import KEY, Metadata
    hollow = tmp_path / 'hollow.safetensors'
    save_file({}, hollow, metadata={KEY: Metadata(('cone',)).to_json()})
    process = demo(synthetic, '--weights', str(hollow))
    _, err = process.communicate(timeout=60)
    assert process.returncode == 1
    assert 'The detector node ended' in err and 'hollow.safetensors' in err
    assert 'Traceback' not in err


@pytest.mark.parametrize('sent', [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_everything(demo, synthetic, random_weights, tmp_path, sent):
    process = demo(synthetic, '--weights', str(random_weights))
    end = time.monotonic() + 30
    while len(left_behind(tmp_path)) < 4 and time.monotonic() < end:
        time.sleep(0.1)
    time.sleep(1.0)
    process.send_signal(sent)
    _, err = process.communicate(timeout=30)
    assert process.returncode == 130
    assert 'Traceback' not in err
    assert not (tmp_path / 'out').exists()


@pytest.mark.parametrize('words, says', [
    (['--weights', 'nothing_of_the_kind'], 'not found'),
    (['--recording', '/nowhere'], 'no recording at /nowhere'),
    (['--weights', __file__], 'not a readable safetensors file'),
])
def test_wrong_input_is_one_sentence(demo, synthetic, words, says):
    process = demo(synthetic, *words)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 1
    assert says in err and len(err.splitlines()) == 1
