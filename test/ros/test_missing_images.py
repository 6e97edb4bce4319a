"""The watchdog finds the reason for missing images, logs it once, and notices recovery."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip('rclpy')
from rclpy.qos import QoSProfile, ReliabilityPolicy  # noqa: E402

from ssd_perception.core.interface import IMAGE_TYPES  # noqa: E402
from ssd_perception.ros import missing_images  # noqa: E402
from ssd_perception.ros.missing_images import (  # noqa: E402
    Input,
    Publisher,
    Watchdog,
    reason,
)

BEST_EFFORT = QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)
RELIABLE = QoSProfile(depth=1, reliability=ReliabilityPolicy.RELIABLE)
INPUTS = [Input('/camera/image', IMAGE_TYPES[0]),
          Input('/camera/image/compressed', IMAGE_TYPES[1])]
NOBODY = {source.topic: [] for source in INPUTS}


def explain(publishers=None, topics=(), qos=BEST_EFFORT):
    return reason(INPUTS, {**NOBODY, **(publishers or {})}, topics, qos)


def test_nobody_publishes_anything():
    text = explain()
    assert 'Nobody publishes /camera/image or /camera/image/compressed' in text
    assert 'no image topic is seen' in text


def test_nobody_publishes_but_similar_topics_exist():
    text = explain(topics=['/rear/depth', '/camera/image_raw', '/a', '/b', '/c/d'])
    assert 'image topics seen: /camera/image_raw, ' in text
    assert 'image:=' in text


@pytest.mark.parametrize('theirs, ours, compatible', [
    (RELIABLE, BEST_EFFORT, True), (BEST_EFFORT, RELIABLE, False)])
def test_incompatible_qos_and_publisher_without_data(theirs, ours, compatible):
    text = explain({'/camera/image': [Publisher('/driver', IMAGE_TYPES[0], theirs)]}, qos=ours)
    assert text.startswith('/driver publishes /camera/image')
    if compatible:
        assert 'nothing arrives' in text and 'PUBLISHER' in text
        profile = text.partition('FASTDDS_DEFAULT_PROFILES_FILE=')[2].partition(' (')[0]
        assert Path(profile).is_file()
        assert text.endswith('(up to ROS 2 Jazzy the name is FASTRTPS_DEFAULT_PROFILES_FILE).')
    else:
        assert 'QoS' in text and 'qos_overrides./camera/image.subscription' in text


@pytest.mark.parametrize('rmw, knob, alone', [
    ('rmw_fastrtps_cpp', 'start the PUBLISHER with FASTDDS_DEFAULT_PROFILES_FILE=', ''),
    ('rmw_cyclonedds_cpp', 'net.core.rmem_max', ''),
    ('rmw_zenoh_cpp', 'transport/shared_memory/enabled=true', 'rmw_zenohd'),
    ('rmw_connextdds', 'raise the buffers of rmw_connextdds', '')])
def test_each_middleware_has_its_own_remedy(monkeypatch, rmw, knob, alone):
    monkeypatch.setattr(missing_images, 'middleware', lambda: rmw)
    driver = {'/camera/image': [Publisher('/driver', IMAGE_TYPES[0], RELIABLE)]}
    for text in (explain(driver), missing_images.losses('/image', 0.5, 900_000, True)):
        assert knob in text and ('FASTDDS' in text) == (rmw == 'rmw_fastrtps_cpp')
    assert f'{rmw} loses its large images' in explain(driver)
    assert alone in explain() and ('zenoh' in explain()) == (rmw == 'rmw_zenoh_cpp')


def test_wrong_type():
    text = explain({'/camera/image': [Publisher('/talker', 'std_msgs/msg/String', RELIABLE)]})
    assert text == ('/talker publishes /camera/image as std_msgs/msg/String, but '
                    'sensor_msgs/msg/Image is needed.')


def test_compressed_images_on_a_topic_of_raw_ones_come_with_the_remedy():
    text = reason(INPUTS[:1], {'/camera/image': [
        Publisher('/driver', IMAGE_TYPES[1], RELIABLE)]}, [], BEST_EFFORT)
    assert text.endswith('is needed; set the parameter image_transport to auto or compressed.')


def test_with_several_cameras_the_hint_names_the_remap_of_this_one():
    text = reason(INPUTS, NOBODY, ['/rear/image_raw'], BEST_EFFORT, camera='front')
    assert '-r front/image:=TOPIC, or the launch argument cameras:=front=TOPIC' in text


def test_small_images_that_stop_are_no_matter_of_buffers():
    publishers = {**NOBODY, '/camera/image': [Publisher('/driver', IMAGE_TYPES[0], RELIABLE)]}
    text = reason(INPUTS, publishers, [], BEST_EFFORT, last_bytes=35_000)
    assert text.endswith('but nothing arrives any more: it sends nothing, or is paused.')
    assert 'PUBLISHER' in reason(INPUTS, publishers, [], BEST_EFFORT, last_bytes=900_000)


def test_it_speaks_once_per_reason_and_once_on_recovery():
    dog = Watchdog(now=100.0)
    assert dog.check(103.9, 5.0, lambda: 'A') is None
    assert dog.check(104.0, 5.0, lambda: 'A') is None
    assert dog.check(105.0, 5.0, lambda: 'A') == 'A'
    assert dog.check(105.5, 5.0, lambda: 'A') is None
    assert dog.check(106.0, 5.0, lambda: 'B') is None, 'B may pass: a publisher just appeared'
    assert dog.check(107.0, 5.0, lambda: 'B') == 'B'
    assert dog.complaint == 'B'
    dog.alive(108.0)
    assert dog.check(108.1, 5.0, lambda: 'B') == ''
    assert dog.complaint == ''
    assert dog.check(108.6, 5.0, lambda: 'B') is None
    assert dog.check(112.0, 5.0, lambda: 'B') is None
    assert dog.check(113.0, 5.0, lambda: 'B') == 'B', 'the same reason counts anew'


def test_a_timeout_shorter_than_the_patience_still_recovers():
    dog = Watchdog(now=100.0)
    assert dog.check(101.0, 0.5, lambda: 'A') is None
    assert dog.check(101.5, 0.5, lambda: 'A') == 'A'
    dog.alive(101.6)
    assert dog.check(101.7, 0.5, lambda: 'A') == ''


def test_one_image_between_two_looks_ends_the_complaint():
    dog = Watchdog(now=100.0)
    dog.check(100.6, 1.0, lambda: 'A')
    assert dog.check(101.1, 1.0, lambda: 'A') == 'A'
    dog.alive(101.11)
    assert dog.check(101.62, 1.0, lambda: 'A') == '', 'it came, if more than half a second ago'
    assert dog.check(102.2, 1.0, lambda: 'A') is None
    assert dog.check(102.8, 1.0, lambda: 'A') == 'A', 'and there was no second one'


def test_zero_means_never():
    assert Watchdog(now=0.0).check(1e9, 0.0, lambda: 'A') is None


def test_a_graph_that_changes_at_every_look_does_not_hide_that_nothing_comes():
    dog = Watchdog(now=100.0)
    reasons = (f'reason {number}' for number in range(100))
    spoken = [dog.check(100 + look / 2, 5.0, lambda: next(reasons)) for look in range(40)]
    assert dog.complaint and spoken.count(None) == 39
