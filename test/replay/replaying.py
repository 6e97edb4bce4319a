"""The verb `replay` as tests call it, and what it leaves; a pytest plugin with their fixtures."""

import argparse
from dataclasses import replace

import pytest
import recordings
from orange_detector import replace_network

from ssd_perception.__main__ import main
from ssd_perception.bags.reader import Bag
from ssd_perception.cli import replay as verb
from ssd_perception.replay.run import run

FRAMES = 25


@pytest.fixture
def detectors(monkeypatch):
    """Replace the network; the list holds every detector that was made."""
    return replace_network(monkeypatch)


@pytest.fixture(scope='module')
def recording(tmp_path_factory):
    return recordings.write_recording(tmp_path_factory.mktemp('bags') / 'drive', frames=FRAMES,
                                      size=(320, 320))


def replay(bag, out, *words):
    return main(['replay', str(bag), '--out', str(out), *words])


def replay_in_chunks(bag, out, *words, **options):
    """Replay with chunks of ten frames; return the summary."""
    parser = argparse.ArgumentParser()
    verb.add_arguments(parser)
    args = parser.parse_args([str(bag), '--out', str(out), *words])
    return run(replace(verb.options(args), chunk_frames=10, **options))


def files(out):
    """Return what must be the same in every run."""
    return {path.name: path.read_bytes() for path in sorted(out.rglob('*'))
            if path.suffix in ('.jsonl', '.webm', '.mcap')}


def messages(out, topic):
    with Bag(out / 'bag') as bag:
        return [record.message for record in bag.records([topic])]
