"""Find out why no image arrives, and log the reason once, in one sentence."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from difflib import SequenceMatcher

from rclpy.qos import QoSCompatibility, QoSProfile, qos_check_compatible

from ssd_perception.core.interface import COMPRESSED_TYPE
from ssd_perception.ros.dds import discovery_hint, middleware, remedy


@dataclass(frozen=True)
class Publisher:
    """A publisher as the ROS graph shows it."""

    node: str
    type: str
    qos: QoSProfile


@dataclass(frozen=True)
class Input:
    """A topic that the node can take images from, and the type it must have."""

    topic: str
    type: str


# DDS sends what is larger in fragments, which get lost where buffers are small.
LARGE_BYTES = 60_000


def reason(inputs: Iterable[Input], publishers: Mapping[str, list[Publisher]],
           image_topics: Iterable[str], qos: QoSProfile, camera: str = '',
           last_bytes: int = 0) -> str:
    """Say why nothing arrives; one sentence with the remedy.

    Args:
        inputs: the topics that are listened to, or would be.
        publishers: topic -> its publishers.
        image_topics: other topics in the graph that carry images.
        qos: the subscription's profile.
        camera: its name, where there are several.
        last_bytes: of the last image that arrived; 0 when none did.
    """
    inputs = list(inputs)
    for source in inputs:
        right = [p for p in publishers[source.topic] if p.type == source.type]
        for publisher in right:
            compatibility, why = qos_check_compatible(publisher.qos, qos)
            if compatibility == QoSCompatibility.ERROR:
                return (f'{publisher.node} publishes {source.topic} with a QoS that cannot serve '
                        f'this subscription ({why.strip().rstrip(".;")}); change one of them, '
                        f'here with the parameter qos_overrides.{source.topic}.subscription.*.')
        if right and 0 < last_bytes < LARGE_BYTES:
            return (f'{right[0].node} publishes {source.topic}, but nothing arrives any more: it '
                    'sends nothing, or is paused.')
        if right:
            return (f'{right[0].node} publishes {source.topic}, but nothing arrives; either it '
                    f'sends nothing, or {middleware()} loses its large images: then '
                    f'{remedy(middleware())}.')
    for source in inputs:
        for publisher in publishers[source.topic]:
            hint = '' if publisher.type != COMPRESSED_TYPE else \
                '; set the parameter image_transport to auto or compressed'
            return (f'{publisher.node} publishes {source.topic} as {publisher.type}, but '
                    f'{source.type} is needed{hint}.')
    wanted = inputs[0].topic
    similar = sorted(image_topics, reverse=True,
                     key=lambda topic: SequenceMatcher(None, wanted, topic).ratio())[:3]
    seen = f'image topics seen: {", ".join(similar)}' if similar else 'no image topic is seen'
    topics = dict.fromkeys(source.topic for source in inputs)
    remap, argument = (f'{camera}/image:=TOPIC', f'cameras:={camera}=TOPIC') if camera else (
        'image:=TOPIC', 'image:=TOPIC')
    return (f'Nobody publishes {" or ".join(topics)}; {seen}; choose one with --ros-args -r '
            f'{remap}, or the launch argument {argument}{discovery_hint(middleware())}.')


def losses(topic: str, share: float, last_bytes: int, counted: bool) -> str:
    """Say that frames get lost; one sentence with the remedy.

    Args:
        topic: of the images.
        share: of the frames, lost, 0 to 1.
        last_bytes: of the last image that arrived; 0 when none did.
        counted: whether the middleware said so; else the stamps have gaps.
    """
    what = f'{share:.0%} of the frames on {topic} are lost on the way'
    if not counted:
        what += ', or never sent, by their stamps'
    if 0 < last_bytes < LARGE_BYTES:
        return (f'{what}: look at the network to the camera, or set the parameter qos_overrides.'
                f'{topic}.subscription.reliability to reliable.')
    return f'{what}: {remedy(middleware())}.'


# A publisher that has just appeared has not had time to send.
SETTLED_S = 1.0


class Watchdog:
    """Decides when to log: once for each reason, and once when images arrive again.

    Times are seconds of a steady clock, so it also works when simulated time stands still or
    jumps back.
    """

    def __init__(self, now: float):
        self._since = now
        self._found, self._found_at = '', now
        self._said, self._said_at = '', now

    def alive(self, now: float) -> None:
        """An image arrived."""
        self._since = now

    def check(self, now: float, timeout_s: float, explain: Callable[[], str]) -> str | None:
        """Return a sentence to log as a warning, an empty one for "recovered", or None."""
        silent, settled_s = now - self._since, min(SETTLED_S, timeout_s / 2)
        # A single image, too, ends a complaint, however late this is asked after it.
        heard = bool(self._said) and self._since > self._said_at
        if timeout_s <= 0 or silent < timeout_s - settled_s or heard:
            warned, self._said, self._found = self._said, '', ''
            return '' if warned else None
        sentence = explain()
        if sentence != self._found:
            self._found, self._found_at = sentence, now
        # The first reason is given also where another one is found at every look.
        settled = now - self._found_at >= settled_s or (
            not self._said and silent >= timeout_s + SETTLED_S)
        if silent < timeout_s or not settled or sentence == self._said:
            return None
        self._said, self._said_at = sentence, now
        return sentence

    @property
    def complaint(self) -> str:
        """What is wrong at present; empty when images come."""
        return self._said
