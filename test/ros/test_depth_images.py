"""Depth images in the node: used where registered, else a sentence; no DDS needed."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip('vision_msgs')
pytest.importorskip('visualization_msgs')
from scene_bench import MOUNT, STAMP_NS, Bench, no_tf  # noqa: E402

from ssd_perception.scene.camera_model import mounting  # noqa: E402


@pytest.mark.parametrize(('encoding', 'big'), [
    ('16UC1', False), ('32FC1', False), ('16UC1', True)])
def test_depth_is_used_with_the_unit_of_its_encoding(encoding, big):
    bench = Bench(('depth', 'ground'))
    bench.depth(1.85, encoding, big=big)
    message = bench.publish()
    assert message.detections[0].bbox.center.position.x == pytest.approx(2.0, abs=0.06)
    assert bench.scene.values()['positions from depth'] == '2'


@pytest.mark.parametrize(('fields', 'sentence'), [
    ({'stamp_ns': STAMP_NS + 10 ** 8}, "has the image's stamp"),
    ({'width': 320, 'height': 240}, 'The depth image has 320x240, the image 640x480'),
    ({'encoding': '8UC1'}, 'encoding "8UC1"'),
    ({'frame_id': 'depth_optical'}, 'The depth image is of "depth_optical"')])
def test_a_depth_image_that_does_not_fit_gives_a_sentence(fields, sentence):
    bench = Bench(('depth', 'ground'))
    bench.depth(**fields)
    assert bench.publish().detections == []
    assert sentence in bench.reason


class Between:
    """TF that knows how far a depth camera is from the image's, and counts questions."""

    def __init__(self, metres=0.0, radians=0.0):
        self.metres, self.radians, self.asked = metres, radians, []

    def __call__(self, target, source, stamp_ns):
        self.asked.append((target, source, stamp_ns))
        if target == 'base_link':
            return MOUNT
        if self.metres is None:
            return no_tf(target, source, stamp_ns)
        transform = mounting(self.metres, 0.0, 0.0, 0.0, self.radians, 0.0)
        transform[:3, :3] = transform[:3, :3] @ mounting(*[0.0] * 6)[:3, :3].T
        return transform


@pytest.mark.parametrize(('metres', 'radians', 'sentence'), [
    (0.0, 0.0, ''), (0.001, 0.001, ''), (0.015, 0.0, 'they are 15 mm and 0.0 degrees apart'),
    (0.0, -0.02, 'they are 0 mm and 1.1 degrees apart'), (0.0, np.pi, '180.0 degrees apart'),
    (None, 0.0, 'No transform from depth_optical to optical')])
def test_depth_of_another_frame_is_used_where_tf_has_both_at_one_place(metres, radians, sentence):
    """Simulators name two sensors at one place differently."""
    bench = Bench(('depth', 'ground'), mount=None, lookup=Between(metres, radians))
    bench.depth(frame_id='depth_optical')
    assert len(bench.publish().detections) == (0 if sentence else 2)
    assert sentence in bench.reason and bench.scene.values().get('positions from depth') == (
        None if sentence else '2')
    if sentence:
        assert 'is of "depth_optical", the image of "optical"; publish' in bench.reason


def test_two_frames_are_compared_once_a_second_and_after_a_jump_of_the_clock(monkeypatch):
    now, lookup = [100.0], Between()
    monkeypatch.setattr('ssd_perception.ros.depth_images.time.monotonic', lambda: now[0])
    bench = Bench(('depth', 'ground'), mount=None, lookup=lookup)

    def located(seconds, frame_id='depth_optical'):
        now[0] += seconds
        bench.scene._depth._kept.clear()
        bench.depth(frame_id=frame_id)
        return len(bench.publish().detections)

    assert located(0.0) == located(0.5) == located(0.4) == 2
    assert [asked[:2] for asked in lookup.asked].count(('optical', 'depth_optical')) == 1
    lookup.metres = 0.1  # the transform changes
    assert located(0.5) == 0
    lookup.metres = 0.0
    assert located(0.1) == 0
    bench.scene.forget()
    assert located(0.0) == 2
    lookup.metres = 0.1
    assert located(0.1) == 2 and located(0.1, 'other_optical') == 0
    assert located(0.1, '') == 2 and located(0.0, 'optical') == 2


def test_depth_images_of_gigabytes_are_not_kept(monkeypatch):
    monkeypatch.setattr('ssd_perception.ros.depth_images.MAX_BYTES', 3 * 640 * 480 * 4)
    bench = Bench(('depth',))
    for i in range(6):
        bench.depth(stamp_ns=STAMP_NS + i)
    assert len(bench.scene._depth._kept) == 3


def test_where_no_depth_camera_was_ever_heard_the_ground_serves():
    assert len(Bench(('depth', 'ground')).publish().detections) == 2
