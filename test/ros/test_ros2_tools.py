"""The installed package under the real `ros2 launch`, `lifecycle`, `param` and `topic`."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import time

import pytest
import yaml

pytest.importorskip('rclpy')
pytest.importorskip('vision_msgs')
pytest.importorskip('launch_ros', reason='the launch stack is not installed here')
from peer import image, picture  # noqa: E402
from process_figures import figures  # noqa: E402
from sensor_msgs.msg import Image  # noqa: E402


def installed() -> bool:
    from ament_index_python.packages import PackageNotFoundError, get_package_prefix
    try:
        return bool(shutil.which('ros2') and get_package_prefix('ssd_perception'))
    except PackageNotFoundError:
        return False


pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(900),
    pytest.mark.skipif(not installed(), reason='needs ros2cli and a colcon install, sourced')]
NODE = '/rover/ssd_detector'
# No daemon is left behind; on a busy machine discovery takes seconds.
DIRECTLY = ('--no-daemon', '--spin-time', '4')


def ros2(*arguments: str, timeout_s: float = 60.0) -> str:
    """Return what a ros2 command prints; it must not fail."""
    result = subprocess.run(['ros2', *arguments], capture_output=True, text=True,
                            timeout=timeout_s)
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


class Launch:
    """`ros2 launch ssd_perception detector.launch.py` with arguments."""

    def __init__(self, folder, *arguments: str):
        self._path = folder / 'launch.log'
        with self._path.open('w') as log:
            self.process = subprocess.Popen(
                ['ros2', 'launch', 'ssd_perception', 'detector.launch.py', *arguments],
                stdout=log, stderr=log, start_new_session=True)

    @property
    def log(self) -> str:
        return self._path.read_text()

    def wait_for(self, text: str, count: int = 1, timeout_s: float = 120.0):
        end = time.monotonic() + timeout_s
        while self.log.count(text) < count:
            assert self.process.poll() is None and time.monotonic() < end, self.log
            time.sleep(0.1)

    def node_pids(self) -> list[int]:
        """Return the detector processes started so far, the newest last."""
        return [int(pid) for pid in re.findall(
            r'detector_node-1\]: process started with pid \[(\d+)\]', self.log)]

    def stop(self) -> int:
        """Ctrl-C, as a terminal sends it: to launch and to all it started."""
        os.killpg(self.process.pid, signal.SIGINT)
        return self.process.wait(60)


@pytest.fixture
def launch(tmp_path):
    started = []

    def start(*arguments: str) -> Launch:
        started.append(Launch(tmp_path, *arguments))
        return started[-1]
    yield start
    for launched in started:
        if launched.process.poll() is None:
            os.killpg(launched.process.pid, signal.SIGKILL)
            launched.process.wait()


def test_namespace_topic_parameters_file_lifecycle_and_param(launch, weights, peer, tmp_path):
    parameters = tmp_path / 'mine.yaml'
    parameters.write_text('/**:\n  ros__parameters:\n    max_detections: 7\n')
    launched = launch('namespace:=/rover', 'image:=/camera/image_raw', 'autostart:=false',
                      f'params_file:={parameters}', f'weights:={weights}', 'device:=cpu')
    assert peer.until(lambda: peer.node.count_publishers('/rover/detections'), 60)
    assert ros2('lifecycle', 'get', NODE, *DIRECTLY).startswith('unconfigured')
    for transition, state in (('configure', 'inactive'), ('activate', 'active')):
        ros2('lifecycle', 'set', NODE, transition, *DIRECTLY)
        assert ros2('lifecycle', 'get', NODE, *DIRECTLY).startswith(state)
    detections = peer.listen_to_detections('/rover/detections')
    assert len(peer.ask(image(picture(), 1), detections, '/camera/image_raw').detections) == 7

    described = ros2('param', 'describe', NODE, 'nms_threshold', *DIRECTLY)
    assert 'Min value: 0.0' in described and 'overlap a better one' in described
    assert 'Read only: true' in ros2('param', 'describe', NODE, 'device', *DIRECTLY)
    ros2('param', 'set', NODE, 'max_detections', '3', *DIRECTLY)
    assert len(peer.ask(image(picture(), 2), detections, '/camera/image_raw').detections) == 3
    for name, value, reason in (('max_detections', '0', 'max_detections'),
                                ('device', 'cpu', 'read-only'),
                                ('classes', '["dog"]', '"dog" is not one of'),
                                ('weights', '/etc/passwd', 'neither shipped nor inside')):
        refused = subprocess.run(['ros2', 'param', 'set', NODE, name, value, *DIRECTLY],
                                 capture_output=True, text=True, timeout=60)
        assert reason in refused.stdout + refused.stderr
    dumped = yaml.safe_load(ros2('param', 'dump', NODE, *DIRECTLY))
    assert dumped[NODE]['ros__parameters']['max_detections'] == 3
    assert dumped[NODE]['ros__parameters']['device'] == 'cpu'
    assert launched.stop() == 0 and 'Traceback' not in launched.log


def test_cameras_and_their_topics(launch, weights, peer):
    launched = launch('cameras:=front=/front_camera/image_raw,rear', f'weights:={weights}',
                      'namespace:=/rover')
    launched.wait_for('Active on /front_camera/image_raw, /rover/rear/image')
    for number, (topic, answers) in enumerate((
            ('/front_camera/image_raw', '/rover/front/detections'),
            ('/rover/rear/image', '/rover/rear/detections'))):
        peer.ask(image(picture(), number), peer.listen_to_detections(answers), topic)
    assert launched.stop() == 0


def test_a_killed_node_is_started_again_and_answers(launch, weights, peer):
    launched = launch('respawn:=true', f'weights:={weights}')
    launched.wait_for('Active on /image')
    detections = peer.listen_to_detections()
    peer.ask(image(picture(), 1), detections)
    pid, = launched.node_pids()
    assert figures(pid)['threads'] > 0
    os.kill(pid, signal.SIGKILL)
    killed = time.monotonic()
    launched.wait_for('Active on /image', count=2)
    print(f'active again {time.monotonic() - killed:.1f} s after kill -9')
    peer.ask(image(picture(), 2), detections, tries=20)
    assert len(launched.node_pids()) == 2
    assert launched.stop() == 0


def test_the_end_of_the_node_is_the_end_of_the_launch(launch):
    launched = launch('weights:=/no/such.safetensors')
    assert launched.process.wait(120) == 1
    assert '"/no/such.safetensors" not found' in launched.log
    assert 'process has died' in launched.log and 'exit code 1' in launched.log


def test_topic_echo_and_hz_read_what_the_node_says(launch, weights, peer, tmp_path):
    launched = launch(f'weights:={weights}')
    launched.wait_for('Active on /image')
    detections = peer.listen_to_detections()
    publisher = peer.publisher(Image, '/image')
    command = ['ros2', 'topic']
    echoed, measured = tmp_path / 'echo', tmp_path / 'hz'
    with echoed.open('w') as first, measured.open('w') as second:
        echo = subprocess.Popen([*command, 'echo', '--once', '--no-daemon', '--full-length',
                                 '/detections'], stdout=first)
        rate = subprocess.Popen([*command, 'hz', '/detections'], stdout=second,
                                env={**os.environ, 'PYTHONUNBUFFERED': '1'})
    frame = image(picture(), 5)

    def answered():
        publisher.publish(frame)
        peer.spin(0.05)
        return echo.poll() is not None
    assert peer.until(answered, 60)
    assert peer.until(lambda: answered() and 'average rate' in measured.read_text(), 60)
    rate.send_signal(signal.SIGINT)
    peer.until(lambda: rate.poll() is not None, 5)
    rate.kill()  # it may wait for its next message
    message = yaml.safe_load(echoed.read_text().split('---')[0])
    assert message['header'] == {'stamp': {'sec': 1005, 'nanosec': 12}, 'frame_id': 'camera_5'}
    assert len(message['detections']) == len(detections[-1].detections)
    first = message['detections'][0]
    assert first['header'] == message['header'] and first['id'] == ''
    assert first['results'][0]['hypothesis']['class_id'] in ('cone', 'cube')
    assert float(re.findall(r'average rate: ([\d.]+)', measured.read_text())[-1]) > 0
    print(measured.read_text().splitlines()[-2:])
    assert launched.stop() == 0
