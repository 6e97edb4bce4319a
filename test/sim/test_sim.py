"""The simulated rover: courses, camera and physics agree with what the node is given of them."""

from __future__ import annotations

import math

import numpy as np
import pytest

pytest.importorskip('vision_msgs')
try:
    from sim.rover import Rover
except ImportError as error:
    pytest.skip(f'no MuJoCo with EGL: {error}', allow_module_level=True)
from std_msgs.msg import Header  # noqa: E402

from sim import model  # noqa: E402
from sim.bridge import camera_info, camera_transform  # noqa: E402
from sim.course import KINDS, make_course  # noqa: E402
from sim.figures import from_base, to_base  # noqa: E402
from ssd_perception.ros.transforms import matrix  # noqa: E402
from ssd_perception.scene.camera_model import CameraModel, mounting  # noqa: E402


@pytest.mark.parametrize('seed', range(20))
def test_courses_are_what_their_kind_says(seed):
    course = make_course(seed)
    assert course == make_course(seed) and course.kind == KINDS[seed % 4]
    at = {thing.name: np.array([thing.x, thing.y]) for thing in course.things}
    goal = at['right cone']
    cones = [np.linalg.norm(at[t.name]) for t in course.things if t.class_name == 'cone']
    assert np.linalg.norm(goal) == min(cones)  # the right one is the nearest
    assert ('cone behind' in at) == (course.kind in ('a cone behind', 'both'))
    assert ('cube in the way' in at) == (course.kind in ('cubes in the way', 'both'))
    if 'cube in the way' in at:
        cube = next(t for t in course.things if t.name == 'cube in the way')
        way = goal / np.linalg.norm(goal)
        beside = abs(at[cube.name] @ [-way[1], way[0]])
        # straight on, the rover would touch it
        assert beside < model.HALF_WIDTH + math.sqrt(2) * cube.half_width
    names = list(at)
    apart = [np.linalg.norm(at[a] - at[b]) for i, a in enumerate(names) for b in names[:i]]
    assert min(apart, default=1.0) > 0.6


def test_the_transform_is_the_mounting():
    header = Header()
    expected = mounting(model.CAMERA_X, 0.0, model.CAMERA_HEIGHT, 0.0, model.CAMERA_PITCH, 0.0)
    np.testing.assert_allclose(matrix(camera_transform(header.stamp)), expected, atol=1e-9)


def test_points_go_to_the_base_and_back():
    pose, points = (1.0, -2.0, 0.7), np.array([[3.0, 1.0], [0.0, 0.0]])
    np.testing.assert_allclose(from_base(to_base(points, pose), pose), points, atol=1e-12)
    ahead = np.array([[1 + math.cos(0.7), -2 + math.sin(0.7)]])
    np.testing.assert_allclose(to_base(ahead, pose), [[1.0, 0.0]], atol=1e-12)


@pytest.fixture(scope='module')
def rover():
    rover = Rover(make_course(0))
    yield rover
    rover.close()


def test_the_rover_drives_as_commanded_and_its_camera_sees_the_cone_where_it_is(rover):
    info = camera_info(Header())
    camera = CameraModel.from_camera_info(info.width, info.height, info.distortion_model, info.d,
                                          info.k, info.p)
    to_optical = np.linalg.inv(mounting(model.CAMERA_X, 0.0, model.CAMERA_HEIGHT, 0.0,
                                        model.CAMERA_PITCH, 0.0))
    start, cone = rover.pose(), rover.course.right
    for _ in range(2):
        red, green, blue = np.moveaxis(rover.image().astype(int), -1, 0)
        rows, columns = np.nonzero((red - blue > 90) & (red - green > 60))
        x, y = to_base(rover.places()[:1], rover.pose())[0]
        points = np.array([[x, y, 0.0, 1.0], [x, y, cone.height, 1.0]]) @ to_optical.T
        foot, tip = camera.pixels(points[:, :3])
        near = abs(columns - foot[0]) < 40
        assert abs(np.median(columns[near]) - foot[0]) < 4
        assert abs(rows[near].min() - tip[1]) < 4
        names, boxes = rover.boxes()
        left, top, right, bottom = boxes[names.index('cone')]
        assert abs((left + right) / 2 - foot[0]) < 6 and abs(top - tip[1]) < 4
        assert abs(bottom - foot[1]) < 0.2 * (bottom - top)  # the plate's front edge
        rover.step(2.0, 0.3, 0.0)
    # it stays level, and loses little to inertia and slip
    moved = np.subtract(rover.pose(), start)
    assert 1.0 < math.hypot(*moved[:2]) <= 1.2 and abs(moved[2]) < 0.1 and not rover.touched
    rover.step(2.0, 0.0, 0.5)
    assert 0.7 < rover.pose()[2] - start[2] - moved[2] < 1.05


def test_touching_is_noticed():
    rover = Rover(make_course(0))
    x, y = rover.places()[0]
    bearing = math.atan2(y, x) - rover.pose()[2]
    rover.step(2.0, 0.0, bearing / 2)
    rover.step(12.0, 0.4, 0.0)
    rover.close()
    assert rover.touched
