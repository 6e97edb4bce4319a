"""Positions in the node: what one camera's images need, and what is published of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
from builtin_interfaces.msg import Time
from geometry_msgs.msg import PoseStamped
from rclpy.node import Node
from rclpy.qos import QoSProfile, ReliabilityPolicy
from rclpy.subscription import Subscription
from sensor_msgs.msg import CameraInfo, Image, PointCloud2
from std_msgs.msg import Header
from vision_msgs.msg import Detection3DArray
from visualization_msgs.msg import MarkerArray

from ssd_perception.core import interface
from ssd_perception.core.detections import Detections
from ssd_perception.core.errors import UserError
from ssd_perception.core.frame import Frame
from ssd_perception.core.text import describe_error, one_line, printable, quoted
from ssd_perception.ros.depth_images import DepthImages, Lookup
from ssd_perception.ros.scene_messages import (
    detections_3d_message,
    markers_message,
    obstacles_message,
    target_message,
)
from ssd_perception.ros.scene_parameters import SceneSettings
from ssd_perception.ros.transforms import TransformError
from ssd_perception.scene.camera_model import CameraModel
from ssd_perception.scene.positions import (
    METHODS,
    TILT,
    TILT_OF_FIXED,
    Position,
    View,
    locate,
    plausible,
)
from ssd_perception.scene.target import TargetSelector, TargetSettings

INPUT_QOS = QoSProfile(depth=5, reliability=ReliabilityPolicy.BEST_EFFORT)
# Of a lens; the models that are known have at most 14.
MAX_COEFFICIENTS = 100
STAMP = 'The image has an impossible stamp; set it in the camera driver.'
# Upward parts of the axes of a frame that is no optical one: z, which should look ahead, points up
# by more than the first, and y, which should point down, is level within the second.
_UP, _LEVEL = 0.7, 0.2


class ViewError(UserError):
    """An image without what positions need; the text says what is missing."""


class CameraScene:
    """CameraInfo, depth and transforms of one camera, and its topics in metres.

    Args:
        node: whose topics they are.
        prefix: of the camera's topics, such as ``front/``; empty for the only camera.
        image_topic: resolved; CameraInfo is beside it unless ``camera_info`` is remapped.
        settings: see there.
        lookup: returns the transform (to, from, stamp), see ``Transforms.lookup``.
    """

    def __init__(self, node: Node, prefix: str, image_topic: str, settings: SceneSettings,
                 lookup: Lookup):
        self._node, self._settings, self._lookup = node, settings, lookup
        self._image_topic = image_topic
        self._topics = {
            CameraInfo: _beside(node, f'{prefix}{interface.CAMERA_INFO}', image_topic),
            Image: node.resolve_topic_name(f'{prefix}{interface.DEPTH}')}
        self._subscriptions: list[Subscription] = []
        self._info: CameraInfo | None = None
        self._model: tuple[CameraInfo, CameraModel] | None = None
        self._depth = DepthImages(self._topics[Image], lookup)
        self._view: tuple[Frame, View | ViewError] | None = None  # of the image in work
        self._selector = TargetSelector(settings.target)
        self._counts: Counter[str] = Counter()
        self._dropped, self._reason = 0, ''
        self._names: tuple = ()  # target class and the weights' classes at the last check
        publisher = node.create_publisher
        self._detections = publisher(Detection3DArray, f'{prefix}{interface.DETECTIONS_3D}', 10)
        self._target = publisher(PoseStamped, f'{prefix}{interface.TARGET}', 10)
        self._markers = publisher(MarkerArray, f'{prefix}{interface.MARKERS}', 1)
        self._obstacles = publisher(PointCloud2, f'{prefix}{interface.OBSTACLES}',
                                    10) if settings.obstacles else None

    def choose_target(self, settings: TargetSettings) -> None:
        """Follow another object from the next image on."""
        before = self._selector.settings
        if (settings.class_name, settings.track_id) == (before.class_name, before.track_id):
            self._selector.settings = settings
        else:
            self._selector = TargetSelector(settings)

    def listen(self) -> None:
        """Subscribe to what positions need."""
        subscribe = self._node.create_subscription
        self._subscriptions = [subscribe(CameraInfo, self._topics[CameraInfo],
                                         self._receive_info, INPUT_QOS)]
        if 'depth' in self._settings.positions.methods:
            self._subscriptions.append(subscribe(Image, self._topics[Image],
                                                 self._depth.receive, INPUT_QOS))

    def stop(self) -> None:
        """Unsubscribe."""
        for subscription in self._subscriptions:
            self._node.destroy_subscription(subscription)
        self._subscriptions = []

    def forget(self) -> None:
        """The clock went back: what is from before it belongs to no image to come."""
        self._depth.forget()
        self._view = None
        self._selector = TargetSelector(self._selector.settings)

    def _receive_info(self, message: CameraInfo) -> None:
        self._info = message

    def view(self, frame: Frame) -> View:
        """Return what this image needs for positions.

        Raises:
            ViewError: saying what is missing or does not fit.
        """
        if self._view is None or self._view[0] is not frame:
            try:
                found: View | ViewError = self._find_view(frame)
            except UserError as error:
                found = ViewError(one_line(error, 400))
            except Exception as error:  # whatever is odd costs the position, not the answer
                found = ViewError(describe_error(error))
            self._view = frame, found
        if isinstance(self._view[1], ViewError):
            raise self._view[1]
        return self._view[1]

    def _find_view(self, frame: Frame) -> View:
        size = _size(frame)
        model = self._camera_model()
        assert self._info is not None  # else there is no model
        # What is beside the image belongs to it: that of a stereo pair's right camera has the left
        # camera's frame_id, and some simulators give both other names.
        if self._topics[CameraInfo] != _beside_image(interface.CAMERA_INFO, self._image_topic):
            _require_frame(self._info, frame)
        if np.abs(np.subtract(size, (model.width, model.height))).max() >= max(frame.scale, 1):
            raise ViewError(f'CameraInfo is for images of {model.width}x{model.height}, the '
                            f'image has {size[0]}x{size[1]}.')
        mounting, methods = self._mounting(frame), self._settings.positions.methods
        depth = (self._depth.at(frame, model, methods == ('depth',)) if 'depth' in methods
                 else None)
        return View(model, mounting, depth,
                    self._settings.mounting_error
                    or (TILT if self._settings.mount is None else TILT_OF_FIXED))

    def _camera_model(self) -> CameraModel:
        info = self._info
        if info is None:
            raise ViewError(f'No CameraInfo arrived on {self._topics[CameraInfo]}; remap '
                            'camera_info to where it is published.')
        if len(info.d) > MAX_COEFFICIENTS:  # compared for every image
            raise ViewError(f'CameraInfo has {len(info.d)} distortion coefficients.')
        if self._model is None or _calibration(self._model[0]) != _calibration(info):
            roi = info.roi
            # image_proc publishes image_rect beside a CameraInfo that has the lens' distortion;
            # a driver of rectified images may leave P empty.
            rectified = self._settings.rectified or (
                '/image_rect' in self._image_topic and info.p[0] > 0)
            self._model = info, CameraModel.from_camera_info(
                info.width, info.height, info.distortion_model, info.d, info.k, info.p,
                info.r, rectified, (info.binning_x, info.binning_y),
                (roi.x_offset, roi.y_offset, roi.width, roi.height))
        return self._model[1]

    def _mounting(self, frame: Frame) -> np.ndarray:
        if self._settings.mount is not None:
            return self._settings.mount
        of, to = printable(frame.frame_id, 80), self._settings.frame
        if frame.stamp_ns <= 0 or not of:
            raise TransformError('The image has no stamp or no frame_id, so no transform '
                                 'belongs to it; set them in the camera driver.')
        if frame.frame_id == to:
            raise TransformError(f'The frame_id of the image is "{of}", which is position_frame '
                                 "too; let the driver set the camera's optical frame, or set "
                                 'camera_mount.')
        mounting = self._lookup(to, frame.frame_id, frame.stamp_ns)
        if mounting[2, 2] > _UP and abs(mounting[2, 1]) < _LEVEL:
            raise TransformError(f'By the transform to "{to}", "{of}" is no optical frame: x '
                                 f'right, y down, z ahead (REP 103); or z of "{to}" is not up.')
        return mounting

    def plausible(self, frame: Frame, detections: Detections,
                  class_names: Sequence[str]) -> Detections:
        """Return the detections whose size on the floor fits their class; all without a view."""
        settings = self._settings.positions
        if not len(detections) or not settings.size_tolerance or not settings.class_heights:
            return detections
        try:
            fits = plausible(detections, self.view(frame), settings, class_names)
            self._dropped += int((~fits).sum())
            return detections[fits]
        except ViewError:
            return detections

    def publish(self, frame: Frame, detections: Detections,
                class_names: Sequence[str]) -> None:
        """Publish where an image's detections are."""
        self._check_names(class_names)
        sec, nanosec = interface.ns_to_stamp(frame.stamp_ns)
        if not -2 ** 31 <= sec < 2 ** 31:  # nanoseconds of seconds; in a message it would wrap
            self._note([Position.unknown(STAMP)] * len(detections))
            return
        known = False
        try:
            view = self.view(frame)
            positions = locate(detections, view, self._settings.positions, class_names)
            origin, known = view.mounting[:3, 3], True
        except ViewError as error:
            positions, origin = [Position.unknown(str(error))] * len(detections), np.zeros(3)
            self._reason = str(error)
        self._note(positions)
        header = Header(stamp=Time(sec=sec, nanosec=nanosec), frame_id=self._settings.frame)
        self._detections.publish(detections_3d_message(header, detections, positions,
                                                       class_names))
        chosen = self._selector.choose(frame.stamp_ns, detections, positions, class_names, origin)
        if chosen is not None:
            xyz = positions[chosen].xyz
            assert xyz is not None  # the selector takes known positions alone
            self._target.publish(target_message(header, xyz, origin))
        if self._markers.get_subscription_count():
            self._markers.publish(markers_message(header, detections, positions, class_names,
                                                  origin))
        if self._obstacles is not None and known:  # an empty cloud says that nothing is there
            self._obstacles.publish(obstacles_message(header, positions))
        self._view = None  # it holds the image

    def _check_names(self, class_names: Sequence[str]) -> None:
        """Log classes that parameters name and the weights do not have, once."""
        target = self._selector.settings.class_name
        if (target, class_names) == self._names:
            return
        self._names = target, class_names
        wanted = dict.fromkeys([*self._settings.positions.class_heights, target])
        unknown = [name for name in wanted if name and name not in class_names]
        if unknown:
            self._node.get_logger().warning(
                f'class_heights or target_class name {", ".join(map(quoted, unknown))}; the '
                f'weights have {printable(", ".join(class_names), 400)}.')

    def _note(self, positions: Sequence[Position]) -> None:
        for position in positions:
            self._counts[position.method] += 1
            self._reason = position.reason or self._reason

    def values(self) -> dict[str, str]:
        """Return the figures for the diagnostics."""
        known = {f'positions from {method}': str(self._counts[method]) for method in METHODS
                 if self._counts[method]}
        dropped = {'dropped for their size': str(self._dropped)} if self._dropped else {}
        return {**known, **dropped, 'without position': str(self._counts['']),
                **({'last without position': self._reason} if self._reason else {})}


def _size(frame: Frame) -> tuple[int, int]:
    if frame.image is None:
        raise ViewError('The image is not at hand.')
    height, width = frame.image.shape[:2]
    return round(width * frame.scale), round(height * frame.scale)


def _require_frame(info: CameraInfo, frame: Frame) -> None:
    """Refuse what another camera sent, whose images have the same size; some send no frame_id."""
    of = info.header.frame_id
    if of and frame.frame_id and of != frame.frame_id:
        raise ViewError(f'CameraInfo is of "{printable(of, 80)}", the image of '
                        f'"{printable(frame.frame_id, 80)}"; remap camera_info.')


def _calibration(info: CameraInfo) -> tuple:
    roi = info.roi
    return (info.width, info.height, info.distortion_model, tuple(info.d), tuple(info.k),
            tuple(info.p), tuple(info.r), info.binning_x, info.binning_y, roi.x_offset,
            roi.y_offset, roi.width, roi.height)


def _beside(node: Node, topic: str, image_topic: str) -> str:
    """Return ``topic`` where it was remapped, else the one beside the image's."""
    plain = f'{node.get_namespace().rstrip("/")}/{topic}'
    resolved = node.resolve_topic_name(topic)
    if resolved != plain:
        return resolved
    return _beside_image(topic, image_topic)


def _beside_image(topic: str, image_topic: str) -> str:
    image_topic = image_topic.removesuffix(interface.COMPRESSED_SUFFIX)
    return f'{image_topic.rsplit("/", 1)[0]}/{topic.rsplit("/", 1)[-1]}'
