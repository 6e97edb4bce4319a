"""The example steers by the shipped recording, and stands still when detections grow old."""

from __future__ import annotations

import importlib.util
import math
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytest.importorskip('vision_msgs')
pytest.importorskip('rosbags')
import rclpy  # noqa: E402
from geometry_msgs.msg import PoseStamped, Twist, TwistStamped  # noqa: E402
from rclpy.duration import Duration  # noqa: E402
from sensor_msgs.msg import CameraInfo  # noqa: E402
from std_msgs.msg import Header  # noqa: E402
from vision_msgs.msg import (  # noqa: E402
    BoundingBox2D,
    Detection2D,
    Detection2DArray,
    Detection3D,
    Detection3DArray,
    ObjectHypothesis,
    ObjectHypothesisWithPose,
    Point2D,
    Pose2D,
)

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / 'examples' / 'follow_cone.py'

_spec = importlib.util.spec_from_file_location('follow_cone', EXAMPLE)
follow_cone = importlib.util.module_from_spec(_spec)
sys.modules['follow_cone'] = follow_cone
_spec.loader.exec_module(follow_cone)


def detections(*boxes):
    """Return (x, height, class, score) in a picture of 640x480 as a message."""
    return Detection2DArray(detections=[Detection2D(
        results=[ObjectHypothesisWithPose(hypothesis=ObjectHypothesis(class_id=c, score=s))],
        bbox=BoundingBox2D(center=Pose2D(position=Point2D(x=float(x), y=240.0)), size_x=30.0,
                           size_y=float(h))) for x, h, c, s in boxes])


@pytest.mark.parametrize('boxes, cone', [
    ([], None),
    ([(100, 50, 'cube', 0.9)], None),
    ([(100, 50, 'cone', 0.4)], None),
    ([(math.nan, 50, 'cone', 0.9), (320, math.inf, 'cone', 0.9)], None),
    ([(320, 120, 'cone', 0.9)], (0.0, 0.25)),
    ([(0, 48, 'cone', 0.9), (640, 240, 'cone', 0.6)], (1.0, 0.5)),
])
def test_the_largest_cone_is_chosen(boxes, cone):
    found = follow_cone.largest_cone(detections(*boxes), 640, 480, 'cone', 0.5)
    assert found == (None if cone is None else follow_cone.Cone(*cone))


@pytest.mark.parametrize('cone, forwards, turns', [
    (None, False, 0), ((0, 0.1), True, 0), ((0.5, 0.1), True, -1), ((-0.5, 0.1), True, 1),
    ((0.5, 0.7), False, 0),
])
def test_command(cone, forwards, turns):
    twist = follow_cone.command(cone and follow_cone.Cone(*cone), 0.3, 1.0, 0.6)
    assert (twist.linear.x > 0) == forwards and twist.linear.x <= 0.3
    assert (twist.angular.z > 0) - (twist.angular.z < 0) == turns


@pytest.mark.parametrize(('seen_ns', 'words'), [
    (None, 'Nothing to drive by'), (10 ** 10, ''), (9_600_000_000, ''),
    (9_400_000_000, '0.6 s old'), (0, '10.0 s old'), (13 * 10 ** 9, '3.0 s ahead')])
def test_why_it_stands_is_logged(seen_ns, words):
    reason = follow_cone.why_it_stands(seen_ns, 10 ** 10, 0.5)
    assert words in reason and bool(words) == bool(reason)


SETTINGS = {**follow_cone.PARAMETERS, 'front': 0.2}


@pytest.mark.parametrize(('target', 'obstacles', 'forwards', 'turns'), [
    ((2.0, 0.0), [], True, 0), ((2.0, 0.5), [], True, 1), ((2.0, -0.5), [], True, -1),
    ((0.7, 0.0), [], False, 0), ((0.6, 0.0), [], False, 0),
    ((0.0, 2.0), [], False, 1),  # beside: turn first
    ((2.0, 0.0), [(1.0, 0.1)], True, -1), ((2.0, 0.0), [(1.0, -0.1)], True, 1),
    ((2.0, 0.0), [(1.0, 0.8)], True, 0),  # far enough aside
    ((2.0, 0.0), [(2.6, 0.0)], True, 0), ((2.0, 0.0), [(-0.5, 0.0)], True, 0),
    ((2.0, 0.0), [(1.0, 0.1), (1.5, -0.1)], True, -1),  # the first one counts
])
def test_command_towards_a_target(target, obstacles, forwards, turns):
    twist = follow_cone.command_towards(
        follow_cone.Place(*target), [follow_cone.Place(*at, 0.15) for at in obstacles], SETTINGS)
    assert (twist.linear.x > 0) == forwards and twist.linear.x <= SETTINGS['speed']
    assert (twist.angular.z > 0) - (twist.angular.z < 0) == turns


@pytest.mark.parametrize('obstacles', [(), ((1.5, -0.15),), ((1.2, -0.3), (2.0, -0.3))])
def test_a_robot_that_drives_as_commanded_ends_before_the_target(obstacles):
    way, twist = follow_cone.Way(), Twist()
    goal, things = follow_cone.Place(3.0, -0.5), [follow_cone.Place(*at, 0.1) for at in obstacles]
    for tick in range(800):
        way.drive(tick * 50_000_000, twist)
        pose = way.pose(tick * 50_000_000)
        assert all(math.hypot(t.x - pose[0], t.y - pose[1]) > 0.3 for t in things)
        twist = follow_cone.command_towards(
            goal.from_pose(*pose), [thing.from_pose(*pose) for thing in things], SETTINGS)
    x, y, heading = way.pose(800 * 50_000_000)
    front = x + 0.2 * math.cos(heading), y + 0.2 * math.sin(heading)
    assert math.dist(front, (3.0, -0.5)) == pytest.approx(0.5, abs=0.03)


def test_a_place_is_where_it_was_when_the_robot_has_moved():
    way, start, twist = follow_cone.Way(), 10 ** 9, Twist()
    way.drive(start, twist)
    seen = follow_cone.Place(2.0, 0.0).at_pose(*way.pose(start))
    twist.linear.x = 0.5
    way.drive(start + 10 ** 9, twist)
    now = seen.from_pose(*way.pose(start + 10 ** 9))
    assert (now.x, now.y) == pytest.approx((1.5, 0.0))
    twist.linear.x, twist.angular.z = 0.0, 1.0
    way.drive(start + 2 * 10 ** 9, twist)
    now = seen.from_pose(*way.pose(start + 2 * 10 ** 9))
    assert (now.x, now.y) == pytest.approx((1.5 * math.cos(1), -1.5 * math.sin(1)))
    assert way.pose(start) == (0.0, 0.0, 0.0)  # what was seen then was seen from there


@pytest.fixture(scope='module')
def only_follower():
    rclpy.init()
    yield follow_cone.FollowCone()
    rclpy.shutdown()


@pytest.fixture
def follower(only_follower):
    """The follower as it begins; to make a node takes 0.2 s."""
    node = only_follower
    node._sizes, node._things, node._cone, node._target, node._seen_ns = {}, {}, None, None, None
    node._way, node._sent, node._with_positions = follow_cone.Way(), Twist(), False
    return node


def _target(now, x, ahead_s=0.0):
    stamp = (now + Duration(seconds=ahead_s)).to_msg()
    message = PoseStamped(header=Header(frame_id='base_link', stamp=stamp))
    message.pose.position.x = x
    return message


@pytest.mark.parametrize(('targets', 'drives'), [
    ([(2.0, 0.0)], True), ([(math.nan, 0.0)], False), ([(math.inf, 0.0)], False),
    ([(math.nan, 0.0), (2.0, 0.0)], True),  # and does not stay in its memory
    ([(2.0, 100.0)], False), ([(2.0, -100.0)], False)])
def test_it_stands_when_a_target_is_none_or_of_another_time(follower, targets, drives):
    for target in targets:
        follower._receive_target(_target(follower.get_clock().now(), *target))
    follower._drive()
    assert (follower._sent.linear.x > 0) == drives
    assert drives or follower._sent == Twist()


def test_an_obstacle_whose_place_is_no_number_is_none(follower):
    things = Detection3DArray(header=_target(follower.get_clock().now(), 0.0).header,
                              detections=[Detection3D()])
    things.detections[0].bbox.center.position.x = math.nan
    follower._receive_positions(things)
    assert not follower._things


@pytest.mark.parametrize(('width', 'ahead_s', 'drives'), [
    (640, 0.0, True), (0, 0.0, False), (640, 100.0, False)])
def test_without_positions_it_stands_too(follower, width, ahead_s, drives):
    """A clock that is ahead would be driven by long after the camera has died."""
    message = detections((320, 120, 'cone', 0.9))
    message.header = _target(follower.get_clock().now(), 0.0, ahead_s).header
    follower._receive_info(CameraInfo(header=message.header, width=width, height=width))
    follower._receive_detections(message)
    follower._drive()
    assert (follower._sent.linear.x > 0) == drives


def test_driven_by_a_target_over_dds(peer):
    example = subprocess.Popen([sys.executable, EXAMPLE, '--ros-args', '-p', 'max_age_s:=1.0',
                                '-p', 'stamped:=true'])
    try:
        received = peer.listen(TwistStamped, '/cmd_vel')
        targets = peer.publisher(PoseStamped, '/target', 10)
        assert peer.until(lambda: received and targets.get_subscription_count() > 0, 60.0)

        def drive(frame_id):
            message = PoseStamped()
            message.header.frame_id = frame_id
            message.header.stamp = peer.node.get_clock().now().to_msg()
            message.pose.position.x, message.pose.position.y = 2.0, 0.4
            received.clear()
            targets.publish(message)
            return peer.until(lambda: any(
                t.twist.linear.x > 0 and t.twist.angular.z > 0 for t in received), 0.8)

        assert not drive('map')
        assert drive('base_link')
        peer.spin(1.2)
        received.clear()
        assert peer.until(lambda: len(received) > 3, 20.0)
        assert all(t.twist == Twist() and t.header.frame_id == 'base_link' and t.header.stamp.sec
                   for t in received)
        assert drive('base_link')
        example.send_signal(signal.SIGTERM)  # while it drives
        assert peer.until(lambda: example.poll() is not None, 20.0) and example.returncode == 0
        assert peer.until(lambda: received[-1].twist == Twist(), 0.5)
    finally:
        example.kill()
        example.wait()


def test_driven_by_the_recording(peer):
    """Over DDS: it drives while the recording plays, and stands when that is over."""
    recording = ROOT / 'demo' / 'recording'
    if not recording.is_dir():
        pytest.skip('no data')
    topics = ['/ground_truth/detections', '/camera/camera_info']
    environment = {k: v for k, v in os.environ.items() if not k.startswith('FASTDDS_')}
    example = subprocess.Popen(
        [sys.executable, EXAMPLE, '--ros-args', '-r', f'detections:={topics[0]}',
         '-r', f'camera_info:={topics[1]}', '-p', 'max_age_s:=1.0'], env=environment)
    player = None
    try:
        received = peer.listen(Twist, '/cmd_vel')
        assert peer.until(lambda: received, 60.0)
        player = subprocess.Popen(
            [sys.executable, '-m', 'ssd_perception', 'play', recording, '--topics', *topics,
             '--stamp', 'now', '--wait-timeout', '60'], cwd=ROOT, env=environment)
        assert peer.until(lambda: player.poll() is not None, 120.0) and player.returncode == 0
        moving = [t for t in received if t.linear.x > 0]
        assert len(moving) > 20
        assert {t.angular.z > 0 for t in moving} == {True, False}  # the drive has cones on both
        time.sleep(1.2)
        received.clear()
        assert peer.until(lambda: len(received) > 5, 20.0)
        assert all(t == Twist() for t in received[-3:])
        example.send_signal(signal.SIGINT)
        assert example.wait(20) == 0
    finally:
        for process in (example, player):
            if process is not None and process.poll() is None:
                process.kill()
                process.wait()
