"""The message types kept for bags are the distribution's, by type hash."""

import json
from pathlib import Path

import pytest

from ssd_perception.bags.types import FOXGLOVE_MSGS, VISION_MSGS, typestore

# RIHS01 hashes of vision_msgs 4.1, as ROS 2 Kilted and Jazzy announce them.
HASHES = {
    'Point2D': 'eab0e83f44ab4de92ceaf76dd7d0e7638f2bdd1d16ffbe16c7a136c48e407247',
    'Pose2D': 'b0b5d1d7b4c20dd4fcde3ed1d4b289a919290572007d67a97043814db25d3648',
    'BoundingBox2D': '008eacbb0cf8f26e83795547bed013eec3675485ef386ec056d80eaaf1c1ce2f',
    'BoundingBox2DArray': '2464e82838009386d371b523211c21c91d74d313fcdd6788223c531d621cf691',
    'BoundingBox3D': 'bbb73a65c163d7f9bb29009c7bde9f7faa576bd2d23299c4511d19230dab4698',
    'BoundingBox3DArray': 'a81938db9576b10c2eecd7c5a5da3eac496efd00221b25ed051dfbc81fb56da6',
    'ObjectHypothesis': '51da43cec11c01957a64d1e05a24acd18aae7745ec30b74348ad5f6d634f7f90',
    'ObjectHypothesisWithPose':
        '41c12344c0396c48b81df12467c192d99b2a0eb1463c5c37194e4223251c80bc',
    'Classification': 'f74db28d0eaef3afb78f48bf2161cd709a1383a0309d3454383b25be11345143',
    'Detection2D': '0d12b69df5c593b3455b7346fac8205437a7d4bcb09b9e0e0b2dde787ded38ea',
    'Detection2DArray': '214274120007f4a683866481336b70310268cfa107aebe9d594a6acf75bda968',
    'Detection3D': 'ddd703be132ab0b69d33121f1bb034132bfbb3b0ac5f9fb1516005ba1c8a265b',
    'Detection3DArray': '793f5eab9595ac1c0da07873cc859db42eae51f0ee76056db8562515d830e018',
    'VisionClass': '1e4a11f0fed50b5623cb8ff26ca0e37952a48a9c074d16f804b44e9164c2037a',
    'LabelInfo': '3d37df4015cdf660cc851c51897f2acd957e1ca6205ba0a99aebffb9406b0783',
    'VisionInfo': '95d3116a17484ad91c9a2686e1d54890bbfc3ff6c6a2de137738c4950d45d284',
}
# Of foxglove_msgs' definitions before they had metadata, by rosidl_generator_type_description.
FOXGLOVE_HASHES = {
    'Color': 'ed1b16da40c954e6456b950c2ef4559c179e5cb98f1363cb28c3b90c6ee14120',
    'Point2': 'd85e823b78e2e88bc31629e305558bcdd2ecc9225f5f9390f96d91930f5696f0',
    'CircleAnnotation': 'd3d8a00505117be541fe8b4b601aa90d5088209a75f313e3779be54db324d15b',
    'PointsAnnotation': '61bd8dda01243d9c7232f00d9101577291b5a9bc1855b06ada4a29e0dc0496a7',
    'TextAnnotation': 'c02ec64b79eb5682e73b2b2572f127a27baec868b6ad6acc085abc39355a5b2b',
    'ImageAnnotations': '47c6c0891ba263ec1b20d9b785c4261d4bc41051cbcc01668130e36aa2dcaee3',
}


def test_every_type_is_listed():
    assert set(HASHES) == set(VISION_MSGS) and set(FOXGLOVE_HASHES) == set(FOXGLOVE_MSGS)


@pytest.mark.parametrize('name', sorted(VISION_MSGS))
def test_hash_is_the_distributions(name):
    assert typestore().hash_rihs01(f'vision_msgs/msg/{name}') == f'RIHS01_{HASHES[name]}'


def test_foxglove_hashes_are_those_of_ros_own_generator(tmp_path):
    """.msg -> .idl -> type description, as a ROS build does it: a second opinion on rosbags'."""
    adapter = pytest.importorskip('rosidl_adapter.msg')
    generator = pytest.importorskip('rosidl_generator_type_description')
    package = tmp_path / 'foxglove_msgs'
    (package / 'msg').mkdir(parents=True)
    for name, definition in FOXGLOVE_MSGS.items():
        (package / 'msg' / f'{name}.msg').write_text(definition + '\n')
        adapter.convert_msg_to_idl(package, 'foxglove_msgs', Path('msg') / f'{name}.msg',
                                   package / 'msg')
    share = next(folder / 'share' for folder in Path(generator.__file__).resolve().parents
                 if (folder / 'share' / 'builtin_interfaces').is_dir())
    arguments = tmp_path / 'arguments.json'
    arguments.write_text(json.dumps({
        'package_name': 'foxglove_msgs', 'output_dir': str(package),
        'idl_tuples': [f'{package}:msg/{name}.idl' for name in FOXGLOVE_MSGS],
        'include_paths': [f'builtin_interfaces:{share / "builtin_interfaces"}']}))
    generator.generate_type_hash(str(arguments))
    for name in FOXGLOVE_MSGS:
        hashes = json.loads((package / 'msg' / f'{name}.json').read_text())['type_hashes']
        own = f'foxglove_msgs/msg/{name}'
        expected = {row['type_name']: row['hash_string'] for row in hashes}[own]
        assert typestore().hash_rihs01(own) == expected
        assert expected == f'RIHS01_{FOXGLOVE_HASHES[name]}'
