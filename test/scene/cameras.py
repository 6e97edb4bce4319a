"""Cameras and objects of known place for tests of positions: a cylinder's box through a lens."""

import cv2
import numpy as np

from ssd_perception.core.detections import Detections
from ssd_perception.scene.camera_model import CameraModel

MATRIX = (480.0, 0.0, 319.5, 0.0, 480.0, 239.5, 0.0, 0.0, 1.0)
PROJECTION = (480.0, 0.0, 319.5, 0.0, 0.0, 480.0, 239.5, 0.0, 0.0, 0.0, 1.0, 0.0)
DISTORTIONS = {
    'plumb_bob': (-0.28, 0.09, 0.0008, -0.0005, -0.012),
    'rational_polynomial': (0.5, -0.2, 0.0003, 0.0002, 0.01, 0.8, -0.1, 0.02),
    'equidistant': (0.02, -0.01, 0.004, -0.001),
}


def camera(model='plumb_bob', distortion=(0.0,) * 5, **arguments):
    """Return a 640x480 CameraModel."""
    return CameraModel.from_camera_info(640, 480, model, distortion, MATRIX, PROJECTION,
                                        **arguments)


def cylinder_box(lens, mounting, x, y, radius=0.12, height=0.3, z=0.0, tip=1.0):
    """Return the edges (4,) of the box around an upright cylinder, not clipped.

    Its upper radius is ``tip`` times the lower one.
    """
    turn = np.linspace(0, 2 * np.pi, 48, endpoint=False)
    ring = radius * np.stack([np.cos(turn), np.sin(turn)], axis=1)
    points = np.concatenate([np.c_[ring + [x, y], np.full(48, z)],
                             np.c_[tip * ring + [x, y], np.full(48, z + height)]])
    seen = (points - mounting[:3, 3]) @ mounting[:3, :3]
    assert (seen[:, 2] > 0).all()
    pixels = lens.pixels(seen / seen[:, 2:])
    return np.concatenate([pixels.min(0), pixels.max(0)])


def lying_cone_box(lens, mounting, x, y, yaw):
    """Return the edges (4,) of the box around a cone that lies with its middle at x, y.

    Its foot is a disc 0.2 m across, its tip 0.33 m away, on the floor, in the direction ``yaw``.
    """
    turn = np.linspace(0, 2 * np.pi, 48, endpoint=False)
    along, aside = np.array([np.cos(yaw), np.sin(yaw)]), np.array([-np.sin(yaw), np.cos(yaw)])
    foot = np.array([x, y]) - 0.165 * along
    points = np.concatenate([
        np.c_[foot + 0.1 * np.cos(turn)[:, None] * aside, 0.1 + 0.1 * np.sin(turn)],
        [[*(foot + 0.33 * along), 0.02]]])
    seen = (points - mounting[:3, 3]) @ mounting[:3, :3]
    pixels = lens.pixels(seen / seen[:, 2:])
    return np.concatenate([pixels.min(0), pixels.max(0)])


def boxes(*edges):
    """Return Detections of class 0 at these (4,) boxes."""
    return Detections(np.array(edges).reshape(-1, 4), np.full(len(edges), 0.9),
                      np.zeros(len(edges)))


def depth_image(lens, box, metres, background=6.0):
    """Return a depth image, float32 (H, W), with one flat thing before a wall."""
    image = np.full((lens.height, lens.width), background, np.float32)
    x1, y1, x2, y2 = np.round(box).astype(int)
    image[max(y1, 0):y2, max(x1, 0):x2] = metres
    return image


def as_stereo_has_it(depth, rng):
    """Return a depth image (H, W) with the faults of a stereo camera, NaN for holes.

    Disparity in eighths of a pixel (focal length 480 pixels, baseline 50 mm) after noise of a
    tenth of a pixel; object and background mix within three pixels of an edge; a shadow
    beside each edge and patches without texture have no value.
    """
    mixed = cv2.blur(depth, (7, 7))
    disparity = 480 * 0.05 / mixed + 0.1 * rng.standard_normal(depth.shape)
    result = 480 * 0.05 / (np.maximum(np.round(disparity * 8), 1) / 8)
    jump = np.abs(np.diff(depth, axis=1, prepend=depth[:, :1])) > 0.1
    result[cv2.dilate(jump.astype(np.uint8), np.ones((1, 9))) > 0] = np.nan
    height, width = depth.shape
    patches = cv2.resize(rng.uniform(size=(height // 8 + 1, width // 8 + 1)), (width, height))
    result[patches < 0.25] = np.nan
    return result.astype(np.float32)
