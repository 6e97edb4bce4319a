"""How far a turn moved the image: a textured scene that is shifted by known pixels."""

import cv2
import numpy as np
import pytest

from ssd_perception.scene import camera_motion
from ssd_perception.scene.camera_motion import CameraMotion, Turn


def view(x, y, width=640, height=480):
    """Return an image of a textured scene whose left upper corner lies at x, y of it."""
    rng, whole = np.random.default_rng(4), np.full((900, 1350, 3), 128, np.float32)
    for columns in (3, 6, 12, 24, 48, 96):  # coarse things stand out most, as in a room
        noise = rng.standard_normal((columns * 2 // 3, columns, 3)).astype(np.float32)
        whole += 150 / columns ** 0.5 * cv2.resize(noise, (1350, 900))
    seen = np.clip(whole[y:y + 480, x:x + 640], 0, 255).astype(np.uint8)
    return cv2.resize(seen, (width, height), interpolation=cv2.INTER_AREA)


@pytest.mark.parametrize(('size', 'scale'), [((640, 480), 1.0), ((320, 240), 2.0),
                                             ((1920, 1440), 1 / 3)])
@pytest.mark.parametrize('move', [(0, 0), (12, -7), (-150, 6), (120, 20)])
def test_a_shift_is_found_in_the_cameras_pixels(move, size, scale):
    motion = CameraMotion()
    assert motion.turn(view(300, 200, *size), scale) is None
    found = motion.turn(view(300 - move[0], 200 - move[1], *size), scale)
    assert found.size == (640.0, 480.0)
    # the scene is flat: what a turn would move more at the sides, here moves the same
    np.testing.assert_allclose(found.shift, move, atol=2.5 + 0.15 * abs(move[0]))


@pytest.mark.parametrize('yaw', [-0.3, 0.02, 0.3])
def test_points_move_as_a_camera_that_turns_moves_them(yaw):
    focal, points = 480.0, np.array([[320.0, 240.0], [150.0, 300.0], [500.0, 100.0]])
    rays = np.c_[(points - [320, 240]) / focal, np.ones(3)]
    cos, sin = np.cos(yaw), np.sin(yaw)
    turned = rays @ np.array([[cos, 0, sin], [0, 1, 0], [-sin, 0, cos]]).T
    expected = turned[:, :2] / turned[:, 2:] * focal + [320, 240]
    # the shift of the middle, along the arc: focal length times the angle
    moved = Turn(np.array([focal * yaw, 0.0]), (640.0, 480.0)).move(points)
    np.testing.assert_allclose(moved, expected, atol=0.06 * focal * abs(yaw))
    assert Turn(np.zeros(2), (640.0, 480.0)).move(np.zeros((0, 2))).shape == (0, 2)


@pytest.mark.parametrize('shape', [(60_000, 1, 3), (1, 60_000, 3), (1, 1, 3), (3000, 40, 3)])
def test_an_image_of_any_proportions_is_compared_at_a_small_size(shape, monkeypatch):
    sizes, resize = [], cv2.resize
    monkeypatch.setattr(camera_motion.cv2, 'resize', lambda image, size, **more: sizes.append(
        size) or resize(image, (1, 1)))
    assert CameraMotion().turn(np.zeros(shape, np.uint8)) is None
    assert max(sizes[0]) == 160
    monkeypatch.undo()
    motion, image = CameraMotion(), np.random.default_rng(1).integers(0, 255, shape, np.uint8)
    assert motion.turn(image) is None
    motion.turn(image)  # nothing to measure, perhaps, but no error


def test_without_an_earlier_image_of_the_same_kind_there_is_no_shift():
    motion, plain = CameraMotion(), np.full((480, 640, 3), 90, np.uint8)
    assert motion.turn(plain) is None
    assert motion.turn(plain) is None  # nothing to see
    assert motion.turn(view(300, 200, 640, 360)) is None  # another shape
    assert motion.turn(np.random.default_rng(1).integers(
        0, 255, (360, 640, 3), dtype=np.uint8)) is None  # another scene
    assert motion.turn(None) is None
    assert motion.turn(view(300, 200)) is None
    motion.forget()
    assert motion.turn(view(310, 200)) is None
    assert motion.turn(view(310, 200)) is not None
