"""Which topics of a recording are cameras, and what their results are called."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ssd_perception.bags.reader import Bag, BagError
from ssd_perception.core.interface import (
    ANNOTATED_IMAGE,
    COMPRESSED_SUFFIX,
    IMAGE_TYPES,
    compressed,
)

# Results of an earlier run, and pictures that show distances, not what is there.
_NO_CAMERA = (ANNOTATED_IMAGE, compressed(ANNOTATED_IMAGE), '/compressedDepth', '/theora')


@dataclass(frozen=True)
class Camera:
    """One topic of images.

    Attributes:
        topic: as recorded.
        prefix: what its results' topics begin with, for example ``/front``; empty for the only
            camera.
        name: for files and pages.
    """

    topic: str
    prefix: str
    name: str


def find_cameras(bag: Bag, topics: Sequence[str] = (), namespace: str = '') -> list[Camera]:
    """Return the cameras of a recording.

    Args:
        topics: those to take; empty means all images but depth, annotated ones, and the
            compressed twins of raw ones.
        namespace: goes before every prefix.

    Raises:
        BagError: when there is no camera, or a topic is absent or no topic of images.
    """
    images = bag.of_type(*IMAGE_TYPES)
    bag.require(topics)
    for topic in topics:
        if topic not in images:
            raise BagError(f'{topic} carries {bag.topics[topic] or "something unknown"}, no '
                           f'images; topics of images: {", ".join(images) or "none"}.')
    chosen = list(topics) or [topic for topic in images if _is_camera(topic, images)]
    if not chosen:
        found = f'only {", ".join(images)}' if images else 'no images'
        raise BagError(f'{bag.path} has no topic of camera images: {found}.')
    root = '/' + namespace.strip('/') if namespace.strip('/') else ''
    if len(chosen) == 1:
        return [Camera(chosen[0], root, 'camera')]
    bases = [topic.removesuffix(COMPRESSED_SUFFIX) for topic in chosen]
    # /front/image_raw and /rear/image_raw are front and rear, as the node calls them.
    short = [base.rpartition('/')[0] for base in bases]
    names = short if all(short) and len(set(short)) == len(short) else bases
    if len(set(names)) < len(names):  # both the raw and the compressed topic were asked for
        names = chosen
    return [Camera(topic, root + '/' + name.strip('/'), name.strip('/').replace('/', '_'))
            for topic, name in zip(chosen, names)]


def others(bag: Bag, cameras: Sequence[Camera]) -> list[str]:
    """Return the topics of images that are left out."""
    chosen = {camera.topic for camera in cameras}
    return [topic for topic in bag.of_type(*IMAGE_TYPES) if topic not in chosen]


def _is_camera(topic: str, images: Sequence[str]) -> bool:
    if topic.endswith(_NO_CAMERA) or 'depth' in topic.lower():
        return False
    return not (topic.endswith(COMPRESSED_SUFFIX)
                and topic.removesuffix(COMPRESSED_SUFFIX) in images)
