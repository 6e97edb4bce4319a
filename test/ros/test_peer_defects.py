"""What other ROS detectors get wrong, one test each; docs/field_problems.md tells the stories."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import time
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest
import yaml

pytest.importorskip('rclpy')
pytest.importorskip('vision_msgs')
from peer import image, picture  # noqa: E402
from pointer import NAMES, pointing, rectangle  # noqa: E402
from rclpy.qos import DurabilityPolicy, QoSProfile  # noqa: E402
from sensor_msgs.msg import CompressedImage, Image  # noqa: E402
from vision_msgs.msg import LabelInfo  # noqa: E402

from ssd_perception.core.detections import Detections  # noqa: E402
from ssd_perception.ros.messages import MESSAGES  # noqa: E402
from ssd_perception.ros.parameters import NodeParameters, ros_value  # noqa: E402
from ssd_perception.viz.drawing import class_colour, draw_detections  # noqa: E402

ROOT = Path(__file__).parents[2]
SOURCES = sorted((ROOT / 'ssd_perception').rglob('*.py'))
LATCHED = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
HALVES = Detections([[10.25, 20.5, 31.5, 44.75]], [0.5], [1])


def test_d1_stamp_and_frame_are_the_cameras_in_the_array_and_in_every_detection(peer, detections):
    frame = image(picture(), 1)
    answer = peer.ask(frame, detections)
    assert answer.header == frame.header and answer.header.frame_id == 'camera_1'
    assert [d.header for d in answer.detections] == [frame.header] * 20


def test_d2_nothing_found_is_an_answer(peer, detections):
    assert peer.set_parameter('score_threshold', 1.0)[0]
    frame = image(picture(), 2)
    answer = peer.ask(frame, detections)
    assert answer.detections == [] and answer.header == frame.header
    assert peer.set_parameter('score_threshold', -1.0)[0]


def test_d3_class_id_is_readable():
    header = image(picture()).header
    found = [MESSAGES.detections_message(header, Detections([[0, 0, 9, 9]], [1], [label]),
                                         NAMES).detections[0].results[0].hypothesis.class_id
             for label in range(3)]
    assert found == ['cone', 'traffic light', 'cube']


def test_d4_boxes_keep_their_fractions_and_other_classes():
    """Class by class NMS: a light on a cone is two objects, though their boxes are one."""
    found = pointing(labels=(0, 1))([rectangle(301, 203, (40, 50, 101, 121))])[0]
    assert sorted(found.labels.tolist()) == [0, 1]
    # Nor is there a size of the network that the decoding takes for granted.
    for input_hw in ((96, 160), (256, 128)):
        found = pointing(input_hw=input_hw)([rectangle(301, 203, (40, 50, 101, 121))])[0]
        np.testing.assert_allclose(found.xyxy, [(40, 50, 101, 121)], atol=3.0)
    box = MESSAGES.detections_message(image(picture()).header, HALVES, NAMES).detections[0].bbox
    assert (box.center.position.x, box.center.position.y) == (20.875, 32.625)
    assert (box.size_x, box.size_y) == (21.25, 24.25)


@pytest.mark.parametrize('size', [(640, 480), (480, 640), (1921, 1081), (99, 301), (64, 64)])
def test_d5_boxes_are_in_the_cameras_pixels(size):
    width, height = size
    box = (width // 2, height // 3, width * 3 // 4, height * 9 // 10)
    found = pointing()([rectangle(width, height, box)])[0]
    pixel = max(1.0, max(size) / 128)  # of the network's input, seen in the camera's
    np.testing.assert_allclose(found.xyxy[0], box, atol=pixel)


def test_d6_every_box_is_drawn_at_its_own_size_and_any_name_is_good():
    boxes = [[20, 120, 60, 180], [200, 100, 290, 190]]
    drawn = draw_detections(np.zeros((200, 300, 3), np.uint8),
                            Detections(boxes, [0.9, 0.8], [1, 2]), ('1e', 'traffic light', ''))
    for (x0, y0, x1, y1), label in zip(boxes, (1, 2)):
        inside = (drawn[y0:y1, x0:x1] == class_colour(label)).all(-1)
        for edge in (inside[0], inside[-1], inside[:, 0], inside[:, -1]):
            assert edge.all()
        assert not inside[5:-5, 5:-5].any()


def test_d7_id_stays_empty_and_corners_are_not_whole_numbers():
    detection = MESSAGES.detections_message(image(picture()).header, HALVES, NAMES).detections[0]
    assert detection.id == ''
    left = detection.bbox.center.position.x - detection.bbox.size_x / 2
    assert left == 10.25


@pytest.mark.parametrize('resize', ['letterbox', 'stretch'])
def test_d8_x_goes_with_the_width_and_y_with_the_height(resize):
    found = pointing(resize)([rectangle(1280, 320, (1000, 30, 1200, 130))])[0]
    x0, y0, x1, y1 = found.xyxy[0]
    assert abs(x0 - 1000) <= 10 and abs(x1 - 1200) <= 10
    assert abs(y0 - 30) <= 10 and abs(y1 - 130) <= 10


def test_d9_the_annotated_pictures_have_the_cameras_header(peer, detections):
    raw = peer.listen(Image, '/detections/image')
    jpeg = peer.listen(CompressedImage, '/detections/image/compressed')
    assert peer.until(lambda: peer.node.count_publishers('/detections/image/compressed'))
    peer.ask(image(picture(), 90), detections)
    frame = image(picture(), 91)
    assert peer.until(lambda: peer.ask(frame, detections) and raw and jpeg, 30)
    for message in (raw[-1], jpeg[-1]):
        assert message.header in (frame.header, image(picture(), 90).header)
    assert not peer.set_parameter('score_threshold', 7.0)[0], 'and thresholds are checked'


def test_d10_a_bad_frame_is_no_frame(peer, node, detections):
    """No detections of whatever picture was there before; no prints, no windows, no $HOME."""
    bad = image(picture(), 100)
    bad.encoding = 'banana'
    publisher = peer.publisher(Image, '/image')
    peer.until(publisher.get_subscription_count)
    before = len(node.log.splitlines())
    peer.ask(image(picture(), 99), detections)
    for _ in range(5):
        publisher.publish(bad)
        peer.spin(0.05)
    peer.ask(image(picture(), 101), detections)
    assert 100 not in [m.header.stamp.sec - 1000 for m in detections]
    assert len(node.log.splitlines()) < before + 5, 'a line per box or per frame'
    names = {n.attr for path in SOURCES for n in ast.walk(ast.parse(path.read_text()))
             if isinstance(n, ast.Attribute)}
    assert not names & {'imshow', 'namedWindow', 'waitKey', 'home'}
    # Of the home folder only the cache, and the node's private names.
    assert {n.value for path in SOURCES for n in ast.walk(ast.parse(path.read_text()))
            if isinstance(n, ast.Constant) and str(n.value).startswith(('~', '$HOME'))} == {
        '~', '~/.cache', '~/enable', '~/detect'}
    assert str(Path.home()) not in ''.join(path.read_text() for path in SOURCES if
                                           'mining' not in path.parts)


def test_d11_names_come_with_the_weights(peer, detections):
    labels = peer.listen(LabelInfo, '/label_info', LATCHED)
    assert peer.until(lambda: labels)
    assert [c.class_name for c in labels[-1].class_map] == ['cone', 'cube']
    answer = peer.ask(image(picture(), 110), detections)
    names = {d.results[0].hypothesis.class_id for d in answer.detections}
    assert names and names <= {'cone', 'cube'}
    info = MESSAGES.label_info_message(answer.header, pointing().class_names, 0.5)
    assert [c.class_name for c in info.class_map] == list(NAMES)


def imported_modules(nodes):
    """Return the names of the modules that these nodes of a syntax tree import."""
    names = set()
    for node in nodes:
        if isinstance(node, ast.ImportFrom):
            names.add(node.module)
        elif isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
    return names


def test_d12_nothing_is_run_or_fetched_at_launch(weights):
    launch = (ROOT / 'launch' / 'detector.launch.py').read_text()
    nodes = list(ast.walk(ast.parse(launch)))
    modules = imported_modules(nodes)
    own = {name for name in modules if name.startswith('ssd_perception')}
    assert own <= {'ssd_perception.ros', 'ssd_perception.ros.dds'}  # dds looks into folders
    assert {name.split('.')[0] for name in modules - own} == {
        'collections', 'pathlib', 'ament_index_python', 'launch', 'launch_ros'}
    for name in ('launching', 'rviz', 'dds'):  # what it decides with: nothing that runs or fetches
        source = (ROOT / 'ssd_perception' / 'ros' / f'{name}.py').read_text()
        assert not imported_modules(ast.walk(ast.parse(source))) & {
            'subprocess', 'multiprocessing', 'socket', 'urllib.request', 'http.client'}
    calls = [n for n in nodes if isinstance(n, ast.Call)]
    called = [getattr(n.func, 'id', getattr(n.func, 'attr', '')) for n in calls]
    assert not set(called) & {'eval', 'exec', '__import__', 'compile'}
    # Besides nodes it starts the player of recordings, and leaves Python's search path alone.
    commands = [keyword.value for n, name in zip(calls, called) if name == 'ExecuteProcess'
                for keyword in n.keywords if keyword.arg == 'cmd']
    assert [ast.unparse(command).partition('(')[0] for command in commands] == [
        'launching.player']
    assert 'PYTHONPATH' not in launch
    # Loading and detecting work where every connection is refused.
    subprocess.run([sys.executable, '-c', f"""
import socket
def refuse(*_, **__):
    raise AssertionError('network')
socket.socket.connect = socket.getaddrinfo = socket.create_connection = refuse
from ssd_perception.ros.loading import load_detector
from ssd_perception.ros.parameters import NodeParameters
load_detector(NodeParameters(weights={str(weights)!r}))
"""], cwd=ROOT, check=True)


def test_d13_defaults_and_names_agree_everywhere(peer, node, detections):
    shipped = yaml.safe_load((ROOT / 'config' / 'detector.yaml').read_text())
    assert shipped['/**']['ros__parameters'] == {
        f.name: ros_value(f.default) for f in fields(NodeParameters)}
    launch = (ROOT / 'launch' / 'detector.launch.py').read_text()
    for name in ('weights', 'device', 'runtime'):
        assert re.search(rf"\('{name}', '',", launch), f'{name} has its default in one place'
    # The page names the topics and services that the node really has.
    page = (ROOT / 'docs' / 'interface.md').read_text()
    documented = {name for line in re.findall(r'^- \*\*.*', page, re.M)
                  for name in re.findall(r'\*\*([^*]+)\*\*', line)}
    assert peer.until(lambda: 'ssd_detector' in peer.node.get_node_names())
    published = {topic for topic, _ in peer.node.get_publisher_names_and_types_by_node(
        'ssd_detector', '/')}
    subscribed = {topic for topic, _ in peer.node.get_subscriber_names_and_types_by_node(
        'ssd_detector', '/')}
    # Those of positions exist with positions alone, and services are no topics.
    elsewhere = {'~/enable', '~/detect', 'IMAGE/compressed', 'camera_info', 'depth', '/tf',
                 '/tf_static', 'detections/annotations', 'detections_3d', 'target',
                 'detections/markers'}
    for name in documented - elsewhere:
        assert '/' + name.strip('/') in published | subscribed, name
    own = {'/detections', '/detections/image', '/detections/image/compressed', '/vision_info',
           '/label_info', '/diagnostics'}
    # And the reliability, which decides whether anything arrives.
    of = peer.node.get_subscriptions_info_by_topic('/image')[0].qos_profile.reliability
    assert of.name == 'BEST_EFFORT' and 'camera, best effort' in page
    for topic in ('detections', 'detections/image', 'detections/image/compressed'):
        of = peer.node.get_publishers_info_by_topic(f'/{topic}')[0].qos_profile.reliability
        line = next(line for line in page.splitlines() if line.startswith('- ')
                    and f'**{topic}**' in line)
        assert of.name == 'RELIABLE' and 'reliable' in line
    assert own <= published and {topic.strip('/') for topic in own} <= {
        name.strip('/') for name in documented}


def test_d14_a_node_that_cannot_detect_says_so_and_ends(node_process, weights, tmp_path):
    corrupt = tmp_path / 'corrupt.safetensors'
    corrupt.write_bytes(weights.read_bytes()[:5000])
    process = node_process('-p', f'weights:={corrupt}', '-r', '__ns:=/d14')
    assert process.ended() == 1
    assert str(corrupt) in process.log and 'Active on' not in process.log


def test_d15_nothing_that_numpy_2_removed():
    if int(np.__version__.split('.')[0]) < 2:
        pytest.skip('needs numpy 2 to know what it has')
    used = {(path.name, node.attr) for path in SOURCES for node in ast.walk(
        ast.parse(path.read_text())) if isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Name) and node.value.id == 'np'}
    assert len(used) > 100
    assert [place for place in used if not hasattr(np, place[1])] == []
    requirements = (ROOT / 'setup.py').read_text()
    assert not re.search(r"numpy[^']*<", requirements), 'no upper bound on numpy'


def test_d16_the_node_is_in_the_graph_while_it_loads(node_process, weights, peer, tmp_path):
    """However long a first start takes, one sees that the node is there and what it will offer."""
    fault = tmp_path / 'fault'
    fault.write_text('loads slowly')
    program = (str(Path(__file__).with_name('faulty_node.py')), str(fault))
    node_process('-p', f'weights:={weights}', '-r', '__ns:=/slow', program=program)
    assert peer.until(lambda: peer.node.count_publishers('/slow/detections'), 60)
    time.sleep(1.0)
    assert peer.node.count_subscribers('/slow/image') == 0, 'it has not been loaded yet'
    fault.write_text('works')
    assert peer.until(lambda: peer.node.count_subscribers('/slow/image'), 60)
