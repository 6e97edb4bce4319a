"""Which topics of a recording are cameras, and what their results are called."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ssd_perception.bags.frames import depth_encoding
from ssd_perception.bags.reader import BagError, Record, RecoveringBag
from ssd_perception.core.interface import (
    ANNOTATED_IMAGE,
    COMPRESSED_SUFFIX,
    IMAGE_TYPES,
    compressed,
)
from ssd_perception.core.text import printable

_RESULTS = (ANNOTATED_IMAGE, compressed(ANNOTATED_IMAGE))  # of an earlier run
_VIDEO_TYPES = ('/FFMPEGPacket', '/CompressedVideo', 'theora_image_transport/msg/Packet')
# Each camera has files, a video that is being written and a place in the page.
_MAX_TOPICS = 200
_MAX_NAME = 100  # characters; file systems allow 255


@dataclass(frozen=True)
class RecordedCamera:
    """One topic of images.

    Attributes:
        topic: as recorded.
        prefix: of the topics of its results, for example ``/front``; empty for the only camera.
        name: for files and pages: letters, digits, ``_``, ``-`` and ``.``, unlike every other
            camera's.
    """

    topic: str
    prefix: str
    name: str


@dataclass(frozen=True)
class Recording:
    """A recording that is open, and the cameras of it that are looked at.

    Attributes:
        bag: open.
        cameras: at least one.
    """

    bag: RecoveringBag
    cameras: tuple[RecordedCamera, ...]

    @property
    def topics(self) -> list[str]:
        """The cameras' topics."""
        return [camera.topic for camera in self.cameras]

    @property
    def frames(self) -> int:
        """The number of images."""
        return sum(self.bag.counts[topic] for topic in self.topics)

    def records(self) -> Iterator[Record]:
        """Yield the images in recorded order; a frame's index is its place here."""
        return self.bag.records(self.topics)

    def unusable(self, errors: Sequence[str]) -> BagError:
        """Return the error that no image can be used; ``errors`` are those of all of them."""
        why = f'the first: {errors[0]}' if errors else 'none of them is there.'
        return BagError(f'None of the {self.frames} images of {self.bag.path} can be used; {why}')

    def other_topics(self) -> list[str]:
        """Return the topics of images that are left out."""
        return [topic for topic in self.bag.of_type(*IMAGE_TYPES) if topic not in self.topics]


def find_images(bag: RecoveringBag, topics: Sequence[str] = (), namespace: str = '') -> Recording:
    """Return a recording with its cameras; arguments as of ``find_cameras``.

    Raises:
        BagError: as ``find_cameras``, and when the cameras have no images.
    """
    recording = Recording(bag, tuple(find_cameras(bag, topics, namespace)))
    if not recording.frames:
        raise BagError(f'{bag.path} has no images on '
                       f'{", ".join(map(printable, recording.topics))}.')
    return recording


def find_cameras(bag: RecoveringBag, topics: Sequence[str] = (),
                 namespace: str = '') -> list[RecordedCamera]:
    """Return the cameras of a recording.

    Args:
        topics: those to take; empty means all images but depth (by their encoding, whatever
            the topic is called), annotated ones, and the compressed twins of raw ones.
        namespace: goes before every prefix.

    Raises:
        BagError: when there is no camera, or there are too many, or a topic is absent or no topic
            of images.
    """
    images = bag.of_type(*IMAGE_TYPES)
    bag.require(topics)
    for topic in topics:
        if topic not in images:
            kind = printable(bag.topics[topic]) or 'something unknown'
            named = ', '.join(map(printable, images)) or 'none'
            raise BagError(f'{printable(topic)} carries {kind}, no images; topics of images: '
                           f'{named}.')
    if not topics and len(images) > _MAX_TOPICS:
        raise BagError(f'{bag.path} has {len(images)} topics of images, more than the '
                       f'{_MAX_TOPICS} that are looked at; choose some with --topics.')
    chosen = list(dict.fromkeys(topics)) or [t for t in images if _is_camera(t, images, bag)]
    if not chosen:
        raise BagError(f'{bag.path} has no topic of camera images; it has '
                       f'{bag.describe_topics()}.{_advice(bag)}')
    root = '/' + namespace.strip('/') if namespace.strip('/') else ''
    if len(chosen) == 1:
        return [RecordedCamera(chosen[0], root, 'camera')]
    bases = [topic.removesuffix(COMPRESSED_SUFFIX) for topic in chosen]
    # /front/image_raw and /rear/image_raw are front and rear, as the node calls them.
    short = [base.rpartition('/')[0] for base in bases]
    names = short if all(short) and len(set(short)) == len(short) else bases
    if len(set(names)) < len(names):  # both the raw and the compressed topic were asked for
        names = chosen
    return [RecordedCamera(topic, root + '/' + name.strip('/'), file_name)
            for topic, name, file_name in zip(chosen, names, _file_names(names))]


def _advice(bag: RecoveringBag) -> str:
    """Return the remedy for a recording whose images have an unsupported form."""
    for topic in bag.of_type(*IMAGE_TYPES):
        if encoding := depth_encoding(bag, topic):
            return (f' {printable(topic)} holds depth ("{printable(encoding, 60)}"); record the '
                    'colour image, or give --topics to take it all the same.')
    if any(connection.encoding == 'ros1' for connection in bag.connections.values()):
        return ' Messages of ROS 1 are not read; rosbags-convert makes them those of ROS 2.'
    if any(connection.encoding != 'cdr' for connection in bag.connections.values()):
        return ' Only messages in CDR are read, as ROS 2 records them.'
    if any(kind.endswith(_VIDEO_TYPES) for kind in bag.topics.values()):
        return (' Video packets are not read; record the Image or CompressedImage topic, or '
                'decode them with `ros2 run image_transport republish`.')
    return ''


def _file_names(names: Sequence[str]) -> list[str]:
    """Return a file name for each; /a_b and /a/b get different ones, also where case is one."""
    found: list[str] = []
    taken: set[str] = set()
    for name in names:
        plain = re.sub(r'[^A-Za-z0-9_.-]', '_', name.strip('/'))[:_MAX_NAME].lstrip('.-')
        free, number = plain or 'camera', 1
        while free.lower() in taken:
            number += 1
            free = f'{plain}_{number}'
        taken.add(free.lower())
        found.append(free)
    return found


def _is_camera(topic: str, images: Sequence[str], bag: RecoveringBag) -> bool:
    if topic.endswith(_RESULTS) or (topic.endswith(COMPRESSED_SUFFIX)
                                    and topic.removesuffix(COMPRESSED_SUFFIX) in images):
        return False
    return not depth_encoding(bag, topic)
