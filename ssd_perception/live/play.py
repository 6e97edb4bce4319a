"""The use-case behind ``ssd_perception play``: publish a recording over DDS."""

from __future__ import annotations

import contextlib
import itertools
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ssd_perception.bags.reader import Bag
from ssd_perception.core.errors import SettingError
from ssd_perception.core.interface import IMAGE_TYPES
from ssd_perception.core.safe_yaml import YamlError, load_yaml
from ssd_perception.core.signals import sigterm_as_ctrl_c
from ssd_perception.core.text import printable
from ssd_perception.live.player import (
    PlayerOptions,
    PlayReport,
    message_class,
    run_player,
)


@dataclass(frozen=True)
class PlayOptions:
    """What to play.

    Attributes:
        bag: rosbag2 folder, or an .mcap or .db3 file.
        player: how to play.
        topics: those to publish; empty for all.
        loop: begin again at the end.
        progress: show a bar on a terminal.
        ros_args: arguments of ROS, from --ros-args on.
    """

    bag: Path
    player: PlayerOptions = field(default_factory=PlayerOptions)
    topics: Sequence[str] = ()
    loop: bool = False
    progress: bool = True
    ros_args: Sequence[str] = ()


def play(options: PlayOptions) -> PlayReport:
    """Play; return what was sent.

    Raises:
        UserError: for a recording, topic or type that cannot be played, and when the
            subscribers do not come.
    """
    with sigterm_as_ctrl_c(), Bag(options.bag) as bag:
        bag.require(list(options.topics))
        topics = {name: kind for name, kind in bag.topics.items()
                  if not options.topics or name in options.topics}
        if not options.topics:
            topics = _playable(topics)
        if not any(bag.counts[name] for name in topics):
            raise SettingError(f'{options.bag} has no messages to play.')
        passes = itertools.count() if options.loop else range(1)
        total = sum(bag.counts[name] for name, kind in topics.items() if kind in IMAGE_TYPES)
        with _bar(options, total) as (progress, started):
            return run_player((bag.records(list(topics)) for _ in passes), topics,
                              options.player, list(options.ros_args), progress=progress,
                              started=started,
                              latched=[topic for topic in topics
                                       if is_latched(bag.connections[topic].qos)])


@contextlib.contextmanager
def _bar(options: PlayOptions, total: int) -> Iterator[tuple[Callable, Callable]]:
    """Yield what counts frames, and what takes the topics of images when they begin."""
    if not (options.progress and sys.stderr.isatty()):
        yield (lambda _=1: None), (lambda _: None)
        return
    from tqdm import tqdm  # a robot that plays quietly need not have it
    with tqdm(total=None if options.loop else total, desc='waiting for subscribers',
              unit='frame') as bar:
        yield bar.update, lambda images: bar.set_description(', '.join(images))


def _playable(topics: dict[str, str]) -> dict[str, str]:
    """Return the topics that can be published here; name the others."""
    found = {}
    for topic, kind in topics.items():
        try:
            message_class(kind, topic)
        except SettingError as error:
            print(f'{printable(topic)} is left out: {error}', file=sys.stderr)
        else:
            found[topic] = kind
    return found


def is_latched(qos: str) -> bool:
    """Tell whether a topic was published for late subscribers too (transient local).

    Args:
        qos: the YAML that rosbag2 stores of its publishers.
    """
    try:
        profiles = load_yaml(qos)
    except YamlError:
        return False
    return isinstance(profiles, list) and any(
        isinstance(profile, dict) and profile.get('durability') in (1, 'transient_local')
        for profile in profiles)
