"""OpenVINO without its telemetry: a robot's detector talks to nobody but ROS.

Importing openvino tells Google Analytics, from a process forked for it, unless the person at the
machine has opted out. Where `openvino_telemetry` cannot be imported it takes its own stub.
"""

from __future__ import annotations

import sys

sys.modules.setdefault('openvino_telemetry', None)  # type: ignore[arg-type]

import openvino as ov  # noqa: E402  # only after the line above

__all__ = ['ov']
