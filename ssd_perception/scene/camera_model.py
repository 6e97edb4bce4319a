"""The camera model of a CameraInfo: from pixels to rays and back, lens distortion included."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import cv2
import numpy as np

from ssd_perception.core.errors import UserError
from ssd_perception.core.text import printable

FISHEYE_MODEL = 'equidistant'
_COEFFICIENTS = {'plumb_bob': (4, 5), 'rational_polynomial': (8, 12, 14), 'equidistant': (4,)}
# Names that drivers and Kalibr give to a pinhole camera; without coefficients they are known.
_UNDISTORTED = ('', 'none', 'pinhole', 'radtan', 'brown_conrady')
# The principal point is no further from the middle, as a factor: else the matrix is for images of
# another size, as where a node scales images but not the matrix.
_OFF_MIDDLE = 1.4
# A ray that does not come back to its pixel lies outside of what the coefficients describe.
_MAX_RETURN_PX = 0.5
# By so much R times its transpose may differ from a rotation's.
_NO_ROTATION = 0.01


class CameraModelError(UserError):
    """A CameraInfo that gives no rays; the text says why."""


@dataclass(frozen=True, eq=False)
class CameraModel:
    """A calibrated camera.

    Attributes:
        width, height: of the images it holds for, pixels.
        matrix: float64 (3, 3), for ROS pixel coordinates: 0 is the centre of the first pixel.
        distortion: float64 (k,); empty for an image without distortion.
        fisheye: whether ``distortion`` is that of the equidistant model.
        rectification: float64 (3, 3), turns rays of the image into the camera's frame. That frame
            is the one of rectified images, as image_geometry has it; only the raw images of a
            stereo camera are turned in it.
    """

    width: int
    height: int
    matrix: np.ndarray
    distortion: np.ndarray
    fisheye: bool = False
    rectification: np.ndarray = field(default_factory=lambda: np.eye(3))

    @classmethod
    def from_camera_info(cls, width: int, height: int, model: str, d: Sequence[float],
                         k: Sequence[float], p: Sequence[float], r: Sequence[float] = (),
                         rectified: bool = False, binning: tuple[int, int] = (1, 1),
                         roi: tuple[int, int, int, int] = (0, 0, 0, 0)) -> CameraModel:
        """Return the model of a sensor_msgs/CameraInfo's fields.

        Args:
            width, height: of the calibrated image, pixels.
            model: ``plumb_bob``, ``rational_polynomial`` or ``equidistant``; may be empty where
                there is no distortion.
            d, k, p, r: as in the message; ``r`` may be empty or zeros for none.
            rectified: whether images are rectified: then ``p`` holds, ``d`` and ``r`` do not.
            binning: sensor pixels per image pixel, x and y; 0 means 1.
            roi: x, y, width and height of the part that images show; all 0 means all of it.

        Raises:
            CameraModelError: for a camera that is not calibrated, an unknown model, a matrix that
                is for images of another size, or an ``r`` that is no rotation.
        """
        matrix = np.array(p, np.float64).reshape(3, 4)[:, :3] if rectified else (
            np.array(k, np.float64).reshape(3, 3))
        if not np.isfinite(matrix).all() or matrix[0, 0] <= 0 or matrix[1, 1] <= 0:
            raise CameraModelError('CameraInfo has no focal length; calibrate the camera.')
        middle = [2 / max(side, 1) * matrix[axis, 2] for axis, side in enumerate((width, height))]
        if min(middle) > _OFF_MIDDLE or max(middle) < 1 / _OFF_MIDDLE:
            raise CameraModelError(
                f'CameraInfo says {width}x{height}, but with its principal point at '
                f'{matrix[0, 2]:.0f}, {matrix[1, 2]:.0f} it is for images of another size.')
        distortion = np.zeros(0) if rectified else _distortion(model, d)
        x, y, roi_width, roi_height = roi
        step_x, step_y = max(binning[0], 1), max(binning[1], 1)
        # the centre of the first binned pixel lies (step - 1) / 2 sensor pixels from its edge
        scale = np.array([[1 / step_x, 0, -(x + (step_x - 1) / 2) / step_x],
                          [0, 1 / step_y, -(y + (step_y - 1) / 2) / step_y], [0, 0, 1]])
        return cls((roi_width or width) // step_x, (roi_height or height) // step_y,
                   scale @ matrix, distortion, model == FISHEYE_MODEL and len(distortion) > 0,
                   np.eye(3) if rectified else _rotation(r))

    @property
    def focal_px(self) -> float:
        """Mean focal length, pixels."""
        return float(self.matrix[0, 0] + self.matrix[1, 1]) / 2

    def rays(self, points: np.ndarray) -> np.ndarray:
        """Return the directions of image points, in optical axes (x right, y down, z ahead).

        Args:
            points: (n, 2), pixels with continuous edges from 0, as boxes have them.

        Returns:
            float64 (n, 3), z 1; NaN where the lens model does not hold.
        """
        pixels = np.asarray(points, np.float64).reshape(-1, 1, 2) - 0.5
        if not len(pixels):
            return np.zeros((0, 3))
        if self.fisheye:
            flat = cv2.fisheye.undistortPoints(pixels, self.matrix, self.distortion)
        else:
            flat = cv2.undistortPoints(pixels, self.matrix, self._coefficients())
        rays = np.concatenate([flat.reshape(-1, 2), np.ones((len(pixels), 1))], axis=1)
        if len(self.distortion):
            back = self._projected(np.where(np.isfinite(rays), rays, 0.0))
            lost = np.linalg.norm(back - (pixels[:, 0] + 0.5), axis=1) > _MAX_RETURN_PX
            rays[lost] = np.nan
        turned = rays @ self.rectification.T
        return turned / np.where(turned[:, 2:] > 0, turned[:, 2:], np.nan)

    def pixels(self, directions: np.ndarray) -> np.ndarray:
        """Return where directions (n, 3) of optical axes fall: (n, 2), as ``rays`` takes them.

        Only for what lies ahead, z > 0.
        """
        return self._projected(np.asarray(directions, np.float64).reshape(-1, 3)
                               @ self.rectification)

    def _projected(self, directions: np.ndarray) -> np.ndarray:
        directions = directions.reshape(-1, 1, 3)
        if not len(directions):
            return np.zeros((0, 2))
        project, zero = (cv2.fisheye if self.fisheye else cv2).projectPoints, np.zeros(3)
        found, _ = project(directions, zero, zero, self.matrix, self._coefficients())
        return found.reshape(-1, 2) + 0.5

    def _coefficients(self) -> np.ndarray:
        return self.distortion if len(self.distortion) else np.zeros(4)


def _rotation(r: Sequence[float]) -> np.ndarray:
    matrix = np.array(r, np.float64)
    if not matrix.any():  # drivers of single cameras leave it empty
        return np.eye(3)
    matrix = matrix.reshape(3, 3)
    if (not np.isfinite(matrix).all() or np.abs(matrix).max() > 2
            or np.abs(matrix @ matrix.T - np.eye(3)).max() > _NO_ROTATION
            or np.trace(matrix) < 2):  # by more than 60 degrees, or a reflection
        raise CameraModelError('CameraInfo has an R that turns by more than 60 degrees or is no '
                               'rotation; calibrate the camera.')
    return matrix


def _distortion(model: str, d: Sequence[float]) -> np.ndarray:
    values = np.array(d, np.float64).reshape(-1)
    # without coefficients a fisheye lens is still no pinhole, and an unknown model still unknown
    if not values.any() and model != FISHEYE_MODEL and model.lower() in (
            *_UNDISTORTED, *_COEFFICIENTS):
        return np.zeros(0)
    if model not in _COEFFICIENTS:
        raise CameraModelError(
            f'CameraInfo has the distortion model "{printable(model, 40)}"; expected one of '
            f'{", ".join(_COEFFICIENTS)}.')
    if len(values) not in _COEFFICIENTS[model] or not np.isfinite(values).all():
        raise CameraModelError(
            f'CameraInfo has {len(values)} distortion coefficients; {model} has '
            f'{" or ".join(map(str, _COEFFICIENTS[model]))} finite ones.')
    return values


def mounting(x: float, y: float, height: float, roll: float, pitch: float,
             yaw: float) -> np.ndarray:
    """Return the 4x4 transform from a camera's optical axes to the robot's base.

    Args:
        x, y: where the camera is ahead of and left of the base's origin, metres.
        height: above the floor, metres.
        roll, pitch, yaw: of the camera, radians, as in REP 103: a positive pitch looks down, a
            positive yaw to the left, a positive roll lowers the right side.
    """
    def turn(angle: float, first: int, second: int) -> np.ndarray:
        matrix = np.eye(3)
        matrix[[first, second], [first, second]] = np.cos(angle)
        matrix[first, second], matrix[second, first] = -np.sin(angle), np.sin(angle)
        return matrix

    body = turn(yaw, 0, 1) @ turn(pitch, 2, 0) @ turn(roll, 1, 2)
    optical = np.array([[0, 0, 1], [-1, 0, 0], [0, -1, 0]])  # columns: right, down, ahead
    transform = np.eye(4)
    transform[:3, :3] = body @ optical
    transform[:3, 3] = x, y, height
    return transform
