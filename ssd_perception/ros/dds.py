"""Where the Fast DDS profile for large images lies."""

from __future__ import annotations

from pathlib import Path

from ssd_perception.inference.resolve import weights_folders

# On the publisher's side alone FASTDDS_BUILTIN_TRANSPORTS=LARGE_DATA is easier to remember, but
# keeps a shared-memory segment of 512 kB: with all cores busy most 640x640 frames were lost.
REMEDY = 'FASTDDS_DEFAULT_PROFILES_FILE'
NAME = 'fastdds_large_images.xml'


def large_images_profile() -> Path:
    """Return the shipped profile's path; its bare name when it is not installed."""
    # The same places hold the package's configuration.
    candidates = [folder.parent / 'config' / NAME for folder in weights_folders()]
    return next((path for path in candidates if path.is_file()), Path(NAME))
