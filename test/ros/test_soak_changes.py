"""Ten minutes in which everything changes while frames come: the node never lies about itself.

SSD_SOAK_S=60 for a shorter run; SSD_SOAK_SEED repeats one.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import time

import cv2
import numpy as np
import pytest

pytest.importorskip('rclpy')
pytest.importorskip('vision_msgs')
pytest.importorskip('visualization_msgs')
pytest.importorskip('onnx')
from builtin_interfaces.msg import Time  # noqa: E402
from diagnostic_msgs.msg import DiagnosticArray  # noqa: E402
from geometry_msgs.msg import PoseStamped  # noqa: E402
from hostile_weights import growing  # noqa: E402
from lifecycle_msgs.msg import Transition  # noqa: E402
from peer import image, picture  # noqa: E402
from random_weights import random_weights  # noqa: E402
from rosgraph_msgs.msg import Clock  # noqa: E402
from sensor_msgs.msg import CameraInfo, CompressedImage, Image  # noqa: E402
from std_srvs.srv import SetBool  # noqa: E402
from vision_msgs.msg import Detection3DArray  # noqa: E402
from visualization_msgs.msg import MarkerArray  # noqa: E402

from ssd_perception.inference.detector import Detector  # noqa: E402
from ssd_perception.ros.messages import detections_from_message  # noqa: E402

SECONDS = float(os.environ.get('SSD_SOAK_S', '600'))
SEED = int(os.environ.get('SSD_SOAK_SEED', time.time_ns() % 10 ** 6))
FRAME_S = 0.1
ANSWERED_WITHIN_S = 3.0
OK = b'\x00'


class Soak:
    """Sends frames and clock all the time, and checks every report of the node meanwhile."""

    def __init__(self, peer):
        self.peer, self.random = peer, random.Random(SEED)
        self.number, self.now_s, self.compressed, self.sending = 0, 1000.0, False, True
        self.watched = []
        self.clock = peer.publisher(Clock, '/clock', 10)
        self.answers = peer.listen_to_detections()
        self.reports, self.levels = 0, []
        peer.node.create_subscription(DiagnosticArray, '/diagnostics', self.check, 10)
        self.expected = False  # answers, since then
        self.since = time.monotonic()

    def expect(self, expected):
        """From now on frames are to be answered, or not."""
        self.expected, self.since = expected, time.monotonic()

    def check(self, report):
        """No report is OK while frames come and none was answered for three seconds."""
        if self.answers:
            self.answers.clear()
            self.since = max(self.since, time.monotonic())
        self.reports += 1
        self.levels.append([status.level for status in report.status])
        unanswered_s = time.monotonic() - self.since
        if self.expected and self.sending and unanswered_s > ANSWERED_WITHIN_S:
            assert any(level != OK for level in self.levels[-1]), (
                f'seed {SEED}: OK, and no answer for {unanswered_s:.1f} s: {report}')

    def frame(self):
        """Return the next frame, of any size."""
        self.number += 1
        rgb = picture(*self.random.choice([(96, 64), (160, 120), (31, 17)]), seed=self.number % 9)
        raw = image(rgb, self.number)
        raw.header.stamp = Time(sec=int(self.now_s), nanosec=int(self.now_s % 1 * 1e9))
        if not self.compressed:
            return raw
        blob = cv2.imencode('.jpg', rgb)[1]
        return CompressedImage(header=raw.header, format='jpeg', data=blob.tobytes())

    def send(self, message):
        """Publish on the topic of its kind."""
        topic = '/image' if isinstance(message, Image) else '/image/compressed'
        self.peer.publisher(type(message), topic).publish(message)

    def run(self, seconds):
        """Let time go by."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.now_s += FRAME_S
            self.clock.publish(Clock(clock=Time(sec=int(self.now_s),
                                                nanosec=int(self.now_s % 1 * 1e9))))
            if self.sending:
                self.send(self.frame())
            self.peer.spin(FRAME_S)

    # What changes

    def parameters(self):
        """Change what may be changed, also to what may not."""
        name, values = self.random.choice([
            ('score_threshold', [0.0, 0.3, -1.0, 7.0]), ('max_rate_hz', [0.0, 2.0, 50.0, 1e-300]),
            ('classes', [['cone'], [''], ['dog'], None]), ('nms_threshold', [0.2, 1, 'x']),
            ('max_detections', [1, 100, 0])])
        self.peer.set_parameter(name, self.random.choice(values))

    def weights(self):
        """Swap weights: good, new, broken, hostile and absent ones."""
        self.peer.set_parameter('weights', self.random.choice(
            ['one', 'two', 'one', 'two', 'new', 'broken', 'hostile.onnx', 'grows.onnx', 'nowhere',
             'x' * 5000]))

    def target(self):
        """Choose another target, also one that cannot be."""
        name, values = self.random.choice([
            ('target_class', ['', 'cone', 'dog', '\x1b[31m' * 1000]),
            ('target_id', [0, 1, 2 ** 62, -1]), ('target_timeout_s', [0.0, 1.0, 1e308, -1.0])])
        self.peer.set_parameter(name, self.random.choice(values))

    def calibration(self):
        """Publish a CameraInfo and a depth image, good or of any numbers."""
        odd = [0.0, float('nan'), float('inf'), -1e308, 1e308]
        width, height = self.random.choice([(96, 64), (160, 120), (2 ** 32 - 1, 0)])
        focal = self.random.choice([100.0, 100.0, *odd])
        self.peer.publisher(CameraInfo, '/camera_info', 10).publish(CameraInfo(
            width=width, height=height, k=[focal, 0.0, 48.0, 0.0, focal, 32.0, 0.0, 0.0, 1.0],
            distortion_model=self.random.choice(['plumb_bob', '', 'x' * 10 ** 5, 'a\nb']),
            d=self.random.choice([[0.0] * 5, [], odd, [1.0] * 10 ** 5])))
        depth = image(picture(96, 64), 0)
        depth.header.stamp = Time(sec=int(self.now_s), nanosec=int(self.now_s % 1 * 1e9))
        depth.encoding = self.random.choice(['32FC1', '16UC1', 'rgb8', 'a\nERROR'])
        self.peer.publisher(Image, '/depth', 10).publish(depth)

    def watchers(self):
        """Begin or end to look at markers, targets and annotated images."""
        if self.watched:
            self.peer.node.destroy_subscription(self.watched.pop())
        else:
            kind, topic = self.random.choice([
                (MarkerArray, '/detections/markers'), (PoseStamped, '/target'),
                (Detection3DArray, '/detections_3d'), (Image, '/detections/image')])
            self.watched.append(self.peer.node.create_subscription(
                kind, topic, lambda message: None, 10))

    def transport(self):
        """Let the camera come back as another kind."""
        old = '/image/compressed' if self.compressed else '/image'
        if old in self.peer._publishers:
            self.peer.silence(old)
        self.compressed = not self.compressed
        self.expect(True)
        self.since += 5.0  # until the node has found it

    def silence(self):
        """Send nothing for some seconds."""
        self.sending = False
        self.run(self.random.uniform(0.5, 4))
        self.sending = True
        self.expect(True)

    def jump(self):
        """Move the clock back or forth, or let another node publish an older one for a while."""
        for _ in range(self.random.choice([0, 5])):
            self.clock.publish(Clock(clock=Time(sec=5)))
            self.run(FRAME_S)
        self.now_s = max(10.0, self.now_s + self.random.choice([-500.0, -3.0, 60.0, 1e6]))

    def bad_frames(self):
        """Send what is no image."""
        message = self.frame()
        if isinstance(message, Image):
            message.encoding = self.random.choice(['', 'a\nERROR', 'x' * 10 ** 6, 'mono16'])
        else:
            message.data = self.random.randbytes(500)
        if self.random.random() < 0.3:
            message.header.frame_id = 'f' * 10 ** 6
        self.send(message)
        self.peer.spin(FRAME_S)  # or the next one takes its place before it is looked at

    def pause(self):
        """Stop and resume, by the service or by the life cycle."""
        self.expect(False)
        if self.random.random() < 0.5:
            for enabled in (False, True):
                self.peer.call(SetBool, '/ssd_detector/enable', SetBool.Request(data=enabled))
                self.run(1.0)
        else:
            for transition in (Transition.TRANSITION_DEACTIVATE, Transition.TRANSITION_ACTIVATE):
                assert self.peer.change_state(transition)
                self.run(1.0)
        self.expect(True)
        self.since += 5.0


@pytest.mark.slow
@pytest.mark.timeout(SECONDS * 2 + 300)
def test_it_never_says_ok_while_nothing_is_answered(node_process, peer, weights, tmp_path):
    for name in ('one', 'two'):
        shutil.copy(weights, tmp_path / f'{name}.safetensors')
    (tmp_path / 'broken.safetensors').write_bytes(weights.read_bytes()[:1000])
    (tmp_path / 'hostile.onnx').write_bytes(b'\x3a\xff\xff' * 1000)
    random_weights(tmp_path / 'new.safetensors', 96)
    growing(tmp_path / 'grows.onnx', 60)
    node = node_process('-p', f'weights:={weights}', '-p', f"weights_dirs:=['{tmp_path}']", '-p',
                        'use_sim_time:=true', '-p', 'tracking:=true', '-p',
                        'track_confirmations:=1', '-p', 'positions:=auto', '-p',
                        "camera_mount:=['height=0.3']", '-p', "class_heights:=['cone=0.3']", '-p',
                        'size_tolerance:=0.0')
    node.wait_for('Active on /image')
    soak = Soak(peer)
    soak.run(3.0)
    soak.expect(True)
    changes = [soak.parameters, soak.parameters, soak.target, soak.calibration, soak.calibration,
               soak.watchers, soak.weights, soak.transport, soak.silence,
               soak.jump, soak.bad_frames, soak.bad_frames, soak.pause]
    end, done = time.monotonic() + SECONDS, 0
    while time.monotonic() < end:
        soak.random.choice(changes)()
        done += 1
        soak.run(soak.random.uniform(0.1, 2.0))
        assert node.process.poll() is None, f'seed {SEED}:\n{node.log[-3000:]}'
    print(f'seed {SEED}: {done} changes, {soak.number} frames, {soak.reports} reports, of which '
          f'{sum(set(levels) == {OK} for levels in soak.levels)} were OK')
    for name, value in (('score_threshold', -1.0), ('classes', ['']), ('max_detections', 20),
                        ('nms_threshold', 0.5), ('max_rate_hz', 0.0), ('weights', str(weights))):
        assert peer.set_parameter(name, value)[0]
    if soak.compressed:
        soak.transport()
    soak.run(10.0)
    soak.now_s = 5.0  # the clock goes back: tracks begin anew
    rgb = picture(160, 120, seed=3)
    soak.sending = False
    soak.run(1.0)
    answers = peer.listen_to_detections()
    found = detections_from_message(peer.ask(image(rgb, 7), answers), ('cone', 'cube'))
    wanted, = Detector(weights, max_detections=20)([rgb])
    np.testing.assert_allclose(found.scores, wanted.scores, atol=1e-4)
    np.testing.assert_allclose(found.xyxy, wanted.xyxy, atol=0.01)
    node.stop(signal.SIGTERM)
