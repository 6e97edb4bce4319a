"""Publish recorded messages over DDS at the pace at which they were recorded."""

from __future__ import annotations

import importlib
import os
import re
import time
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import rclpy
from rclpy.clock import Clock, ClockType
from rclpy.duration import Duration
from rclpy.exceptions import InvalidTopicNameException
from rclpy.expand_topic_name import expand_topic_name
from rclpy.node import Node
from rclpy.publisher import Publisher
from rclpy.qos import DurabilityPolicy, QoSProfile
from rclpy.serialization import deserialize_message
from rclpy.time import Time
from rclpy.validate_full_topic_name import validate_full_topic_name
from rosgraph_msgs.msg import Clock as ClockMessage
from sensor_msgs.msg import CompressedImage, Image

from ssd_perception.bags.reader import Record
from ssd_perception.core.errors import SettingError, UserError
from ssd_perception.core.interface import COMPRESSED_SUFFIX, IMAGE_TYPES, describe_gap
from ssd_perception.core.text import one_line, printable
from ssd_perception.imaging.encodings import to_rgb
from ssd_perception.live.pacing import Pace, early
from ssd_perception.ros.dds import PROFILE_VARIABLES, large_images_profile, profile_variable
from ssd_perception.ros.messages import image_message

# Reliable matches subscribers of both kinds; a few frames of depth bridge a short pause.
QOS = QoSProfile(depth=10)
# Several nodes' /tf_static become one publisher's.
LATCHED = QoSProfile(depth=100, durability=DurabilityPolicy.TRANSIENT_LOCAL)
_TYPE = re.compile(r'[a-z][a-z0-9_]*/msg/[A-Za-z][A-Za-z0-9]*')
CLOCK_PERIOD_S = 0.02
_DDS_SETTINGS = ('FASTDDS_BUILTIN_TRANSPORTS', *PROFILE_VARIABLES)


class NoSubscriber(UserError, RuntimeError):
    """Nobody subscribed within the time allowed; one sentence."""


@dataclass(frozen=True)
class PlayerOptions:
    """How to play.

    Attributes:
        rate: 2 plays twice as fast as recorded.
        raw: decode CompressedImage and publish Image on the topic without ``/compressed``.
        stamp_now: put the time of publishing into the headers, the same one for messages that
            had equal stamps; else they keep what was recorded.
        clock: publish the recording's time on /clock.
        subscribers: subscriptions that every topic of images must have before the start.
        timeout_s: how long to wait for them.
    """

    rate: float = 1.0
    raw: bool = False
    stamp_now: bool = False
    clock: bool = False
    subscribers: int = 1
    timeout_s: float = 30.0

    def __post_init__(self) -> None:
        if not 0.01 <= self.rate <= 100:
            raise SettingError(f'rate must be from 0.01 to 100, got {self.rate}.')
        if self.clock and self.stamp_now:
            raise SettingError('--clock and --stamp now contradict each other; give only one.')


@dataclass
class PlayReport:
    """What was published.

    Attributes:
        messages: topic -> number of messages.
        frames: number of images, over all topics.
        left_out: number of messages that could not be read or decoded.
        seconds: from the first to the last message.
        latest_ms: the furthest that a message was behind its time.
    """

    messages: dict[str, int] = field(default_factory=dict)
    frames: int = 0
    left_out: int = 0
    seconds: float = 0.0
    latest_ms: float = 0.0


def allow_large_images() -> None:
    """Make Fast DDS carry camera images between processes; call it before rclpy.init.

    Its default shared-memory segment of 512 kB loses frames of 640x480 in colour when the
    subscriber is best effort. Settings that the user has made stay.
    """
    if any(os.environ.get(name) for name in _DDS_SETTINGS):
        return
    profile = large_images_profile()
    if profile.is_file():
        # Measured at 20 frames/s on two busy cores, frames that arrived of 100: 99 to 100 with
        # this profile, 42 to 90 with LARGE_DATA, 57 to 83 with neither.
        os.environ[profile_variable()] = str(profile)
    else:
        os.environ['FASTDDS_BUILTIN_TRANSPORTS'] = 'LARGE_DATA'


class Player(Node):
    """Publishes records of the given topics.

    Args:
        topics: recorded topic -> ROS type.
        options: how to play.
        latched: those of ``topics`` whose last messages were recorded for late subscribers too.

    Raises:
        SettingError: see ``message_class``.
    """

    def __init__(self, topics: dict[str, str], options: PlayerOptions = PlayerOptions(),  # noqa: B008
                 latched: Collection[str] = ()):
        super().__init__('ssd_player')
        self.options, self._latched = options, latched
        self.report = PlayReport()
        self._types = {topic: message_class(name, topic) for topic, name in topics.items()}
        self._outputs = {topic: self._create_output(topic) for topic in topics}
        self._images = [topic for topic, name in topics.items() if name in IMAGE_TYPES]
        self._clock_output = (self.create_publisher(ClockMessage, '/clock', QOS)
                              if options.clock else None)
        self._now = Clock(clock_type=ClockType.SYSTEM_TIME)
        self._stamps: dict[tuple[int, int], object] = {}

    @property
    def image_topics(self) -> list[str]:
        """Names under which images are published, after remapping."""
        return [self._outputs[topic].topic_name for topic in self._images]

    def wait_for_subscribers(self) -> None:
        """Return when every image topic (each topic, without images) has its subscribers.

        Raises:
            NoSubscriber: naming the topic and how many there were.
        """
        outputs = [self._outputs[topic] for topic in self._images or self._outputs]
        end = time.monotonic() + self.options.timeout_s
        for output in outputs:
            while output.get_subscription_count() < self.options.subscribers:
                if time.monotonic() > end:
                    raise NoSubscriber(
                        f'{output.topic_name} has {output.get_subscription_count()} of '
                        f'{self.options.subscribers} subscribers after '
                        f'{self.options.timeout_s:g} s; start the detector, or do not wait.')
                time.sleep(0.02)
        if self.options.subscribers:
            # We have discovered them; half a second for them to discover us. A best-effort
            # subscriber misses what is sent before.
            time.sleep(0.5)

    def play(self, records: Iterable[Record],
             progress: Callable[[bool], object] = lambda is_frame: None) -> PlayReport:
        """Publish one pass of ``records``, in order; return the report of all passes so far.

        Args:
            progress: called after each message; True where it was an image.
        """
        passed_s = self.report.seconds
        self._stamps.clear()  # recorded stamps repeat in each pass, and get a new stamp of now
        pace = Pace(self.options.rate, self._skipped)
        for record, message in early(self._prepared(records), pace):
            due = pace.due(record.stamp_ns)
            self._wait_until(due, record.stamp_ns)
            if self.options.stamp_now and hasattr(message, 'header'):
                message.header.stamp = self._stamp_of_now(message.header.stamp)
            self.report.latest_ms = max(self.report.latest_ms, (time.monotonic() - due) * 1e3)
            output = self._outputs[record.topic]
            output.publish(message)
            self.report.messages[output.topic_name] = \
                self.report.messages.get(output.topic_name, 0) + 1
            is_frame = record.topic in self._images
            self.report.frames += is_frame
            self.report.seconds = passed_s + pace.seconds()
            progress(is_frame)
        return self.report

    def finish(self) -> None:
        """Wait for the last messages to arrive before the topics vanish."""
        for output in self._outputs.values():
            output.wait_for_all_acked(Duration(seconds=1))
        time.sleep(0.2)  # best-effort subscribers acknowledge nothing

    def _create_output(self, topic: str) -> Publisher:
        kind, name = self._types[topic], topic
        if self.options.raw and kind is CompressedImage:
            kind, name = Image, topic.removesuffix(COMPRESSED_SUFFIX)
        return self.create_publisher(kind, name, LATCHED if topic in self._latched else QOS)

    def _skipped(self, gap_ns: int) -> None:
        self.get_logger().warning(f"The recording's time jumps by {describe_gap(gap_ns)}; that is "
                                  'not waited for.')

    def _prepared(self, records: Iterable[Record]) -> Iterator[tuple[Record, object]]:
        """Yield records with the message to publish; decoding takes its time here.

        A message that cannot be read costs itself.
        """
        for record in records:
            kind = self._types[record.topic]
            decode = self.options.raw and kind is CompressedImage
            if not decode and not self.options.stamp_now:
                yield record, record.cdr  # rclpy publishes serialized bytes as they are
                continue
            try:
                message: Any = deserialize_message(record.cdr, kind)
                if decode:
                    message = image_message(message.header, to_rgb(message))
            except Exception as error:  # an ImageError, or whatever the middleware raises
                self.report.left_out += 1
                self.get_logger().warning(
                    f'A message on {printable(record.topic)} is left out: {one_line(error, 300)}',
                    throttle_duration_sec=5)
                continue
            yield record, message

    def _wait_until(self, due: float, stamp_ns: int) -> None:
        while True:
            left = due - time.monotonic()
            if self._clock_output is not None:
                recorded_ns = stamp_ns - max(0, round(left * 1e9 * self.options.rate))
                self._clock_output.publish(
                    ClockMessage(clock=Time(nanoseconds=recorded_ns).to_msg()))
            if left <= 0:
                return
            time.sleep(min(left, CLOCK_PERIOD_S) if self._clock_output is not None else left)

    def _stamp_of_now(self, recorded: Any) -> Any:
        """Return the builtin_interfaces/Time of now, the same one for equal ``recorded``."""
        key = (recorded.sec, recorded.nanosec)
        if key not in self._stamps:
            if len(self._stamps) > 1000:  # frames of long ago
                self._stamps.clear()
            self._stamps[key] = self._now.now().to_msg()
        return self._stamps[key]


def message_class(name: str, topic: str) -> type:
    """Return the class of a ROS type such as ``sensor_msgs/msg/Image``, to play on ``topic``.

    Raises:
        SettingError: when its package is not installed here, or ROS allows no such topic.
    """
    try:  # as a node does it: other tools also record names without a slash before them
        validate_full_topic_name(expand_topic_name(topic, 'player', '/'))
    except (InvalidTopicNameException, ValueError, TypeError) as error:  # for a surrogate the last
        raise SettingError(f'The recording has the topic "{printable(topic)}", a name that ROS '
                           'does not allow; choose other topics.') from error
    package, _, kind = name.partition('/msg/')
    try:
        if not _TYPE.fullmatch(name):  # what is imported is a message, whatever the file names
            raise ImportError(name)
        return getattr(importlib.import_module(f'{package}.msg'), kind)
    except (ImportError, AttributeError) as error:
        raise SettingError(f'The recording has messages of type {printable(name)} on '
                           f'{printable(topic)}, which is not installed here; choose other '
                           'topics.') from error


def run_player(make_passes: Iterable[Iterable[Record]], topics: dict[str, str],
               options: PlayerOptions, ros_args: list[str],
               progress: Callable[[bool], object] = lambda is_frame: None,
               started: Callable[[list[str]], None] = lambda image_topics: None,
               latched: Collection[str] = ()) -> PlayReport:
    """Start ROS, wait for subscribers, play every pass, and stop ROS again.

    Args:
        make_passes: one iterable of records per pass; endless for a loop.
        started: called with the names of the image topics when playing begins.
        latched: see ``Player``.

    Raises:
        NoSubscriber, SettingError: see ``Player``; KeyboardInterrupt passes through.
    """
    allow_large_images()
    # Without rclpy's handlers Ctrl-C is Python's KeyboardInterrupt, and publishers live until
    # the last messages are out.
    rclpy.init(args=ros_args, signal_handler_options=rclpy.signals.SignalHandlerOptions.NO)
    try:
        player = Player(topics, options, latched)
        player.wait_for_subscribers()
        started(player.image_topics)
        for records in make_passes:
            player.play(records, progress)
        player.finish()
        return player.report
    finally:
        rclpy.try_shutdown()
