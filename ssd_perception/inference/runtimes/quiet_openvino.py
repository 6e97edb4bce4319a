"""OpenVINO without its telemetry and its converter: it starts sooner, and reports to nobody.

Importing openvino reports to Google Analytics, from a process forked for it, unless the user has
opted out. Where `openvino_telemetry` cannot be imported, openvino uses a stub of its own. Its
converter of other frameworks' files takes more than half of the import; nothing here converts.
"""

from __future__ import annotations

import sys

_CONVERTER = 'openvino.tools.ovc'

sys.modules.setdefault('openvino_telemetry', None)  # type: ignore[arg-type]
_LEFT_OUT = _CONVERTER not in sys.modules and 'openvino' not in sys.modules
if _LEFT_OUT:  # openvino imports it if it can
    sys.modules[_CONVERTER] = None  # type: ignore[assignment]

import openvino as ov  # noqa: E402  # only after the lines above

if _LEFT_OUT:
    del sys.modules[_CONVERTER]  # others in this process can import openvino.tools.ovc

__all__ = ['ov']
