"""What the node knows about itself, once a second on /diagnostics."""

from __future__ import annotations

import statistics
import threading
import time
from collections.abc import Callable, Mapping

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from rclpy.time import Time

from ssd_perception.core import interface
from ssd_perception.core.text import printable
from ssd_perception.inference.detector import Detector
from ssd_perception.ros.latest_frame import Counts

# Camera and node may run on different machines, whose clocks agree within some milliseconds.
AHEAD_MS = 100.0
# Frames that come and are not answered for so long are an error; a report each second says so
# before 3 s are over.
ANSWER_WITHIN_S = 2.0
# A frame that a pause found unanswered for less time was in work.
REMEMBERED_S = 0.5
# Older than any pipeline makes a frame: a recording's stamps against the wall clock.
BEHIND_MS = 60_000.0


class LastError:
    """The last error and when it was; one thread writes, another reads.

    Args:
        clock: seconds of a steady clock.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic):
        self._clock = clock
        self._noted: tuple[str, float] | None = None  # one reference, so never half new

    def note(self, sentence: str) -> None:
        """Remember an error of now."""
        self._noted = sentence, self._clock()

    def recent(self, within_s: float) -> str:
        """Return the sentence if it was noted so short a time ago, else nothing."""
        sentence, at = self._noted or ('', 0.0)
        return sentence if sentence and self._clock() - at < within_s else ''

    def values(self) -> dict[str, str]:
        """Return what diagnostics say about it; nothing when there was none."""
        if self._noted is None:
            return {}
        sentence, at = self._noted
        return {interface.LAST_ERROR: sentence,
                f'{interface.LAST_ERROR}, seconds ago': f'{self._clock() - at:.0f}'}


class CameraStatistics:
    """Figures of one camera; the worker writes, the diagnostics timer reads.

    Args:
        clock: seconds of a steady clock.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic):
        self._lock = threading.Lock()
        self._clock = clock
        self._total = {'answered': 0, 'refused': 0}
        self._interval: list[dict[str, float]] = []
        self._image = ''
        self._unanswered_since: float | None = None
        self._unanswered_before: float | None = None  # a jump of the clock
        self._received = 0.0
        self._unanswered_s = 0.0  # before a pause
        self._error = LastError(clock)
        self._last = (clock(), Counts(), dict(self._total))

    def received(self, now: float) -> None:
        """One frame came; ``now`` is the steady clock's."""
        with self._lock:
            self._received = now
            if self._unanswered_since is None:
                self._unanswered_since = self._unanswered_before or now

    def answered(self, times_ms: Mapping[str, float], image: str) -> None:
        """One frame was answered; ``times_ms`` has its age and stages, if known."""
        with self._lock:
            self._total['answered'] += 1
            self._unanswered_since = self._unanswered_before = None
            self._unanswered_s = 0.0
            self._interval.append(dict(times_ms))
            self._image = image

    def failed(self, sentence: str) -> None:
        """One frame could not be answered."""
        with self._lock:
            self._total['refused'] += 1
            self._error.note(sentence)

    def forget(self) -> None:
        """Forget times and frames since the last report: another detector will answer."""
        with self._lock:
            self._interval = []
            self._unanswered_since = self._unanswered_before = None
            self._unanswered_s = 0.0

    def ignored(self) -> None:
        """One frame was not to be answered."""
        with self._lock:
            self._unanswered_since = None

    def pause(self) -> None:
        """Forget times since the last report: no frame is to be answered until ``resume``."""
        with self._lock:
            self._interval = []
            if self._unanswered_since is not None:
                self._unanswered_s = self._clock() - self._unanswered_since
            self._unanswered_since = self._unanswered_before = None

    def resume(self) -> None:
        """Frames are to be answered again.

        That none was answered for long before the pause is remembered: pauses again and again
        must not hide it.
        """
        with self._lock:
            if self._unanswered_since is None and self._unanswered_s >= REMEMBERED_S:
                self._unanswered_since = self._clock() - self._unanswered_s
            self._unanswered_s = 0.0

    def clock_jumped(self) -> None:
        """Forget times since the last report, and the frames that wait.

        That none was answered for long is remembered for the next frame: a clock that goes back
        every second must not hide it.
        """
        with self._lock:
            self._interval = []
            self._unanswered_before = self._unanswered_since or self._unanswered_before
            self._unanswered_since = None

    def unanswered_s(self) -> float:
        """Return for how long frames have come and none was answered, s."""
        with self._lock:
            now, since = self._clock(), self._unanswered_since
            # Where the clock jumps all the time, a frame is forgotten before this is asked.
            if since is None and now - self._received < ANSWER_WITHIN_S:
                since = self._unanswered_before
            return 0.0 if since is None else now - since

    def report(self, counts: Counts) -> tuple[str, dict[str, str]]:
        """Return what was wrong since the last report, and the figures since then."""
        with self._lock:
            now = self._clock()
            then, counts_then, total_then = self._last
            self._last = (now, counts, dict(self._total))
            interval, self._interval = self._interval, []
            total, image, error = dict(self._total), self._image, self._error.values()
        span = max(now - then, 1e-3)
        values = {
            'picture': image,
            interface.FRAMES_RECEIVED: str(counts.received),
            interface.FRAMES_ANSWERED: str(total['answered']),
            interface.FRAMES_DROPPED: str(counts.replaced),
            interface.FRAMES_REFUSED: str(total['refused']),
            'rate in (Hz)': f'{(counts.received - counts_then.received) / span:.1f}',
            'rate out (Hz)': f'{(total["answered"] - total_then["answered"]) / span:.1f}',
        }
        problem = ''
        for stage in dict.fromkeys(stage for times in interval for stage in times):
            found = [times[stage] for times in interval if stage in times]
            middle = statistics.median(found)
            values[interface.stage_key(stage)] = f'{middle:.1f}'
            if stage == 'age':
                values['age, worst (ms)'] = f'{max(found):.1f}'
                problem = clocks_disagree(middle)
        if total['refused'] > total_then['refused']:
            problem = f'Images were refused: {error[interface.LAST_ERROR]}'
        return problem, {**values, **error}


def clocks_disagree(age_ms: float) -> str:
    """Say so when an age is impossible; the age itself is reported as it is."""
    if age_ms < -AHEAD_MS:
        return (f"The images' stamps are {-age_ms / 1e3:.1f} s ahead of this node's clock: "
                'synchronise the clocks, or set use_sim_time where /clock is published.')
    if age_ms > BEHIND_MS:
        return (f"The images' stamps are {age_ms / 1e3:.0f} s behind this node's clock: set "
                'use_sim_time for a recording, or synchronise the clocks.')
    return ''


def detector_entry(name: str, state: str, failure: str, fallback: str,
                   detector: Detector | None, values: Mapping[str, str]) -> DiagnosticStatus:
    """Return the detector's entry: ERROR while batches fail, WARN on the CPU fallback, else OK."""
    if detector:
        values = {'weights': str(detector.path), 'runtime': detector.runtime,
                  'device': detector.device, 'precision': detector.precision, **values}
    level = (DiagnosticStatus.ERROR if failure else
             DiagnosticStatus.WARN if fallback else DiagnosticStatus.OK)
    return _entry(level, name, failure or fallback or state,
                  detector.device if detector else '', {interface.STATE: state, **values})


def camera_entry(name: str, state: str, complaint: str, unanswered: str, problem: str,
                 values: Mapping[str, str]) -> DiagnosticStatus:
    """Return a camera's entry.

    Args:
        complaint: why no image comes: WARN.
        unanswered: images come and are not answered: ERROR.
        problem: images are lost or unusable, or their stamps are impossible: WARN.
    """
    # Refused images are not answered either; their reason says more.
    text = complaint or problem or unanswered
    level = DiagnosticStatus.WARN if text else DiagnosticStatus.OK
    return _entry(DiagnosticStatus.ERROR if unanswered else level, name, text or state, '',
                  values)


def _entry(level: bytes, name: str, message: str, hardware: str,
           values: Mapping[str, str]) -> DiagnosticStatus:
    # Reasons may quote messages and names of strangers.
    return DiagnosticStatus(
        level=level, name=name, message=printable(message, 1000), hardware_id=hardware,
        values=[KeyValue(key=k, value=printable(v, 1000)) for k, v in values.items()])


def array(now: Time, entries: list[DiagnosticStatus]) -> DiagnosticArray:
    """Return the message; ``now`` is the node clock's."""
    message = DiagnosticArray(status=entries)
    message.header.stamp = now.to_msg()
    return message
