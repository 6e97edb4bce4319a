"""Collect frames, detections and ground truth from their topics, paired by the header's stamp."""

from __future__ import annotations

import collections
import queue
import statistics
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import rclpy
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from rclpy.subscription import Subscription
from sensor_msgs.msg import CompressedImage, Image
from vision_msgs.msg import Detection2D, Detection2DArray, LabelInfo

from ssd_perception.core.detections import Detections, GroundTruth
from ssd_perception.core.interface import (
    DETECTIONS,
    GROUND_TRUTH,
    IMAGE,
    IMAGE_TYPES,
    LABEL_INFO,
    stamp_to_ns,
)
from ssd_perception.core.messages import from_rows, rows_of
from ssd_perception.core.text import describe_error, listed, one_line, printable
from ssd_perception.imaging.compressed import encode_jpeg
from ssd_perception.imaging.encodings import to_rgb

QOS = QoSProfile(depth=50)
LATCHED = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
# Frames are kept in memory as JPEG, about 60 kB at 640x480, and written at the end: on a small
# robot the detector needs the processor while it runs.
JPEG_QUALITY = 92
MAX_IMAGES = 3000  # of further frames only the detections are kept
MAX_IMAGE_BYTES = 1 << 30  # of them together; large ones are fewer
MAX_WAITING_BYTES = 1 << 28  # of messages that are not encoded yet: ten raw images of 4K
RATE_WINDOW = 20
OTHER_CLOCK_MS = 3_600_000  # stamps this far from now are a recording's, and give no age
MEDIAN_OF = 1000  # ages; of all of them it would take longer with each answer
MAX_STAMPS = 1_000_000  # 9 hours at 30 Hz; what comes later is not kept
# Of classes, as in weights; anybody may publish detections.
MAX_CLASSES, MAX_NAME = 1000, 100
_NOTHING = Detections.empty()  # one for all frames without detections
_MAX_NUMBER = 1e9  # of a box, pixels, or a score; larger ones are infinite as float32
# How often to look for the publishers of images: before and after they are found.
LOOK_EVERY_S, LOOK_AGAIN_EVERY_S = 0.05, 1.0


@dataclass(slots=True)
class Frame:
    """What is known of one camera frame.

    Attributes:
        stamp_ns: the header's stamp, the key of all the rest.
        jpeg: the image, None when it was not received or not kept.
        answer, truth: None when there was none; labels are the viewer's own. The messages would
            take 2 kB for each object: a gigabyte an hour.
        age_ms: arrival of the answer minus the stamp; None where the stamp is of another clock.
    """

    stamp_ns: int
    jpeg: bytes | None = None
    answer: Detections | None = None
    truth: Detections | None = None
    age_ms: float | None = None


@dataclass
class Live:
    """Figures while it runs.

    Attributes:
        waiting: what is still missing, in words; empty when frames come.
        seen, answered: frames so far.
        last: class -> detections in the newest answer; ``total`` in all of them.
        age_ms, median_age_ms: None before the first answer, and where stamps are of another clock.
        rate_hz: answers per second, lately.
    """

    waiting: str = ''
    seen: int = 0
    answered: int = 0
    last: dict[str, int] = field(default_factory=dict)
    total: dict[str, int] = field(default_factory=dict)
    age_ms: float | None = None
    median_age_ms: float | None = None
    rate_hz: float = 0.0


class Viewer(Node):
    """Subscribes to a detector's output and to its input.

    Args:
        image: topic of the images; it and the others are relative, and can be remapped.
        threshold: detections below are collected, but not counted in ``live``.
        arguments: of ``rclpy.node.Node``.
    """

    def __init__(self, image: str = IMAGE, threshold: float = 0.0, **arguments: Any):
        super().__init__('ssd_viewer', **arguments)
        self.frames: dict[int, Frame] = {}
        self.live = Live()
        self.last_message_s: float | None = None
        self._image, self._threshold = image, threshold
        self._names: list[str] = []  # by LabelInfo
        self._seen: list[str] = []  # in the order of their labels
        self._ages: collections.deque[float] = collections.deque(maxlen=MEDIAN_OF)
        self._arrivals: collections.deque = collections.deque(maxlen=RATE_WINDOW)
        self._to_encode: queue.Queue = queue.Queue()
        self._images_kept = self._bytes_kept = 0
        self._bytes_received = self._bytes_encoded = 0  # each written by one thread
        self._encoder = threading.Thread(target=self._encode_images, daemon=True)
        self._encoder.start()
        self._answers = self.create_subscription(
            Detection2DArray, DETECTIONS, self._receive_answer, QOS)
        self.create_subscription(Detection2DArray, GROUND_TRUTH, self._receive_truth, QOS)
        self.create_subscription(LabelInfo, LABEL_INFO, self._receive_labels, LATCHED)
        self._images: Subscription | None = None
        self._finder = self.create_timer(LOOK_EVERY_S, self._find_images)

    def close(self) -> None:
        """Wait for the last images to be encoded."""
        self._to_encode.put(None)
        self._encoder.join()

    def class_names(self) -> list[str]:
        """Return the detector's classes in its order, then any others that were seen."""
        return (self._names + sorted(set(self._seen) - set(self._names)))[:MAX_CLASSES]

    def detections(self, frame: Frame, class_names: list[str]) -> Detections | None:
        """Return a frame's answer, labelled by ``class_names``; None when there is none."""
        return self._labelled(frame.answer, class_names)

    def ground_truth(self, frame: Frame, class_names: list[str]) -> GroundTruth | None:
        """Return a frame's ground truth, labelled by ``class_names``; None without one."""
        found = self._labelled(frame.truth, class_names)
        return None if found is None else GroundTruth(found.xyxy, found.labels)

    def _labelled(self, found: Detections | None, class_names: list[str]) -> Detections | None:
        if found is None or not len(found):
            return found
        places = {name: place for place, name in enumerate(class_names)}
        labels = np.array([places.get(name, -1) for name in self._seen])[found.labels]
        return replace(found, labels=labels)[labels >= 0]

    def _kept(self, message: Detection2DArray) -> Detections:
        """Return what is usable of a message, with labels that index into ``_seen``."""
        usable = Detection2DArray(detections=list(filter(_is_usable, message.detections)))
        rows = [row for row in rows_of(usable) if self._knows(row.name)]
        if left_out := len(message.detections) - len(rows):
            self.get_logger().warning(
                f'{left_out} detections of a frame are left out: they have no class, too many or '
                'too long ones, or a box or score that is no number.', throttle_duration_sec=5)
        return from_rows(rows, self._seen) if rows else _NOTHING

    def _knows(self, name: str) -> bool:
        """Return whether a class has a label, given to it now where there is room."""
        if name not in self._seen and len(self._seen) < MAX_CLASSES and len(name) <= MAX_NAME:
            self._seen.append(name)
        return name in self._seen

    def _find_images(self) -> None:
        """Subscribe to the images when camera and detector exist; again when their kind changes.

        So a player that waits for subscribers starts when answers can be received. And
        the subscription takes the reliability of the publisher: best effort loses large frames,
        reliable does not match a best-effort camera. A camera that was killed is listed for a
        while beside its successor, which may be of another kind.
        """
        image = self.resolve_topic_name(self._image)
        publishers = [p for p in self.get_publishers_info_by_topic(image)
                      if p.topic_type in IMAGE_TYPES]
        reliable = [p.qos_profile.reliability == ReliabilityPolicy.RELIABLE for p in publishers]
        if self._images is not None:
            kind = IMAGE_TYPES[self._images.msg_type is CompressedImage]
            lossy = self._images.qos_profile.reliability == ReliabilityPolicy.BEST_EFFORT
            if not publishers or any(p.topic_type == kind and (lossy or r)
                                     for p, r in zip(publishers, reliable)):
                return
            self.destroy_subscription(self._images)
        elif not publishers:
            others = sorted(printable(name) for name, types in self.get_topic_names_and_types()
                            if set(types) & set(IMAGE_TYPES) and self.count_publishers(name))
            choice = f' (--image chooses another topic: {listed(others, 5)})' if others else ''
            self.live.waiting = f'a publisher on {image}{choice}'
            return
        elif not self.count_publishers(self._answers.topic_name):
            self.live.waiting = f'a detector that publishes {self._answers.topic_name}'
            return
        self._images = self.create_subscription(
            CompressedImage if publishers[0].topic_type == IMAGE_TYPES[1] else Image,
            self._image, self._receive_image, QoSProfile(
                depth=10, reliability=ReliabilityPolicy.RELIABLE if all(reliable)
                else ReliabilityPolicy.BEST_EFFORT))
        self.live.waiting = ''
        self._finder.timer_period_ns = int(LOOK_AGAIN_EVERY_S * 1e9)

    def _frame(self, message: Image | CompressedImage | Detection2DArray) -> Frame:
        self.last_message_s = time.monotonic()
        stamp_ns = stamp_to_ns(message.header.stamp)
        if stamp_ns not in self.frames:
            self.live.seen += 1
            if len(self.frames) >= MAX_STAMPS:
                self.get_logger().warning(f'{MAX_STAMPS} frames are kept; no more are.',
                                          throttle_duration_sec=60)
                return Frame(stamp_ns)
            self.frames[stamp_ns] = Frame(stamp_ns)
        return self.frames[stamp_ns]

    def _receive_answer(self, message: Detection2DArray) -> None:
        now_ns = self.get_clock().now().nanoseconds
        frame = self._frame(message)
        if frame.answer is not None:
            return  # a recording in a loop: only its first pass counts
        frame.answer = self._kept(message)
        age_ms = (now_ns - frame.stamp_ns) / 1e6
        if abs(age_ms) < OTHER_CLOCK_MS:
            frame.age_ms = age_ms
            self._ages.append(age_ms)
        self._arrivals.append(time.monotonic())
        live = self.live
        live.answered += 1
        live.age_ms = frame.age_ms
        live.median_age_ms = statistics.median(self._ages) if self._ages else None
        if len(self._arrivals) > 1:
            spent = self._arrivals[-1] - self._arrivals[0]
            live.rate_hz = (len(self._arrivals) - 1) / max(spent, 1e-6)
        live.last = collections.Counter(
            d.results[0].hypothesis.class_id for d in message.detections
            if d.results and d.results[0].hypothesis.score >= self._threshold)
        for name, count in live.last.items():
            if name in live.total or len(live.total) < MAX_CLASSES and len(name) <= MAX_NAME:
                live.total[name] = live.total.get(name, 0) + count

    def _receive_truth(self, message: Detection2DArray) -> None:
        self._frame(message).truth = self._kept(message)

    def _receive_labels(self, message: LabelInfo) -> None:
        self._names = [entry.class_name for entry in message.class_map
                       if len(entry.class_name) <= MAX_NAME][:MAX_CLASSES]

    def _receive_image(self, message: Image | CompressedImage) -> None:
        frame, size = self._frame(message), len(message.data)
        if self._images_kept < MAX_IMAGES and self._bytes_kept < MAX_IMAGE_BYTES \
                and self._bytes_received - self._bytes_encoded + size <= MAX_WAITING_BYTES:
            self._images_kept += 1
            self._bytes_received += size
            self._to_encode.put((frame, message))

    def _encode_images(self) -> None:
        while (item := self._to_encode.get()) is not None:
            frame, message = item
            try:
                if isinstance(message, CompressedImage) and 'jpeg' in message.format:
                    frame.jpeg = bytes(message.data)
                else:
                    frame.jpeg = encode_jpeg(to_rgb(message), JPEG_QUALITY).tobytes()
                self._bytes_kept += len(frame.jpeg)
            except Exception as error:  # whatever a message does to a decoder, the next is kept
                self.get_logger().warning(one_line(error), throttle_duration_sec=5)
            self._bytes_encoded += len(message.data)


def _is_usable(detection: Detection2D) -> bool:
    """Return whether a detection has a class, and numbers of a box; anybody may publish."""
    box = detection.bbox
    numbers = (box.center.position.x, box.center.position.y, box.size_x, box.size_y,
               *(result.hypothesis.score for result in detection.results))
    return bool(detection.results) and all(abs(number) < _MAX_NUMBER for number in numbers) \
        and min(box.size_x, box.size_y) >= 0


def collect(viewer: Viewer, stopped: Callable[[], bool], show: Callable[[Live], None],
            show_every_s: float = 0.25) -> None:
    """Spin ``viewer`` until ``stopped()``; call ``show`` with the figures meanwhile."""
    executor = SingleThreadedExecutor()
    executor.add_node(viewer)
    shown = 0.0
    try:
        while rclpy.ok() and not stopped():
            try:
                executor.spin_once(timeout_sec=0.05)
            except ExternalShutdownException:
                break
            except Exception as error:  # a malformed request, say, must not cost the session
                viewer.get_logger().error(f'A message or request failed: {describe_error(error)}',
                                          throttle_duration_sec=5)
            if time.monotonic() - shown >= show_every_s:
                shown = time.monotonic()
                show(viewer.live)
    finally:
        executor.shutdown()
        viewer.close()
    show(viewer.live)
