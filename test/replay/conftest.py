"""What the tests of replay share: a recording, and detectors that need no network."""

import pytest

pytest.importorskip('av')
pytest.importorskip('matplotlib')
pytest.importorskip('rosbags')
pytest.importorskip('tqdm')
import recordings  # noqa: E402
from orange_detector import replace_network  # noqa: E402
from replaying import FRAMES  # noqa: E402


@pytest.fixture
def detectors(monkeypatch):
    """Replace the network; the list holds every detector that was made."""
    monkeypatch.setattr('ssd_perception.replay.pipeline.PIECE_FRAMES', 10)
    return replace_network(monkeypatch)


@pytest.fixture(scope='module')
def recording(tmp_path_factory):
    return recordings.write_recording(tmp_path_factory.mktemp('bags') / 'drive', frames=FRAMES,
                                      size=(320, 320))
