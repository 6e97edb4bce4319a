"""The node's stages: what happens to detections between the detector and their publication."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from rclpy.node import Node

from ssd_perception.core import interface
from ssd_perception.core.detections import Detections
from ssd_perception.core.frame import Frame, Stage
from ssd_perception.core.postprocess import PostprocessSettings
from ssd_perception.ros.depth_images import Lookup
from ssd_perception.ros.parameters import NodeParameters
from ssd_perception.ros.scene import CameraScene
from ssd_perception.ros.transforms import TransformError, Transforms
from ssd_perception.scene.target import TargetSettings
from ssd_perception.scene.tracks import TrackStage


def make_stages(node: Node, parameters: NodeParameters) -> list[Stage]:
    """Return the stages that the parameters ask for, in the order in which they run.

    Args:
        node: for subscriptions and publishers of a stage's own.
        parameters: those that the node was started with.
    """
    tracks = [TrackStage(parameters.track_settings())] if parameters.tracking else []
    if parameters.positions == 'none':
        return [*tracks]
    settings = parameters.scene_settings()
    lookup, transforms = _transforms(node, settings.mount is not None)
    scenes = {}
    for name in parameters.cameras or ('',):
        prefix = f'{name}/' if name else ''
        image = node.resolve_topic_name(prefix + interface.IMAGE)
        scenes[name] = CameraScene(node, prefix, image, settings, lookup)
    # Before the tracks, so that no track begins with a box of a wrong size.
    return [SizeStage(scenes), *tracks, PositionStage(scenes, transforms)]


class _SceneStage:
    """A stage that needs the names of classes and each camera's scene.

    Args:
        scenes: camera -> its scene.
    """

    def __init__(self, scenes: Mapping[str, CameraScene]):
        self._scenes = scenes
        self._class_names: tuple[str, ...] = ()

    def prepare(self, settings: PostprocessSettings,
                class_names: tuple[str, ...]) -> PostprocessSettings:
        """Take the names of classes; thresholds stay."""
        self._class_names = class_names
        return settings


class SizeStage(_SceneStage):
    """Drops boxes whose size on the floor does not fit the heights of their class."""

    def __call__(self, frame: Frame, detections: Detections) -> Detections:
        """Return the others."""
        return self._scenes[frame.camera].plausible(frame, detections, self._class_names)


class PositionStage(_SceneStage):
    """Publishes where detections are; they themselves go through unchanged.

    Args:
        scenes: camera -> its scene.
        transforms: that they use; None where there are none.
    """

    def __init__(self, scenes: Mapping[str, CameraScene],
                 transforms: Transforms | None = None):
        super().__init__(scenes)
        self._transforms = transforms

    def __call__(self, frame: Frame, detections: Detections) -> Detections:
        """Publish positions and return ``detections``."""
        self._scenes[frame.camera].publish(frame, detections, self._class_names)
        return detections

    def reset(self) -> None:
        """Forget earlier transforms, depth images and the target."""
        if self._transforms:
            self._transforms.forget()
        for scene in self._scenes.values():
            scene.forget()

    # The node's

    def listen(self) -> None:
        """Subscribe to what positions need."""
        for scene in self._scenes.values():
            scene.listen()

    def stop(self) -> None:
        """Unsubscribe."""
        for scene in self._scenes.values():
            scene.stop()

    def listen_anew(self) -> None:
        """Make the subscriptions anew."""
        if self._transforms:
            self._transforms.listen_anew()
        self.stop()
        self.listen()

    def choose_target(self, settings: TargetSettings) -> None:
        """Follow another object from the next image on."""
        for scene in self._scenes.values():
            scene.choose_target(settings)

    def values(self, camera: str) -> dict[str, str]:
        """Return a camera's figures for the diagnostics."""
        return self._scenes[camera].values()


def position_stages(stages: Sequence[Stage]) -> list[PositionStage]:
    """Return the stages that the node must start and stop, and that have diagnostics."""
    return [stage for stage in stages if isinstance(stage, PositionStage)]


def _transforms(node: Node, mounted: bool) -> tuple[Lookup, Transforms | None]:
    """Return what looks up a transform or says why there is none, and whose method it is."""
    sentence = 'The parameter camera_mount takes the place of transforms.'
    if not mounted:
        try:
            transforms = Transforms(node)
            return transforms.lookup, transforms
        except TransformError as error:
            sentence = str(error)
            node.get_logger().warning(sentence)

    def missing(target: str, source: str, stamp_ns: int) -> np.ndarray:
        raise TransformError(sentence)
    return missing, None
