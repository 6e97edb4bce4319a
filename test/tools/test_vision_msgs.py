"""vision_msgs, ours or the distribution's, is that of version 4.1: hashes, fields, bytes."""

import importlib
import re
from pathlib import Path

import pytest

from ssd_perception import __file__ as package_file

messages = pytest.importorskip('vision_msgs.msg', reason='ROS is not installed here')
serialization = pytest.importorskip('rclpy.serialization', reason='ROS is not installed here')

SOURCES = Path(package_file).parents[1] / 'tools' / 'ros_from_pip'

# message: (RIHS01 hash published with vision_msgs 4.1, fields in order)
INTERFACE = {
    'Point2D': (
        'eab0e83f44ab4de92ceaf76dd7d0e7638f2bdd1d16ffbe16c7a136c48e407247',
        {'x': 'double', 'y': 'double'}),
    'Pose2D': (
        'b0b5d1d7b4c20dd4fcde3ed1d4b289a919290572007d67a97043814db25d3648',
        {'position': 'vision_msgs/Point2D', 'theta': 'double'}),
    'BoundingBox2D': (
        '008eacbb0cf8f26e83795547bed013eec3675485ef386ec056d80eaaf1c1ce2f',
        {'center': 'vision_msgs/Pose2D', 'size_x': 'double', 'size_y': 'double'}),
    'BoundingBox2DArray': (
        '2464e82838009386d371b523211c21c91d74d313fcdd6788223c531d621cf691',
        {'header': 'std_msgs/Header', 'boxes': 'sequence<vision_msgs/BoundingBox2D>'}),
    'BoundingBox3D': (
        'bbb73a65c163d7f9bb29009c7bde9f7faa576bd2d23299c4511d19230dab4698',
        {'center': 'geometry_msgs/Pose', 'size': 'geometry_msgs/Vector3'}),
    'BoundingBox3DArray': (
        'a81938db9576b10c2eecd7c5a5da3eac496efd00221b25ed051dfbc81fb56da6',
        {'header': 'std_msgs/Header', 'boxes': 'sequence<vision_msgs/BoundingBox3D>'}),
    'ObjectHypothesis': (
        '51da43cec11c01957a64d1e05a24acd18aae7745ec30b74348ad5f6d634f7f90',
        {'class_id': 'string', 'score': 'double'}),
    'ObjectHypothesisWithPose': (
        '41c12344c0396c48b81df12467c192d99b2a0eb1463c5c37194e4223251c80bc',
        {'hypothesis': 'vision_msgs/ObjectHypothesis',
         'pose': 'geometry_msgs/PoseWithCovariance'}),
    'Classification': (
        'f74db28d0eaef3afb78f48bf2161cd709a1383a0309d3454383b25be11345143',
        {'header': 'std_msgs/Header', 'results': 'sequence<vision_msgs/ObjectHypothesis>'}),
    'Detection2D': (
        '0d12b69df5c593b3455b7346fac8205437a7d4bcb09b9e0e0b2dde787ded38ea',
        {'header': 'std_msgs/Header',
         'results': 'sequence<vision_msgs/ObjectHypothesisWithPose>',
         'bbox': 'vision_msgs/BoundingBox2D', 'id': 'string'}),
    'Detection2DArray': (
        '214274120007f4a683866481336b70310268cfa107aebe9d594a6acf75bda968',
        {'header': 'std_msgs/Header', 'detections': 'sequence<vision_msgs/Detection2D>'}),
    'Detection3D': (
        'ddd703be132ab0b69d33121f1bb034132bfbb3b0ac5f9fb1516005ba1c8a265b',
        {'header': 'std_msgs/Header',
         'results': 'sequence<vision_msgs/ObjectHypothesisWithPose>',
         'bbox': 'vision_msgs/BoundingBox3D', 'id': 'string'}),
    'Detection3DArray': (
        '793f5eab9595ac1c0da07873cc859db42eae51f0ee76056db8562515d830e018',
        {'header': 'std_msgs/Header', 'detections': 'sequence<vision_msgs/Detection3D>'}),
    'VisionClass': (
        '1e4a11f0fed50b5623cb8ff26ca0e37952a48a9c074d16f804b44e9164c2037a',
        {'class_id': 'uint16', 'class_name': 'string'}),
    'LabelInfo': (
        '3d37df4015cdf660cc851c51897f2acd957e1ca6205ba0a99aebffb9406b0783',
        {'header': 'std_msgs/Header', 'class_map': 'sequence<vision_msgs/VisionClass>',
         'threshold': 'float'}),
    'VisionInfo': (
        '95d3116a17484ad91c9a2686e1d54890bbfc3ff6c6a2de137738c4950d45d284',
        {'header': 'std_msgs/Header', 'method': 'string', 'database_location': 'string',
         'database_version': 'int32'}),
}


@pytest.fixture(scope='module')
def node():
    """Return a node of a context of its own."""
    rclpy = pytest.importorskip('rclpy')
    context = rclpy.Context()
    rclpy.init(context=context)
    node = rclpy.create_node('test_vision_msgs', context=context)
    yield node
    node.destroy_node()
    rclpy.try_shutdown(context=context)


def filled(message_type, depth=0):
    """Return a message whose every field, in every nesting, holds a value of its own."""
    message = message_type()
    for number, (field, kind) in enumerate(message.get_fields_and_field_types().items(), 1):
        value = getattr(message, field)
        inner = re.fullmatch(r'sequence<(\w+)/(\w+)>', kind)
        if inner:
            package, name = inner.groups()
            element = getattr(importlib.import_module(f'{package}.msg'), name)
            setattr(message, field, [filled(element, depth + 1), filled(element, depth + 2)])
        elif '[' in kind:
            setattr(message, field, [0.5 * i for i in range(len(value))])
        elif isinstance(value, str):
            setattr(message, field, f'{field}-{depth}-é')
        elif isinstance(value, float):
            setattr(message, field, number + depth + 0.25)  # exact in float32 too
        elif isinstance(value, int):
            setattr(message, field, number + depth)
        else:
            setattr(message, field, filled(type(value), depth + 1))
    return message


@pytest.mark.parametrize('name', INTERFACE)
def test_hash_is_that_of_vision_msgs_4_1(node, name):
    # What DDS peers compare: the hash compiled into the type support, not one read from a file.
    topic = f'/hash/{name}'
    publisher = node.create_publisher(getattr(messages, name), topic, 1)
    try:
        (info,) = node.get_publishers_info_by_topic(topic)
    finally:
        node.destroy_publisher(publisher)
    if not hasattr(info, 'topic_type_hash'):
        pytest.skip('this rclpy does not tell type hashes (Humble)')
    assert str(info.topic_type_hash) == f'RIHS01_{INTERFACE[name][0]}'


@pytest.mark.parametrize('name', INTERFACE)
def test_fields_and_their_order(name):
    fields = getattr(messages, name).get_fields_and_field_types()
    assert list(fields.items()) == list(INTERFACE[name][1].items())


@pytest.mark.parametrize('make', [lambda kind: kind(), filled], ids=['empty', 'filled'])
@pytest.mark.parametrize('name', INTERFACE)
def test_survives_serialisation(name, make):
    kind = getattr(messages, name)
    message = make(kind)
    data = serialization.serialize_message(message)
    assert serialization.deserialize_message(data, kind) == message


def test_these_are_all_messages():
    found = {name for name in vars(messages) if not name.startswith('_')}
    assert found == set(INTERFACE)
    files = (SOURCES / 'vision_msgs' / 'msg').glob('*.msg')
    assert {path.stem for path in files} == set(INTERFACE)


def test_ament_index_lists_what_is_installed():
    resources = SOURCES / 'vision_msgs' / 'resource'
    listed = (resources / 'rosidl_interfaces' / 'vision_msgs').read_text().split()
    expected = {f'msg/{name}.{kind}' for name in INTERFACE for kind in ('idl', 'msg')}
    assert set(listed) == expected and len(listed) == len(expected)
    assert (resources / 'packages' / 'vision_msgs').is_file()


def test_each_distribution_pins_the_same_packages():
    # A package missed in one list would come in whatever version, or not at all.
    names = {
        path.stem: re.findall(rf'^(?:ros-{path.stem}-)?([a-z-]+)==', path.read_text(), re.M)
        for path in SOURCES.glob('*.txt')
    }
    assert set(names) == {'jazzy', 'kilted'} and 'rclpy' in names['kilted']
    assert names['jazzy'] == names['kilted']
