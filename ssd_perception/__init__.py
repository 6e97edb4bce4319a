"""SSD object detection for ROS 2: camera images in, vision_msgs/Detection2DArray out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

__version__ = '0.1.0'

if TYPE_CHECKING:
    from ssd_perception.core.detections import Detections
    from ssd_perception.inference.detector import Detector

_HOMES = {'Detections': 'core.detections', 'Detector': 'inference.detector'}
__all__ = ['Detections', 'Detector', '__version__']


def __getattr__(name: str) -> Any:
    """Import a public class on first use, so that `import ssd_perception` alone is fast."""
    if name not in _HOMES:
        raise AttributeError(f'module "ssd_perception" has no attribute "{name}"')
    import importlib

    return getattr(importlib.import_module(f'ssd_perception.{_HOMES[name]}'), name)
