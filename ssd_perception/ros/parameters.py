"""The node's parameters, declared once: descriptors, checks, YAML and the README's table."""

from __future__ import annotations

import argparse
import math
from array import array
from dataclasses import Field, dataclass, fields
from difflib import get_close_matches
from typing import Any

from rcl_interfaces.msg import FloatingPointRange, IntegerRange, ParameterDescriptor
from rclpy.exceptions import ParameterException
from rclpy.node import Node
from rclpy.parameter import Parameter

from ssd_perception.core.errors import SettingError
from ssd_perception.core.postprocess import PostprocessSettings
from ssd_perception.core.settings import check, expected, of, setting
from ssd_perception.core.text import quoted
from ssd_perception.inference.resolve import DEFAULT_NAME
from ssd_perception.inference.runtimes import DEVICES, NAMES, PRECISIONS
from ssd_perception.ros.scene_parameters import SceneSettings, parse_heights, parse_mount
from ssd_perception.scene.positions import METHODS, TILT, TILT_OF_FIXED, PositionSettings
from ssd_perception.scene.target import TargetSettings
from ssd_perception.scene.tracks import TrackSettings

MAX_TEXTS = 1000  # of a parameter, as weights have at most 1000 classes; looked at for each frame
TRANSPORTS = ('auto', 'raw', 'compressed')


class ParameterError(SettingError):
    """A parameter has an impossible value; the message is one sentence naming it."""


@dataclass(frozen=True)
class NodeParameters:
    """One consistent set of values; a field's metadata is all that is said about it anywhere.

    Lists of strings drop empty entries: ROS cannot write an empty list in a YAML file, so
    ``['']`` is how a user says "none".

    Raises:
        ParameterError: for a value out of its range or not among its choices.
    """

    weights: str = setting(
        DEFAULT_NAME, 'Weights: a path, or the name of shipped ones. While the node runs, only '
        'shipped ones and files inside weights_dirs are accepted.')
    weights_dirs: tuple[str, ...] = setting(
        (), 'Folders from which weights may be changed while the node runs.', fixed=True)
    runtime: str = setting(
        'auto', 'What runs the network; auto takes the fastest that is installed. All but torch '
        'run an exported file.', choices=NAMES, fixed=True)
    device: str = setting(
        'auto', 'Where the network runs; auto takes CUDA if there is any, else the CPU. An '
        'explicit device that is absent is an error.', choices=DEVICES, fixed=True)
    cpu_fallback: bool = setting(
        False, 'What to do when the device fails and cannot be opened again: true continues on '
        'the CPU, slower; false keeps trying, with ERROR in the diagnostics.')
    precision: str = setting(
        'auto', 'Arithmetic of the network; auto is fp32 on the CPU, fp16 on CUDA. int8 needs a '
        'quantised file, as the shipped weights have one; bf16 needs OpenVINO and a processor '
        'with AVX512_BF16 or AMX.',
        choices=PRECISIONS, fixed=True)
    threads: int = setting(0, 'CPU threads of the network; 0 means all cores but one, which is '
                              'left to camera and DDS; in OpenVINO all, with as many cameras as '
                              'cores, and one more with more cameras.',
                           limits=(0, 256), fixed=True)
    cameras: tuple[str, ...] = setting(
        (), 'Names of several cameras served by one model: NAME/image gives NAME/detections. '
        'Empty: one camera, on image.', fixed=True)
    image_transport: str = setting(
        'auto', 'Input: Image, or CompressedImage on <image>/compressed; auto takes raw if it '
        'is published and arrives, else compressed.', choices=TRANSPORTS, fixed=True)
    score_threshold: float = setting(
        -1.0, "Lowest score published. Negative: the weights' own measured default.",
        limits=(-1.0, 1.0))
    class_thresholds: tuple[str, ...] = setting(
        (), 'Thresholds of single classes instead of score_threshold, each as NAME=SCORE.')
    nms_threshold: float = setting(
        PostprocessSettings.nms_threshold, 'Boxes of one class that overlap a better one by '
        'more than this IoU are dropped.',
        limits=(0.0, 1.0))
    max_detections: int = setting(PostprocessSettings.max_detections,
                                     'Most detections per frame.', limits=(1, 1000))
    classes: tuple[str, ...] = setting((), 'Names of the classes to publish. Empty: all.')
    max_rate_hz: float = setting(
        0.0, 'Most frames per second that the node processes; 0 means as many as possible.',
        limits=(0.1, 1000.0), also=(0.0,))
    no_image_timeout_s: float = setting(
        5.0, 'Seconds without an image after which the node logs the reason; 0 means never.',
        limits=(0.0, 3600.0))
    jpeg_quality: int = setting(80, 'Quality of detections/image/compressed.',
                                   limits=(1, 100))
    tracking: bool = setting(
        False, 'Give the same object the same id in all frames; weak boxes then keep a track '
        'alive. See docs/tracks_and_positions.md.', fixed=True)
    track_confirmations: int = setting(
        TrackSettings.confirm, 'Frames in which an object must be found before it is published.',
        limits=(1, 100), fixed=True)
    track_misses: int = setting(
        TrackSettings.misses, 'A track survives this many frames in a row without its object.',
        limits=(0, 1000), fixed=True)
    track_low_score: float = setting(
        TrackSettings.low_score, 'Boxes with at least this score can continue a track, but do '
        'not start one.', limits=(0.0, 1.0), fixed=True)
    positions: str = setting(
        'none', 'Publish detections_3d and target, in metres: from depth images, the ground plane '
        'or known heights of the classes; auto takes the first of them that is available.',
        choices=('none', 'auto', *METHODS), fixed=True)
    position_frame: str = setting(
        'base_link', 'Frame of the positions. Its z points up, and the floor is level in it.',
        fixed=True)
    camera_mount: tuple[str, ...] = setting(
        (), 'Where the camera is in position_frame, in metres and radians, instead of TF: '
        'height=0.33 above the floor, and x, y, roll, pitch (positive looks down), yaw.',
        fixed=True)
    mounting_error: float = setting(
        0.0, "Standard deviation of the mounting's angles, radians, for the covariance; 0 takes "
        f'{TILT} with TF and {TILT_OF_FIXED} with camera_mount.', limits=(0.0, 0.5), fixed=True)
    floor_z: float = setting(
        0.0, 'Height of the floor in position_frame, metres.', limits=(-10.0, 10.0), fixed=True)
    class_heights: tuple[str, ...] = setting(
        (), 'Heights of the classes, metres, each as NAME=HEIGHT or NAME=LEAST..GREATEST.',
        fixed=True)
    size_tolerance: float = setting(
        PositionSettings.size_tolerance, 'A box is dropped if its height, computed from the '
        'ground plane, differs from its class_heights by more than this factor; 0 keeps all.',
        limits=(1.0, 100.0), also=(0.0,), fixed=True)
    image_rectified: bool = setting(
        False, 'Whether the images are rectified; then the P of CameraInfo is used instead of '
        'its K, D and R.', fixed=True)
    target_class: str = setting('', 'Class of the object on target. Empty: any.')
    target_id: int = setting(0, 'Id of the object on target; 0 means any, the nearest.',
                             limits=(0, 2 ** 62))
    target_timeout_s: float = setting(
        TargetSettings.timeout_s, 'Seconds that a tracked target may be out of sight before '
        'another object becomes the target.', limits=(0.0, 3600.0))
    obstacles: bool = setting(
        False, 'Publish points around each object with a position, for a costmap.', fixed=True)
    autostart: bool = setting(
        True, 'Configure and activate at once. Set false under a lifecycle manager.',
        fixed=True)

    def __post_init__(self) -> None:
        for spec in fields(self):
            value = getattr(self, spec.name)
            if isinstance(spec.default, tuple):
                # Whoever sets a parameter chooses its type; None would undeclare it for good.
                if not isinstance(value, (list, tuple, array)) or not all(
                        isinstance(text, str) for text in value[:MAX_TEXTS]):
                    raise ParameterError(refusal(spec, value))
                if len(value) > MAX_TEXTS:
                    raise ParameterError(f'Parameter "{spec.name}" must hold at most {MAX_TEXTS} '
                                         f'texts, got {len(value)}.')
                object.__setattr__(self, spec.name, tuple(text for text in value if text))
            elif type(value) is not type(spec.default):
                raise ParameterError(refusal(spec, value))
        try:
            check(self, sentence=refusal)
        except SettingError as error:
            raise ParameterError(str(error)) from error
        names = [name for name, _ in self._class_thresholds()]
        for group, values in (('cameras', self.cameras), ('class_thresholds', names)):
            if len(set(values)) != len(values):
                raise ParameterError(f'Parameter "{group}" has a name twice: {", ".join(values)}.')
        for name in self.cameras:
            if not all(part.isidentifier() for part in name.split('/')):
                raise ParameterError(f'Parameter "cameras" must hold relative topic names, got '
                                     f'"{name}".')
        if self.camera_mount and len(self.cameras) > 1:
            raise ParameterError('Parameter "camera_mount" says where one camera is; several need '
                                 'transforms.')
        if self.target_id and not self.tracking:
            raise ParameterError('Parameter "target_id" needs tracking: true; without it objects '
                                 'have no ids.')
        try:
            self.scene_settings()
        except ParameterError:
            raise
        except SettingError as error:
            raise ParameterError(str(error)) from error

    def track_settings(self) -> TrackSettings:
        """Return when tracks begin and end."""
        return TrackSettings(self.track_confirmations, self.track_misses, self.track_low_score)

    def scene_settings(self) -> SceneSettings:
        """Return how positions are found.

        Raises:
            SettingError: for a mounting or a height of another form.
        """
        methods = METHODS if self.positions in ('none', 'auto') else (self.positions,)
        return SceneSettings(
            PositionSettings(methods, parse_heights(self.class_heights), self.size_tolerance,
                             self.floor_z),
            self.position_frame, parse_mount(self.camera_mount, self.floor_z),
            self.image_rectified,
            TargetSettings(self.target_class, self.target_id, self.target_timeout_s),
            self.obstacles, self.mounting_error)

    def _class_thresholds(self) -> list[tuple[str, float]]:
        pairs = []
        for text in self.class_thresholds:
            name, equals, score = text.rpartition('=')
            try:
                value = float(score) if equals and name else math.nan
            except ValueError:
                value = math.nan
            if not 0 <= value <= 1:
                raise ParameterError('Parameter "class_thresholds" must hold NAME=SCORE with '
                                     f'SCORE from 0 to 1, got "{text}".')
            pairs.append((name, value))
        return pairs

    def postprocess_settings(self, weights_threshold: float) -> PostprocessSettings:
        """Return the thresholds for the detector.

        Args:
            weights_threshold: the weights' own default, used when none is set.
        """
        score = weights_threshold if self.score_threshold < 0 else self.score_threshold
        return PostprocessSettings(score, tuple(self._class_thresholds()), self.nms_threshold,
                                   self.max_detections, self.classes)


def takes(spec: Field) -> str:
    """Say in words what values a parameter takes."""
    return expected(NodeParameters, spec, 'a number with a decimal point')


def refusal(spec: Field, value: object) -> str:
    """Return the one sentence for an impossible value."""
    return f'Parameter "{spec.name}" must be {takes(spec)}, got {quoted(value)}.'


def ros_value(value: Any) -> Any:
    """Return a field's value as ROS knows it: a tuple becomes a list that is never empty."""
    return (list(value) or ['']) if isinstance(value, tuple) else value


def declare(node: Node) -> NodeParameters:
    """Declare every parameter on ``node`` and return the values it was started with.

    Raises:
        ParameterError: one sentence naming the parameter, what it takes and what it got.
    """
    # rclpy offers no public view of what the command line and the files said.
    overrides = {name: p.value for name, p in getattr(node, '_parameter_overrides', {}).items()}
    values = {}
    for spec in fields(NodeParameters):
        default = ros_value(spec.default)
        # An empty list of a file or of the command line arrives as "not set".
        empty = isinstance(default, list) and overrides.get(spec.name, default) is None
        try:
            values[spec.name] = node.declare_parameter(
                spec.name, [''] if empty else default, descriptor(spec), empty).value
        except ParameterException as error:
            raise ParameterError(refusal(spec, overrides.get(spec.name))) from error
    known = [spec.name for spec in fields(NodeParameters)]
    for name in overrides.keys() - set(known):
        # A file may serve several nodes, so only what looks like ours is a mistake.
        near = get_close_matches(name, known, 1, 0.8)
        if near:
            node.get_logger().warning(f'Parameter "{name}" is not known and has no effect; did '
                                      f'you mean "{near[0]}"?')
    return NodeParameters(**values)


def descriptor(spec: Field) -> ParameterDescriptor:
    """Return what ``ros2 param describe`` shows."""
    ranges, known = {}, of(spec)
    if known.limits:
        every = *known.also, *known.limits
        low, high = min(every), max(every)
        if isinstance(low, int):
            ranges['integer_range'] = [IntegerRange(from_value=low, to_value=high)]
        else:
            ranges['floating_point_range'] = [FloatingPointRange(from_value=low, to_value=high)]
    # dynamic_typing: so that a value of another type is refused here, by a sentence that says what
    # is expected, instead of by rclpy with the numbers of its types.
    return ParameterDescriptor(
        dynamic_typing=True, description=of(spec).meaning, read_only=of(spec).fixed,
        additional_constraints=takes(spec) if of(spec).choices else '', **ranges)


def changed(parameters: NodeParameters, changes: list[Parameter]) -> NodeParameters:
    """Return ``parameters`` with those of our ``changes``; other nodes' features are ignored."""
    ours = {spec.name: getattr(parameters, spec.name) for spec in fields(NodeParameters)}
    return NodeParameters(**{**ours, **{p.name: p.value for p in changes if p.name in ours}})


def to_yaml() -> str:
    """Return config/detector.yaml: every parameter with its default, each commented."""
    lines = ['# Parameters of detector_node with their defaults. Made by',
             '# `python -m ssd_perception.ros.parameters yaml`; copy what you change.', '/**:',
             '  ros__parameters:']
    for spec in fields(NodeParameters):
        mark = ' Fixed while the node runs.' if of(spec).fixed else ''
        lines += ['', f'    # {of(spec).meaning}',
                  f'    # Takes {takes(spec)}.{mark}',
                  f'    {spec.name}: {_yaml(ros_value(spec.default))}']
    return '\n'.join(lines) + '\n'


def to_markdown() -> str:
    """Return the README's table of parameters."""
    lines = ['| parameter | default | takes | while running | meaning |',
             '| --- | --- | --- | --- | --- |']
    for spec in fields(NodeParameters):
        lines.append(' | '.join((
            f'| `{spec.name}`', f'`{_yaml(ros_value(spec.default))}`', takes(spec),
            'fixed' if of(spec).fixed else 'yes',
            of(spec).meaning + ' |')))
    return '\n'.join(lines) + '\n'


def _yaml(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return repr(value) if isinstance(value, list) or value == '' else f'{value}'


if __name__ == '__main__':
    parser = argparse.ArgumentParser(description='Print the parameters of detector_node.')
    parser.add_argument('format', choices=('yaml', 'markdown'))
    print({'yaml': to_yaml, 'markdown': to_markdown}[parser.parse_args().format](), end='')
