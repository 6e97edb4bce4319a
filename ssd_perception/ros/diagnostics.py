"""What the node knows about itself, once a second on /diagnostics."""

from __future__ import annotations

import statistics
import threading
import time
from collections.abc import Mapping

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue

from ssd_perception.inference.detector import Detector
from ssd_perception.ros.latest_frame import Counts


class CameraStatistics:
    """Figures of one camera; the worker writes, the diagnostics timer reads."""

    def __init__(self, clock=time.monotonic):
        self._lock = threading.Lock()
        self._clock = clock
        self._total = {'answered': 0, 'refused': 0}
        self._interval: list[dict[str, float]] = []
        self._picture = ''
        self._error, self._error_at = '', 0.0
        self._last = (clock(), Counts(), dict(self._total))

    def answered(self, times_ms: Mapping[str, float], picture: str) -> None:
        """One frame was answered; ``times_ms`` has its age and stages, if known."""
        with self._lock:
            self._total['answered'] += 1
            self._interval.append(dict(times_ms))
            self._picture = picture

    def failed(self, sentence: str) -> None:
        """One frame could not be answered."""
        with self._lock:
            self._total['refused'] += 1
            self._error, self._error_at = sentence, self._clock()

    def report(self, counts: Counts) -> tuple[bool, dict[str, str]]:
        """Return whether frames failed since the last report, and the figures since then."""
        with self._lock:
            now = self._clock()
            then, counts_then, total_then = self._last
            self._last = (now, counts, dict(self._total))
            interval, self._interval = self._interval, []
            total, error, error_at = dict(self._total), self._error, self._error_at
            picture = self._picture
        span = max(now - then, 1e-3)
        values = {
            'picture': picture,
            'frames received': str(counts.received),
            'frames answered': str(total['answered']),
            'frames dropped for a newer one': str(counts.replaced),
            'frames refused': str(total['refused']),
            'rate in (Hz)': f'{(counts.received - counts_then.received) / span:.1f}',
            'rate out (Hz)': f'{(total["answered"] - total_then["answered"]) / span:.1f}',
        }
        for stage in dict.fromkeys(stage for times in interval for stage in times):
            found = [times[stage] for times in interval if stage in times]
            values[f'{stage} (ms)'] = f'{statistics.median(found):.1f}'
            if stage == 'age':
                values['age, worst (ms)'] = f'{max(found):.1f}'
        if error:
            values['last error'] = error
            values['last error, seconds ago'] = f'{now - error_at:.0f}'
        return total['refused'] > total_then['refused'], values


def detector_entry(name: str, state: str, failure: str, detector: Detector | None,
                   values: Mapping[str, str]) -> DiagnosticStatus:
    """Return the detector's entry: ERROR while batches fail, else OK."""
    if detector:
        values = {'weights': str(detector.path), 'runtime': detector.runtime,
                  'device': detector.device, 'precision': detector.precision, **values}
    return _entry(DiagnosticStatus.ERROR if failure else DiagnosticStatus.OK, name,
                  failure or state, detector.device if detector else '',
                  {'state': state, **values})


def camera_entry(name: str, state: str, complaint: str, refused: bool,
                 values: Mapping[str, str]) -> DiagnosticStatus:
    """Return a camera's entry: WARN while images are missing or unusable, else OK."""
    problem = complaint or ('Images were refused: ' + values['last error'] if refused else '')
    return _entry(DiagnosticStatus.WARN if problem else DiagnosticStatus.OK, name,
                  problem or state, '', values)


def _entry(level: bytes, name: str, message: str, hardware: str,
           values: Mapping[str, str]) -> DiagnosticStatus:
    return DiagnosticStatus(level=level, name=name, message=message, hardware_id=hardware,
                            values=[KeyValue(key=k, value=v) for k, v in values.items()])


def array(stamp, entries: list[DiagnosticStatus]) -> DiagnosticArray:
    """Return the message; ``stamp`` is the node clock's."""
    message = DiagnosticArray(status=entries)
    message.header.stamp = stamp
    return message
