"""What a recording's metadata.yaml holds, as far as it makes sense."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from ssd_perception.core.errors import DataError
from ssd_perception.core.safe_path import inside, regular_file
from ssd_perception.core.safe_yaml import YamlError, read_yaml
from ssd_perception.core.text import printable

FILE = 'metadata.yaml'
_MAX_COUNT = 1 << 63


@dataclass(frozen=True)
class RecordingMetadata:
    """What a recorder wrote about its files.

    Attributes:
        files: names of the storage files in their order.
        counts: file name -> messages in it, where that is recorded.
        expected: topic -> messages that there should be.
        damage: why the file cannot be used, in words that follow its name; empty when it can.
    """

    files: tuple[str, ...] = ()
    counts: dict[str, int] = field(default_factory=dict)
    expected: dict[str, int] = field(default_factory=dict)
    damage: str = ''


def read_metadata(folder: Path) -> RecordingMetadata:
    """Return the metadata of a recording's folder; never raises for what is in the file."""
    try:
        if not os.path.lexists(folder / FILE):
            return RecordingMetadata(damage='is missing')
        document = read_yaml(regular_file(inside(folder, FILE)))
    except (OSError, DataError, YamlError):
        return RecordingMetadata(damage='is damaged')
    values = _mapping(_mapping(document).get('rosbag2_bagfile_information'))
    if not values:
        return RecordingMetadata(damage='is damaged')
    counts: dict[str, int] = {}
    for file in _mappings(values.get('files')):
        if isinstance(file.get('path'), str) and _is_count(file.get('message_count')):
            counts[PurePosixPath(file['path']).name] = file['message_count']
    expected: dict[str, int] = {}
    for entry in _mappings(values.get('topics_with_message_count')):
        topic = _mapping(entry.get('topic_metadata')).get('name')
        count: Any = entry.get('message_count')
        if isinstance(topic, str) and _is_count(count):
            expected[topic] = count
    listed = values.get('relative_file_paths')
    names = [PurePosixPath(name).name for name in listed if isinstance(name, str)] \
        if isinstance(listed, list) else []
    return RecordingMetadata(tuple(dict.fromkeys(name for name in names if name)), counts,
                             expected)


def missing_file(name: str, metadata: RecordingMetadata) -> str:
    """Return the sentence about a listed file that is not there."""
    count = metadata.counts.get(name)
    return f'{printable(name)} is missing' + (f', with {count} messages.' if count else '.')


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < _MAX_COUNT


def _mapping(value: object) -> dict[Any, Any]:
    return value if isinstance(value, dict) else {}


def _mappings(value: object) -> Iterator[dict[Any, Any]]:
    return (item for item in value if isinstance(item, dict)) if isinstance(value, list) \
        else iter(())
