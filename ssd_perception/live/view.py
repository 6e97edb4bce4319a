"""The use-case behind ``ssd_perception view``: watch a running detector, then write a summary."""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import rclpy
from rclpy.signals import SignalHandlerOptions

from ssd_perception.core.errors import SettingError
from ssd_perception.core.format import format_number
from ssd_perception.core.interface import IMAGE
from ssd_perception.core.result_folder import check_replaceable, result_folder
from ssd_perception.live.live_table import LiveTable
from ssd_perception.live.run_result import RunResult, SeenFrame, summarise
from ssd_perception.live.summary import write_summary
from ssd_perception.live.viewer import Live, Viewer, collect


@dataclass(frozen=True)
class ViewOptions:
    """What to watch, and for how long.

    Attributes:
        out: folder for frames, video and summary; None shows the table only.
        image: topic of the images; all names can be remapped.
        threshold: detections from this score on are drawn and counted.
        idle_s: end when nothing has arrived for so long; 0 at Ctrl-C only.
        wait_s: end when nothing arrives in the first so many seconds; 0 never.
        title: heading of the summary.
        reference_ap50: figure shown beside the measured AP50.
        ros_args: arguments of ROS, from --ros-args on.
    """

    out: Path | None = None
    image: str = IMAGE
    threshold: float = 0.0
    idle_s: float = 0.0
    wait_s: float = 0.0
    title: str = 'Detections'
    reference_ap50: float | None = None
    ros_args: Sequence[str] = ()

    def __post_init__(self) -> None:
        if not 0 <= self.threshold <= 1:
            raise SettingError(f'--threshold must be within 0 and 1, got {self.threshold:g}.')


def view(options: ViewOptions) -> RunResult | None:
    """Watch until Ctrl-C, SIGTERM or ``idle_s``, then write; None when no frame was seen.

    Raises:
        UserError: when ``out`` cannot be replaced, before watching.
    """
    if options.out:
        check_replaceable(options.out.expanduser().absolute())
    frames, class_names = _watch(options)
    if not frames:
        return None
    result = summarise(frames, class_names, options.threshold, options.reference_ap50)
    if options.out:
        with result_folder(options.out) as folder:
            write_summary(folder, frames, class_names, result, options.title)
    return result


def _watch(options: ViewOptions) -> tuple[list[SeenFrame], list[str]]:
    """Return the frames seen, by stamp, and the class names."""
    signals: list[int] = []
    before = {number: signal.signal(number, lambda number, _: signals.append(number))
              for number in (signal.SIGINT, signal.SIGTERM)}
    # Ctrl-C is the usual end of watching and must not shut ROS down under the collection.
    rclpy.init(args=list(options.ros_args), signal_handler_options=SignalHandlerOptions.NO)
    try:
        viewer = Viewer(options.image, options.threshold)
        started = time.monotonic()

        def stopped() -> bool:
            now, last = time.monotonic(), viewer.last_message_s
            if last is None:
                return bool(signals) or 0 < options.wait_s < now - started
            return bool(signals) or 0 < options.idle_s < now - last

        table = LiveTable(sys.stdout, options.title)
        collect(viewer, stopped, lambda live: table.show(_rows(live)))
        table.finish(_rows(viewer.live))
        names = viewer.class_names()
        frames = [SeenFrame(f.stamp_ns, f.jpeg, viewer.detections(f, names),
                            viewer.ground_truth(f, names), f.age_ms)
                  for _, f in sorted(viewer.frames.items())]
        return frames, names
    finally:
        rclpy.try_shutdown()
        for number, handler in before.items():
            signal.signal(number, handler)


def _rows(live: Live) -> list[tuple[str, str]]:
    """Return the table's rows for the viewer's figures."""
    waiting = [('waiting for', live.waiting)] if live.waiting else []
    if waiting and not live.seen:
        return waiting
    share = f' ({100 * live.answered / live.seen:.0f} %)' if live.seen else ''
    return [*waiting, ('frames seen', str(live.seen)),
            ('answered', f'{live.answered}{share}'),
            ('rate', f'{live.rate_hz:.1f} Hz' if live.rate_hz else ''),
            ('age', 'not known, the stamps are of another clock'
             if live.answered and live.age_ms is None else
             format_number(live.age_ms, ' ms', 0, '')),
            ('median age', format_number(live.median_age_ms, ' ms', 0, '')),
            *((f'{name} now/total', f'{live.last.get(name, 0)}/{count}')
              for name, count in sorted(live.total.items()))]
