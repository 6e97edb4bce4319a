"""Cameras and objects of known place for tests of positions: a cylinder's box through a lens."""

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


def cylinder_box(lens, mounting, x, y, radius=0.12, height=0.3, z=0.0):
    """Return the edges (4,) of the box around an upright cylinder, not clipped."""
    turn = np.linspace(0, 2 * np.pi, 48, endpoint=False)
    ring = np.stack([x + radius * np.cos(turn), y + radius * np.sin(turn)], axis=1)
    points = np.concatenate([np.c_[ring, np.full(48, z)], np.c_[ring, np.full(48, z + height)]])
    seen = (points - mounting[:3, 3]) @ mounting[:3, :3]
    assert (seen[:, 2] > 0).all()
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
