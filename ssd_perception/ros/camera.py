"""One camera of the node: its input, raw or compressed, and everything published about it."""

from __future__ import annotations

import importlib
import importlib.util
import time
from copy import copy

import numpy as np
from rclpy.node import Node
from rclpy.qos import HistoryPolicy, QoSProfile, ReliabilityPolicy
from rclpy.qos_overriding_options import QoSOverridingOptions
from rclpy.subscription import Subscription
from rclpy.topic_endpoint_info import TopicEndpointInfo
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import Header
from vision_msgs.msg import Detection2DArray

from ssd_perception.core.detections import Detections
from ssd_perception.core.interface import (
    ANNOTATED_IMAGE,
    ANNOTATIONS,
    COMPRESSED_TYPE,
    DETECTIONS,
    IMAGE,
    IMAGE_TYPE,
    IMAGE_TYPES,
    compressed,
    stamp_to_ns,
)
from ssd_perception.core.text import printable
from ssd_perception.ros.diagnostics import CameraStatistics
from ssd_perception.ros.humble import PublisherEventCallbacks
from ssd_perception.ros.latest_frame import LatestFrames
from ssd_perception.ros.lost_frames import LossWatch, subscribe
from ssd_perception.ros.messages import MESSAGES, compressed_message, image_message
from ssd_perception.ros.missing_images import Input, Publisher, Watchdog, losses, reason
from ssd_perception.ros.receiver import Receiver
from ssd_perception.ros.serialised import detections_maker
from ssd_perception.viz.drawing import class_colour, draw_detections

# rclpy writes the overrides of a topic into the profile that it is given: each gets a copy.
# Best effort takes from reliable and from best-effort publishers alike; depth 1, because an
# older frame than the newest is of no use.
INPUT_QOS = QoSProfile(history=HistoryPolicy.KEEP_LAST, depth=1,
                       reliability=ReliabilityPolicy.BEST_EFFORT)
OUTPUT_QOS = QoSProfile(history=HistoryPolicy.KEEP_LAST, depth=10,
                        reliability=ReliabilityPolicy.RELIABLE)
# Reliable, because that is RViz's default; depth 1, because it is for looking at.
IMAGE_QOS = QoSProfile(history=HistoryPolicy.KEEP_LAST, depth=1,
                         reliability=ReliabilityPolicy.RELIABLE)
# The executor looks at every publisher's events whenever it wakes up. A viewer with another QoS is
# warned by its own subscription; of detections this node warns as well.
_NO_EVENTS = PublisherEventCallbacks(use_default_callbacks=False)

# Topics of images that are looked at for a hint: each takes longer the more there are.
_MAX_LISTED = 100
# Pixels; lines and letters of annotations fit such an image where it was decoded smaller.
USUAL_WIDTH = 640


# What the parameter image_transport allows, in the order in which it is chosen.
_KINDS = {'auto': ('raw', 'compressed', 'direct'), 'raw': ('raw',),
          'compressed': ('compressed', 'direct')}


class Camera:
    """Topics of one camera.

    Attributes:
        image_topic: of its images, resolved; the same whatever transport is in use.
        name: '' for the only camera, else the prefix of its topics.
        statistics: figures for the diagnostics.
        watchdog: knows whether images come.
    """

    def __init__(self, node: Node, name: str, transport: str, frames: LatestFrames,
                 receiver: Receiver):
        prefix = f'{name}/' if name else ''
        self.name = name
        self.statistics = CameraStatistics()
        self.watchdog = Watchdog(time.monotonic())
        self._node, self._frames, self._receiver = node, frames, receiver
        self._image = f'{prefix}{IMAGE}'
        raw = node.resolve_topic_name(self._image)
        # Derived after remapping, so that one remap serves both.
        inputs = {'raw': Input(raw, IMAGE_TYPE),
                  'compressed': Input(compressed(raw), COMPRESSED_TYPE),
                  # A driver that publishes JPEGs under any name, or a remap to ".../compressed".
                  'direct': Input(raw, COMPRESSED_TYPE)}
        self._inputs = {kind: inputs[kind] for kind in _KINDS[transport]}
        self.image_topic, self._last_bytes = raw, 0
        self._subscription: Subscription | None = None
        self._listening = ''
        self._losses, self._raw_fails = LossWatch(time.monotonic()), False
        options = QoSOverridingOptions.with_default_policies
        self._detections = node.create_publisher(
            Detection2DArray, f'{prefix}{DETECTIONS}', copy(OUTPUT_QOS),
            qos_overriding_options=options())
        self._annotated_raw = node.create_publisher(
            Image, f'{prefix}{ANNOTATED_IMAGE}', copy(IMAGE_QOS), event_callbacks=_NO_EVENTS,
            qos_overriding_options=options())
        self._annotated_jpeg = node.create_publisher(
            CompressedImage, compressed(f'{prefix}{ANNOTATED_IMAGE}'), copy(IMAGE_QOS),
            event_callbacks=_NO_EVENTS, qos_overriding_options=options())
        # Foxglove draws boxes over the camera's own image, which costs nothing here; its messages
        # are not part of every ROS installation.
        foxglove = importlib.util.find_spec('foxglove_msgs')
        self._annotations = node.create_publisher(
            importlib.import_module('foxglove_msgs.msg').ImageAnnotations,
            f'{prefix}{ANNOTATIONS}', IMAGE_QOS, event_callbacks=_NO_EVENTS) if foxglove else None

    @property
    def topic(self) -> str:
        """The topic listened to, resolved."""
        return self._inputs[self._listening].topic if self._listening else self.image_topic

    def listen(self) -> None:
        """Subscribe to what the parameter says; ``auto`` begins with raw."""
        self._last_bytes, self._raw_fails = 0, False
        self.watchdog = Watchdog(time.monotonic())
        self._subscribe(next(iter(self._inputs)))
        self.follow()

    def stop(self) -> None:
        """Unsubscribe, so that a camera driver that publishes on demand may rest."""
        if self._subscription is not None:
            self._receiver.remove(self._subscription)
            self._node.destroy_subscription(self._subscription)
        self._subscription, self._listening = None, ''

    def listen_anew(self) -> None:
        """Make the subscription anew, which frees what the middleware keeps for it."""
        kind = self._listening
        if kind:
            self.stop()
            self._subscribe(kind)

    def follow(self) -> None:
        """Go where images are published; the first of ``_KINDS`` before the others.

        Raw images come last once they have lost frames, until the node is activated again.
        """
        if self._subscription is None:
            return
        published = [kind for kind, source in self._inputs.items()
                     if any(p.type == source.type for p in self._publishers(source.topic))]
        if published:
            self._subscribe(next((kind for kind in published
                                  if not (self._raw_fails and kind == 'raw')), published[0]))

    def _subscribe(self, kind: str) -> None:
        if kind == self._listening:
            return
        self.stop()
        self._listening = kind
        self._losses = LossWatch(time.monotonic())
        self._subscription = subscribe(
            self._node, self._losses, Image if kind == 'raw' else CompressedImage,
            # The relative name where it is the camera's, so that qos_overrides may name it.
            self._inputs[kind].topic if kind == 'compressed' else self._image,
            self._receive, qos_profile=copy(INPUT_QOS), callback_group=self._receiver.group,
            qos_overriding_options=QoSOverridingOptions.with_default_policies())
        self._receiver.add(self._subscription)

    @property
    def loss(self) -> str:
        """A sentence about frames that get lost at present; empty when none do."""
        if self._subscription is None or not self._losses.share:
            return ''
        return losses(self.topic, self._losses.share, self._last_bytes, self._losses.counted)

    def check_losses(self, now: float) -> str | None:
        """Return a sentence to log when frames begin to get lost, an empty one when they no
        longer do, or None; leave raw images for compressed ones where those are published too.

        Args:
            now: seconds of ``time.monotonic``.
        """
        before = self.loss
        self._losses.check(now)
        after, topic = self.loss, self.topic
        if bool(before) == bool(after):
            return None
        if after and self._listening == 'raw':
            self._raw_fails = True
            self.follow()
        return after if self.topic == topic else f'{after} Meanwhile {self.topic} is used.'

    def _receive(self, message: Image | CompressedImage) -> None:
        self._frames.put(self.name, message)
        self._last_bytes = len(message.data)
        self._losses.arrived(stamp_to_ns(message.header.stamp))
        now = time.monotonic()
        self.watchdog.alive(now)
        self.statistics.received(now)

    def is_watched(self) -> bool:
        """Say whether anybody subscribes to the annotated image."""
        return any(publisher.get_subscription_count() > 0
                   for publisher in (self._annotated_raw, self._annotated_jpeg))

    def publish(self, header: Header, rgb: np.ndarray | None, detections: Detections,
                class_names: tuple[str, ...], jpeg_quality: int) -> None:
        """Publish one frame's answer; the annotated image only for those who subscribe.

        Args:
            header: the frame's own.
            rgb: its image, uint8 (H, W, 3); None where nobody looked when it was decoded.
            detections: in that image's pixels.
            class_names: names that the labels index into.
            jpeg_quality: 1 to 100, of the compressed image.
        """
        self._detections.publish(detections_maker()(header, detections, class_names))
        if self._annotations is not None and self._annotations.get_subscription_count() > 0:
            self._annotations.publish(MESSAGES.annotations_message(
                header, detections, class_names,
                [class_colour(label) for label in range(len(class_names))],
                USUAL_WIDTH if rgb is None else rgb.shape[1]))
        raw, jpeg = (publisher.get_subscription_count() > 0
                     for publisher in (self._annotated_raw, self._annotated_jpeg))
        if rgb is not None and (raw or jpeg):
            drawn = draw_detections(rgb, detections, class_names)
            if raw:
                self._annotated_raw.publish(image_message(header, drawn))
            if jpeg:
                self._annotated_jpeg.publish(compressed_message(header, drawn, jpeg_quality))

    def why_silent(self) -> str:
        """Return the watchdog's sentence from what the ROS graph shows."""
        inputs = list(self._inputs.values())
        # What this node publishes is no camera, and what it listens to is another one of its own.
        ours = self._node.get_fully_qualified_name()
        images = [topic for topic, types in self._node.get_topic_names_and_types()
                  if set(types) & set(IMAGE_TYPES)][:_MAX_LISTED]
        images = [topic for topic in images
                  if any(p.node != ours for p in self._publishers(topic))
                  and not any(_name(info) == ours for info in
                              self._node.get_subscriptions_info_by_topic(topic))]
        qos = self._subscription.qos_profile if self._subscription else INPUT_QOS
        # Names and types in the graph are whatever others say.
        return printable(reason(inputs, {source.topic: self._publishers(source.topic)
                                         for source in inputs}, images, qos, self.name,
                                self._last_bytes), 1000)

    def _publishers(self, topic: str) -> list[Publisher]:
        return [Publisher(_name(info), info.topic_type, info.qos_profile)
                for info in self._node.get_publishers_info_by_topic(topic)]


def _name(info: TopicEndpointInfo) -> str:
    return f'{info.node_namespace.rstrip("/")}/{info.node_name}'
