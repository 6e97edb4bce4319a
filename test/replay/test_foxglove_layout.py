"""The shipped Foxglove layout shows topics that replay writes."""

import json
from pathlib import Path

import pytest

pytest.importorskip('rosbags')
from ssd_perception.replay.assemble import result_topics  # noqa: E402
from ssd_perception.replay.cameras import Camera  # noqa: E402

LAYOUT = json.loads((Path(__file__).parents[2] / 'config' / 'foxglove.json').read_text())


def panels(layout):
    return [layout] if isinstance(layout, str) else [
        name for side in ('first', 'second') for name in panels(layout[side])]


def test_every_panel_is_placed_once():
    assert sorted(panels(LAYOUT['layout'])) == sorted(LAYOUT['configById'])


def test_topics_are_those_of_a_replay_with_its_originals():
    results = set(result_topics(Camera('/camera/image_raw/compressed', '', 'camera')).values())
    shown = set()
    for panel in LAYOUT['configById'].values():
        image = panel.get('imageMode', {})
        shown |= {image.get('imageTopic', ''), panel.get('topicPath', ''),
                  *image.get('annotations', {})}
        shown |= {path['value'].partition('.')[0] for path in panel.get('paths', [])}
    assert shown - {'', '/camera/image_raw/compressed'} == results
