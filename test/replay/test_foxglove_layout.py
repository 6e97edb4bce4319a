"""The shipped Foxglove layout shows topics that replay writes."""

import json
from pathlib import Path

import pytest

pytest.importorskip('rosbags')
from ssd_perception.replay.cameras import RecordedCamera  # noqa: E402
from ssd_perception.replay.results import result_topics  # noqa: E402

LAYOUT = json.loads((Path(__file__).parents[2] / 'config' / 'foxglove.json').read_text())


def panels(layout):
    return [layout] if isinstance(layout, str) else [
        name for side in ('first', 'second') for name in panels(layout[side])]


def test_every_panel_is_placed_once():
    assert sorted(panels(LAYOUT['layout'])) == sorted(LAYOUT['configById'])


def test_topics_are_those_of_a_replay_with_its_originals():
    camera = RecordedCamera('/camera/image_raw/compressed', '', 'camera')
    results = set(result_topics(camera).values())
    shown = set()
    for panel in LAYOUT['configById'].values():
        image = panel.get('imageMode', {})
        shown |= {image.get('imageTopic', ''), panel.get('topicPath', ''),
                  *image.get('annotations', {})}
        shown |= {path['value'].partition('.')[0] for path in panel.get('paths', [])}
    assert shown - {'', '/camera/image_raw/compressed'} == results
