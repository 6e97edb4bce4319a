"""Positions as messages: Detection3DArray, the target's pose, markers, obstacles."""

from __future__ import annotations

import math
from array import array
from collections.abc import Iterable, Sequence

import numpy as np
from builtin_interfaces.msg import Duration
from geometry_msgs.msg import Point, Pose, PoseStamped, PoseWithCovariance, Quaternion, Vector3
from sensor_msgs.msg import PointCloud2, PointField
from std_msgs.msg import ColorRGBA, Header
from vision_msgs.msg import (
    BoundingBox3D,
    Detection3D,
    Detection3DArray,
    ObjectHypothesis,
    ObjectHypothesisWithPose,
)
from visualization_msgs.msg import Marker, MarkerArray

from ssd_perception.core.detections import Detections
from ssd_perception.scene.positions import Position
from ssd_perception.viz.drawing import class_colour

# Orientations are not known; a consumer that uses them sees that.
UNKNOWN_ANGLE_VARIANCE = math.pi ** 2
# Each message deletes the markers before it: this is for a node that has stopped, and long enough
# that markers do not blink where it detects once a second.
_MARKER_S = 2
_OBSTACLE_POINTS = 8


def detections_3d_message(header: Header, detections: Detections, positions: Sequence[Position],
                          class_names: Sequence[str]) -> Detection3DArray:
    """Return the detections whose positions are known, with the ids of the 2D ones.

    Args:
        header: the image's stamp, and the frame of the positions.
        detections: of the image.
        positions: one for each detection.
        class_names: label -> the name that ``class_id`` carries.
    """
    message = Detection3DArray(header=header)
    for i, position, xyz in _known(positions):
        pose = Pose(position=_point(xyz), orientation=Quaternion(w=1.0))
        covariance = np.zeros((6, 6))
        covariance[:3, :3] = position.covariance
        covariance[[3, 4, 5], [3, 4, 5]] = UNKNOWN_ANGLE_VARIANCE
        width, height = position.size
        message.detections.append(Detection3D(
            header=header, id=_id(detections, i),
            results=[ObjectHypothesisWithPose(
                hypothesis=ObjectHypothesis(class_id=class_names[detections.labels[i]],
                                            score=float(detections.scores[i])),
                pose=PoseWithCovariance(pose=pose, covariance=covariance.ravel()))],
            bbox=BoundingBox3D(center=pose, size=Vector3(
                x=float(width), y=float(width), z=float(height)))))
    return message


def target_message(header: Header, xyz: np.ndarray, origin: np.ndarray) -> PoseStamped:
    """Return the pose of a target, metres: its x axis points on along the line from ``origin``."""
    yaw = math.atan2(xyz[1] - origin[1], xyz[0] - origin[0])
    return PoseStamped(header=header, pose=Pose(position=_point(xyz), orientation=Quaternion(
        z=math.sin(yaw / 2), w=math.cos(yaw / 2))))


def markers_message(header: Header, detections: Detections, positions: Sequence[Position],
                    class_names: Sequence[str], origin: np.ndarray) -> MarkerArray:
    """Return a cylinder and a text for each known position; the namespace is the method."""
    markers = [Marker(header=header, action=Marker.DELETEALL)]
    lifetime = Duration(sec=_MARKER_S)
    for i, position, xyz in _known(positions):
        label, (width, height) = int(detections.labels[i]), position.size
        red, green, blue = (part / 255 for part in class_colour(label))
        common = {'header': header, 'ns': position.method, 'lifetime': lifetime}
        markers.append(Marker(
            **common, id=2 * i, type=Marker.CYLINDER, pose=Pose(position=_point(xyz)),
            scale=Vector3(x=float(width), y=float(width), z=float(height)),
            color=ColorRGBA(r=red, g=green, b=blue, a=0.6)))
        name = ' '.join(filter(None, (class_names[label], _id(detections, i))))
        away = float(np.linalg.norm(xyz[:2] - origin[:2]))
        markers.append(Marker(
            **common, id=2 * i + 1, type=Marker.TEXT_VIEW_FACING, text=f'{name} {away:.2f} m',
            pose=Pose(position=_point(xyz + [0.0, 0.0, height / 2 + 0.1])),
            scale=Vector3(z=0.1), color=ColorRGBA(r=1.0, g=1.0, b=1.0, a=1.0)))
    return MarkerArray(markers=markers)


def obstacles_message(header: Header, positions: Sequence[Position]) -> PointCloud2:
    """Return points around each known position, at its middle height, for a costmap's layer."""
    turn = np.linspace(0, 2 * math.pi, _OBSTACLE_POINTS, endpoint=False)
    ring = np.stack([np.cos(turn), np.sin(turn), np.zeros_like(turn)], axis=1)
    points = [xyz + ring * position.size[0] / 2 for _, position, xyz in _known(positions)]
    cloud = np.concatenate([np.zeros((0, 3)), *points]).astype('<f4')
    data = array('B')
    data.frombytes(cloud.tobytes())
    return PointCloud2(
        header=header, height=1, width=len(cloud), is_bigendian=False, is_dense=True,
        point_step=12, row_step=12 * len(cloud), data=data,
        fields=[PointField(name=name, offset=4 * k, datatype=PointField.FLOAT32, count=1)
                for k, name in enumerate('xyz')])


def _known(positions: Sequence[Position]) -> Iterable[tuple[int, Position, np.ndarray]]:
    return ((i, position, position.xyz) for i, position in enumerate(positions)
            if position.xyz is not None)


def _point(xyz: np.ndarray) -> Point:
    x, y, z = map(float, xyz)
    return Point(x=x, y=y, z=z)


def _id(detections: Detections, i: int) -> str:
    return '' if detections.ids is None else str(detections.ids[i])
