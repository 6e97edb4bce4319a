"""Positions in the node: what is missing gives a sentence and never a place; no DDS needed."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip('vision_msgs')
pytest.importorskip('visualization_msgs')
from builtin_interfaces.msg import Time  # noqa: E402
from geometry_msgs.msg import PoseStamped, Quaternion, TransformStamped, Vector3  # noqa: E402
from rclpy.time import Time as RosTime  # noqa: E402
from scene_bench import MOUNT, NAMES, STAMP_NS, Bench, FakeNode, K, P, body, no_tf  # noqa: E402
from sensor_msgs.msg import CameraInfo, Image, PointCloud2  # noqa: E402
from std_msgs.msg import Header  # noqa: E402
from vision_msgs.msg import Detection3DArray  # noqa: E402
from visualization_msgs.msg import MarkerArray  # noqa: E402

from ssd_perception.core.detections import Detections  # noqa: E402
from ssd_perception.core.frame import Frame  # noqa: E402
from ssd_perception.ros.scene import CameraScene, ViewError  # noqa: E402
from ssd_perception.ros.scene_parameters import SceneSettings  # noqa: E402
from ssd_perception.ros.transforms import TransformError, matrix  # noqa: E402
from ssd_perception.scene.target import TargetSettings  # noqa: E402


def test_positions_have_stamp_frame_class_score_id_and_covariance():
    bench = Bench()
    message = bench.publish()
    assert message.header.frame_id == 'base_link'
    assert message.header.stamp == Time(sec=1000, nanosec=7)
    for found, place, name, score, track in zip(message.detections, bench.places, NAMES,
                                                (0.9, 0.8), '78'):
        centre, best = found.bbox.center.position, found.results[0]
        assert (best.hypothesis.class_id, found.id) == (name, track)
        assert best.hypothesis.score == pytest.approx(score)
        assert (centre.x, centre.y) == pytest.approx(place, abs=0.04)
        assert best.pose.pose.position == centre
        assert best.pose.covariance[0] > 0 and best.pose.covariance[35] > 9
        assert found.header == message.header
    assert bench.scene.values() == {'positions from ground': '2', 'without position': '0'}


def test_without_tracks_there_are_no_ids():
    assert [found.id for found in Bench().publish(ids=None).detections] == ['', '']


def test_an_image_without_detections_is_answered_too():
    bench = Bench()
    bench.scene.publish(Frame('', STAMP_NS, 'optical', np.zeros((480, 640, 3), np.uint8)),
                        Detections.empty(), NAMES)
    assert bench.last(Detection3DArray).detections == []


@pytest.mark.parametrize(('arguments', 'then', 'sentence'), [
    ({'info': False}, {}, 'No CameraInfo arrived on /camera/camera_info'),
    ({'info_frame': 'left', 'remapped': {'camera_info': '/left/camera_info'}}, {},
     'CameraInfo is of "left", the image of "optical"'),
    ({}, {'size': (320, 240)}, 'CameraInfo is for images of 640x480, the image has 320x240'),
    ({'mount': None, 'frame': 'optical'}, {}, '"optical", which is position_frame'),
    ({'mount': None, 'lookup': body}, {}, '"optical" is no optical frame'),
    ({'mount': None}, {}, f'No transform from optical to base_link at {STAMP_NS}'),
    ({'methods': ('depth',)}, {}, 'No depth image on /depth has')])
def test_what_is_missing_gives_a_sentence_and_no_position(arguments, then, sentence):
    bench = Bench(**arguments)
    assert bench.publish(**then).detections == []
    assert sentence in bench.reason
    assert not bench.node.published[PoseStamped]


# of a stereo camera, by two degrees about x
TURNED = (1.0, 0.0, 0.0, 0.0, np.cos(0.035), -np.sin(0.035), 0.0, np.sin(0.035), np.cos(0.035))


def test_the_raw_images_of_a_stereo_camera_are_turned_by_its_rectification():
    """By two degrees upwards: what seems to stand at 2 m is a fifth further away."""
    nearest = Bench(r=TURNED).publish().detections[0].bbox.center.position
    assert nearest.x == pytest.approx(2.43, abs=0.04)


@pytest.mark.parametrize('arguments', [
    {'info_frame': 'left'},  # realsense2_camera's right infrared camera
    {'topic': '/camera/image_rect', 'd': [0.3] * 5},  # image_proc
    {'topic': '/left/image_rect', 'r': TURNED},  # a stereo camera's; its raw images are turned
    {'r': TURNED, 'rectified': True},
    {'topic': '/camera/image_rect_raw/compressed', 'd': [0.3] * 5}])
def test_what_usual_drivers_publish_beside_the_image_serves(arguments):
    bench = Bench(**arguments)
    for found, place in zip(bench.publish().detections, bench.places, strict=True):
        centre = found.bbox.center.position
        assert (centre.x, centre.y) == pytest.approx(place, abs=0.04)


def test_an_image_that_was_decoded_smaller_is_measured_in_the_cameras_pixels():
    assert len(Bench().publish(scale=2).detections) == 2


def test_a_calibration_that_changes_is_taken_over_also_where_all_images_have_one_stamp():
    bench = Bench()
    bench.publish()
    bench.receive(CameraInfo(width=320, height=240, k=K, p=P))
    assert bench.publish().detections == []


def test_the_transform_at_the_images_stamp_is_asked_for():
    asked = []

    def lookup(*question):
        asked.append(question)
        return MOUNT

    (exact, _), (fixed, _) = (bench.publish().detections for bench in (
        Bench(mount=None, lookup=lookup), Bench()))
    # a fixed mounting does not know how the robot pitches
    assert (exact.results[0].pose.covariance[0] < 0.7 * fixed.results[0].pose.covariance[0])
    assert asked == [('base_link', 'optical', STAMP_NS)]


def test_the_target_is_the_nearest_and_points_on_from_the_camera():
    bench = Bench(target=TargetSettings('cube'))
    bench.publish()
    target = bench.last(PoseStamped)
    assert (target.pose.position.x, target.pose.position.y) == pytest.approx((3.0, 0.4), abs=0.05)
    yaw = 2 * np.arctan2(target.pose.orientation.z, target.pose.orientation.w)
    assert yaw == pytest.approx(np.arctan2(0.4, 2.9), abs=0.01)
    bench.scene.choose_target(TargetSettings('cone'))
    bench.publish()
    assert bench.last(PoseStamped).pose.position.x == pytest.approx(2.0, abs=0.05)


def test_markers_are_made_for_those_who_look_alone():
    bench = Bench()
    bench.node.published[MarkerArray].listeners = 0
    bench.publish()
    assert not bench.node.published[MarkerArray]
    bench.node.published[MarkerArray].listeners = 1
    bench.publish()
    markers = bench.last(MarkerArray).markers
    assert markers[0].action == markers[0].DELETEALL and len(markers) == 5
    assert markers[2].text == 'cone 7 1.90 m' and markers[1].ns == 'ground'


def test_obstacles_surround_each_object_and_are_off_by_default():
    assert PointCloud2 not in Bench().node.published
    bench = Bench(obstacles=True)
    bench.publish()
    cloud = bench.last(PointCloud2)
    points = np.frombuffer(cloud.data.tobytes(), '<f4').reshape(-1, 3)
    assert cloud.width == len(points) == 16
    np.testing.assert_allclose(points[:8, :2].mean(0), (2.0, 0.0), atol=0.04)
    bench.places = []
    bench.publish(ids=None)
    assert bench.last(PointCloud2).width == 0  # nothing is there


def test_where_positions_are_impossible_there_is_no_cloud_that_says_nothing_is_there():
    """nav2's collision monitor stops when a source is silent, not when a cloud is empty."""
    bench = Bench(obstacles=True, info=False)
    bench.publish()
    assert not bench.node.published[PointCloud2]


def test_a_frame_id_does_not_matter_where_the_mounting_is_given():
    assert len(Bench(frame='optical').publish().detections) == 2


def test_another_timeout_keeps_the_target():
    bench = Bench(target=TargetSettings())
    bench.publish()
    bench.scene.choose_target(TargetSettings(timeout_s=3.0))
    bench.places = [(3.2, 0.0), (1.5, 0.4)]
    bench.publish()
    assert bench.last(PoseStamped).pose.position.x == pytest.approx(3.2, abs=0.06)


def test_names_that_the_weights_do_not_have_are_logged_once():
    """A misspelt class would never be a target, and its heights would check nothing."""
    bench = Bench(heights={'Cone': (0.3, 0.3)}, target=TargetSettings('cones'))
    for _ in range(3):
        bench.publish()
    assert [words for text in bench.node.log for words in ("'Cone'", "'cones'")
            if words in text] == ["'Cone'", "'cones'"]
    bench.scene.choose_target(TargetSettings('tree'))
    bench.publish()
    assert "'tree'" in bench.node.log[-1] and 'cone, cube' in bench.node.log[-1]


def test_what_is_no_cone_by_its_size_is_taken_out_before_the_tracks():
    bench = Bench(heights={'cone': (0.3, 0.3)})
    wall = (100.0, 60.0, 400.0, 300.0)
    rows = Detections(np.array([bench.box(2.0, 0.0), wall]), [0.9, 0.8], [0, 0])
    frame = Frame('', STAMP_NS, 'optical', np.zeros((480, 640, 3), np.uint8))
    assert len(bench.scene.plausible(frame, rows, NAMES)) == 1
    assert bench.scene.values()['dropped for their size'] == '1'
    blind = Bench(heights={'cone': (0.3, 0.3)}, info=False)
    assert len(blind.scene.plausible(frame, rows, NAMES)) == 2


@pytest.mark.parametrize(('remapped', 'image', 'expected'), [
    ({}, '/camera/image_raw', '/camera/camera_info'),
    ({}, '/camera/image_raw/compressed', '/camera/camera_info'),
    ({'camera_info': '/other/info'}, '/camera/image_raw', '/other/info')])
def test_camera_info_is_beside_the_image_unless_it_is_remapped(remapped, image, expected):
    node = FakeNode(remapped)
    CameraScene(node, '', image, SceneSettings(), no_tf).listen()
    assert node.topics[CameraInfo] == expected


def test_nothing_is_subscribed_to_while_the_node_rests():
    bench = Bench(('depth', 'ground'))
    assert set(bench.node.callbacks) == {CameraInfo, Image}
    bench.scene.stop()
    assert not bench.node.callbacks


def test_a_quaternion_turns_as_it_should():
    message = TransformStamped()
    message.transform.translation = Vector3(x=1.0, y=2.0, z=3.0)
    message.transform.rotation = Quaternion(x=0.0, y=0.0, z=np.sin(0.5), w=np.cos(0.5))
    np.testing.assert_allclose(matrix(message) @ [1, 0, 0, 1],
                               [1 + np.cos(1), 2 + np.sin(1), 3, 1])


@pytest.mark.parametrize(('rotation', 'translation'), [
    ((0.0, 0.0, 0.0, 0.0), (1.0, 2.0, 3.0)), ((np.nan, 0.0, 0.0, 1.0), (1.0, 2.0, 3.0)),
    ((0.0, 0.0, 0.0, 1.0), (np.inf, 0.0, 0.0)), ((0.0, 0.0, 0.0, 5.0), (0.0, 0.0, 0.0))])
def test_a_transform_that_is_none_is_refused(rotation, translation):
    message = TransformStamped()
    message.transform.rotation = Quaternion(**dict(zip('xyzw', rotation)))
    message.transform.translation = Vector3(**dict(zip('xyz', translation)))
    with pytest.raises(TransformError, match='is invalid'):
        matrix(message)


@pytest.mark.parametrize('stamp_ns', [-1, -5 * 10 ** 9, 2 ** 63])
def test_an_impossible_stamp_costs_the_position_alone(stamp_ns):
    def lookup(target, source, stamp_ns):
        RosTime(nanoseconds=stamp_ns)
        return MOUNT

    bench = Bench(mount=None, lookup=lookup)
    frame = Frame('', stamp_ns, 'optical', np.zeros((480, 640, 3), np.uint8))
    with pytest.raises(ViewError):
        bench.scene.view(frame)


@pytest.mark.parametrize('stamp_ns', [2 ** 31 * 10 ** 9, -2 ** 31 * 10 ** 9 - 1])
def test_a_stamp_that_no_message_holds_is_not_published_as_another(stamp_ns):
    bench = Bench()
    frame = Frame('', stamp_ns, 'optical', np.zeros((480, 640, 3), np.uint8))
    bench.scene.publish(frame, Detections(bench.box(2.0, 0.0)[None], [0.9], [0]), NAMES)
    assert not bench.node.published[Detection3DArray] and 'impossible stamp' in bench.reason


@pytest.mark.parametrize('values', [
    {'k': (1e-300,) * 9}, {'k': (1e300,) * 9}, {'k': (480.0, 0.0, np.inf) * 3},
    {'r': [1e300] * 9}, {'r': [np.nan] * 9},
    {'d': [1e30] * 5}, {'d': [np.nan] * 5}, {'d': [0.1] * 500}, {'distortion_model': 'x' * 999},
    {'width': 0, 'height': 0}, {'binning_x': 2 ** 32 - 1, 'binning_y': 2 ** 32 - 1}])
def test_a_hostile_camera_info_costs_positions_alone(values):
    bench = Bench(info=False, heights={'cone': (0.3, 0.3)})
    fields = {'width': 640, 'height': 480, 'distortion_model': 'plumb_bob', 'd': [0.0] * 5, 'k': K,
              'p': P, **values}
    bench.receive(CameraInfo(**fields))
    message = bench.publish()
    for found in message.detections:
        centre = found.bbox.center.position
        assert np.isfinite([centre.x, centre.y, centre.z]).all()


ANY = st.floats(width=64) | st.sampled_from([0.0, 1e308, -1e308, 1e-308, np.inf, np.nan])
TEXT = st.text(st.characters(), max_size=300)


@settings(max_examples=150, deadline=None, derandomize=True)
@given(k=st.lists(ANY, min_size=9, max_size=9), d=st.lists(ANY, max_size=15), model=TEXT | (
    st.sampled_from(['plumb_bob', 'rational_polynomial', 'equidistant'])), tf=st.lists(
    ANY, min_size=3, max_size=3), encoding=TEXT | st.sampled_from(['32FC1', '16UC1']),
    metres=ANY, usual=st.tuples(*[st.booleans()] * 3), roi=st.tuples(*[st.integers(0, 2 ** 32 - 1)]
                                                                      * 4))
def test_whatever_arrives_positions_are_finite_or_have_a_reason(k, d, model, tf, encoding,
                                                                 metres, usual, roi):
    def lookup(target, source, stamp_ns):
        message = TransformStamped()
        message.transform.translation = Vector3(**dict(zip('xyz', tf)))
        message.transform.rotation = Quaternion(x=-0.5, y=0.5, z=-0.5, w=0.5)
        return matrix(message)

    bench = Bench(('depth', 'ground', 'height'), None if usual[0] else MOUNT, lookup,
                  heights={'cone': (0.3, 0.4)}, obstacles=True)
    info = CameraInfo(width=640, height=480, distortion_model=model, d=d, k=K if usual[1] else k,
                      p=P)
    if not usual[2]:
        info.roi.x_offset, info.roi.y_offset, info.roi.width, info.roi.height = roi
    bench.receive(info)
    values = np.full((480, 640), 0, np.float32)
    with np.errstate(over='ignore'):
        values[:] = np.float32(metres)
    bench.receive(Image(header=Header(stamp=Time(sec=1000, nanosec=7)), width=640, height=480,
                        step=640 * 4, encoding=encoding, data=values.tobytes()))
    for found in bench.publish().detections:
        for result in found.results:
            pose = result.pose.pose.position
            assert np.isfinite([pose.x, pose.y, pose.z, *result.pose.covariance]).all()
    for cloud in bench.node.published[PointCloud2]:
        assert np.isfinite(np.frombuffer(bytes(cloud.data), np.float32)).all()
    assert bench.reason.isprintable() and len(bench.reason) <= 400


def test_a_calibration_of_a_million_coefficients_is_refused():
    bench = Bench()
    bench.receive(CameraInfo(width=640, height=480, distortion_model='x' * 10 ** 6,
                             d=[1.0] * 10 ** 6, k=K, p=P))
    bench.publish()
    assert '1000000 distortion coefficients' in bench.reason
