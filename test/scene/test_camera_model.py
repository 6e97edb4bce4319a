"""Camera models: pixels to rays and back, and which CameraInfo is refused."""

import cv2
import numpy as np
import pytest
from cameras import DISTORTIONS, MATRIX, PROJECTION, camera
from hypothesis import given, settings
from hypothesis import strategies as st

from ssd_perception.scene.camera_model import CameraModel, CameraModelError, mounting


def test_no_points_give_no_rays():
    assert camera().rays(np.zeros((0, 2))).shape == (0, 3)
    assert camera().pixels(np.zeros((0, 3))).shape == (0, 2)


def test_a_pixels_centre_lies_half_a_pixel_from_its_edge():
    rays = camera().rays(np.array([[320.0, 240.0], [320.0 + 480, 240.0]]))
    np.testing.assert_allclose(rays, [[0, 0, 1], [1, 0, 1]], atol=1e-9)


@pytest.mark.parametrize('model', DISTORTIONS)
@given(x=st.floats(40, 600), y=st.floats(40, 440))
@settings(max_examples=30, deadline=None)
def test_rays_come_back_to_their_pixels(model, x, y):
    lens = camera(model, DISTORTIONS[model])
    rays = lens.rays(np.array([[x, y]]))
    np.testing.assert_allclose(lens.pixels(rays), [[x, y]], atol=0.5)


@pytest.mark.parametrize('model', DISTORTIONS)
@pytest.mark.parametrize('axis', [(0.035, 0, 0), (0, -0.035, 0), (0.02, 0.01, -0.3)])
def test_raw_images_of_a_stereo_camera_are_turned_in_the_frame_of_rectified_ones(model, axis):
    """As image_geometry has it: a raw pixel is rectified by K, D and R before it is a ray."""
    turn = cv2.Rodrigues(np.array(axis, float))[0]
    raw, pair = (camera(model, DISTORTIONS[model], r=r) for r in ((), turn.ravel()))
    points = np.array([[320.0, 240.0], [150.0, 300.0], [500.0, 100.0]])
    expected = raw.rays(points) @ turn.T
    np.testing.assert_allclose(pair.rays(points), expected / expected[:, 2:], atol=1e-12)
    np.testing.assert_allclose(pair.pixels(pair.rays(points)), points, atol=0.1)
    rectified, plain = (camera(model, DISTORTIONS[model], r=r, rectified=True).rays(points)
                        for r in (turn.ravel(), ()))
    np.testing.assert_array_equal(rectified, plain)


@pytest.mark.parametrize('r', [(), (0.0,) * 9, np.eye(3).ravel()])
def test_without_rectification_rays_stay(r):
    points = np.array([[150.0, 300.0]])
    np.testing.assert_array_equal(camera(r=r).rays(points), camera().rays(points))


@pytest.mark.parametrize('r', [
    (np.nan,) * 9, (1e300,) * 9, MATRIX, (1.0, 0, 0, 0, 1.0, 0, 0, 0, -1.0),
    (-1.0, 0, 0, 0, -1.0, 0, 0, 0, 1.0), (1.0,) + (0.0,) * 8])
def test_an_r_that_is_no_rotation_is_refused(r):
    with pytest.raises(CameraModelError, match='R that turns'):
        camera(r=r)


@pytest.mark.parametrize('model', DISTORTIONS)
def test_distortion_moves_pixels_near_the_edge(model):
    ray = np.array([[0.55, 0.4, 1.0]])
    moved = camera(model, DISTORTIONS[model]).pixels(ray) - camera().pixels(ray)
    assert np.abs(moved).max() > 5


def test_where_the_lens_model_folds_back_there_is_no_ray():
    lens = camera('plumb_bob', (-1.2, 0.0, 0.0, 0.0, 0.0))
    rays = lens.rays(np.array([[320.0, 240.0], [639.0, 479.0]]))
    assert np.isfinite(rays[0]).all() and np.isnan(rays[1]).all()


def test_rectified_images_use_the_projection_alone():
    other = (960.0, *PROJECTION[1:5], 960.0, *PROJECTION[6:])
    lens = CameraModel.from_camera_info(640, 480, 'plumb_bob', DISTORTIONS['plumb_bob'], MATRIX,
                                        other, rectified=True)
    assert lens.focal_px == 960 and len(lens.distortion) == 0


def test_binning_and_a_region_of_interest_give_the_images_own_pixels():
    whole = camera()
    part = camera(binning=(2, 2), roi=(100, 40, 400, 400))
    assert (part.width, part.height) == (200, 200)
    ray = np.array([[0.1, -0.05, 1.0]])
    np.testing.assert_allclose(part.pixels(ray), (whole.pixels(ray) - [100, 40]) / 2, atol=1e-9)


@pytest.mark.parametrize(('model', 'd', 'k', 'word'), [
    ('plumb_bob', (0.0,) * 5, (0.0,) * 9, 'focal length'),
    ('plumb_bob', (0.1,) * 3, MATRIX, '3 distortion coefficients'),
    ('plumb_bob', (0.1, np.nan, 0, 0, 0), MATRIX, 'finite'),
    ('thin_prism', (0.1,) * 4, MATRIX, '"thin_prism"'),
    ('kannala_brandt', (0.0,) * 4, MATRIX, '"kannala_brandt"'),  # 0 is no pinhole there
    ('equidistant', (), MATRIX, '0 distortion coefficients'),
    ('plumb_bob', (), (960.0, 0, 639.5, 0, 960.0, 479.5, 0, 0, 1), 'for images of another size'),
    ('plumb_bob', (), (240.0, 0, 159.5, 0, 240.0, 119.5, 0, 0, 1), 'for images of another size'),
    ('plumb_bob', (0.0,) * 5, (np.nan,) * 9, 'focal length')])
def test_a_camera_info_without_use_is_refused_in_one_sentence(model, d, k, word):
    with pytest.raises(CameraModelError, match=word):
        CameraModel.from_camera_info(640, 480, model, d, k, PROJECTION)


@pytest.mark.parametrize('model', ['', 'none', 'radtan', 'plumb_bob'])
def test_without_distortion_the_model_needs_no_name(model):
    assert len(camera(model, ()).distortion) == 0


def test_a_fisheye_lens_whose_coefficients_are_zero_is_no_pinhole():
    """As simulators have it: pixels go with the angle, not with its tangent."""
    ray, = camera('equidistant', (0.0,) * 4).rays(np.array([[320.0 + 480 * 0.6, 240.0]]))
    assert np.arctan2(ray[0], ray[2]) == pytest.approx(0.6, abs=1e-3)


@pytest.mark.parametrize(('angles', 'direction', 'expected'), [
    ((0, 0, 0), (0, 0, 1), (1, 0, 0)),      # ahead
    ((0, 0, 0), (1, 0, 0), (0, -1, 0)),     # right of the image is right of the robot
    ((0, 0, 0), (0, 1, 0), (0, 0, -1)),     # down
    ((0, np.pi / 2, 0), (0, 0, 1), (0, 0, -1)),  # pitch looks down
    ((0, 0, np.pi / 2), (0, 0, 1), (0, 1, 0)),   # yaw looks left
    ((np.pi / 2, 0, 0), (1, 0, 0), (0, 0, -1))])  # roll lowers the right
def test_a_mounting_turns_as_rep_103_has_it(angles, direction, expected):
    transform = mounting(0.1, 0.2, 0.3, *angles)
    np.testing.assert_allclose(transform[:3, :3] @ direction, expected, atol=1e-12)
    np.testing.assert_allclose(transform[:3, 3], (0.1, 0.2, 0.3))
