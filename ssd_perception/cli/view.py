"""Watch a running detector: a live table, and annotated frames, video and summary at the end."""

from __future__ import annotations

import argparse
import signal
import sys
import time
from pathlib import Path

from ssd_perception.core.errors import SettingError
from ssd_perception.core.interface import GROUND_TRUTH


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    parser.add_argument('--out', type=Path, metavar='DIR',
                        help='folder for frames, video and summary (default: only the table)')
    parser.add_argument('--image', default='image', metavar='TOPIC', help='what the detector sees')
    parser.add_argument('--detections', default='detections', metavar='TOPIC')
    parser.add_argument('--truth', default=GROUND_TRUTH, metavar='TOPIC',
                        help='ground truth, where there is any (default: %(default)s)')
    parser.add_argument('--threshold', type=float, default=0.0, metavar='SCORE',
                        help='draw and count detections from this score on (default: all)')
    parser.add_argument('--idle', type=float, default=0.0, metavar='S', help='end when nothing '
                        'has arrived for S seconds (default: at Ctrl-C)')
    parser.add_argument('--wait', type=float, default=0.0, metavar='S', help='give up when '
                        'nothing arrives in the first S seconds (default: never)')
    parser.add_argument('--max-frames', type=int, default=3000, metavar='N',
                        help='pictures kept in memory (default: 3000)')
    parser.add_argument('--title', default='Detections', help='heading of the summary')
    parser.add_argument('--reference-ap50', type=float, metavar='AP',
                        help='figure to show beside the measured AP50')


def run(args: argparse.Namespace) -> int:
    """Watch until Ctrl-C or --idle, then write; 1 when no frame was seen."""
    if not 0 <= args.threshold <= 1:
        raise SettingError(f'--threshold must be within 0 and 1, got {args.threshold:g}.')
    if args.out:
        from ssd_perception.core.result_folder import check_replaceable
        check_replaceable(args.out.expanduser().absolute())  # now rather than after the drive
    frames, class_names = _watch(args)
    if not frames:
        print('ssd_perception view: no frame was seen.', file=sys.stderr)
        return 1
    from ssd_perception.live.summary import figures
    summary = figures(frames, class_names, args.threshold)
    summary.update(_precision(frames, class_names))
    if args.reference_ap50 is not None:
        summary['reference_ap50'] = args.reference_ap50
    if args.out:
        from ssd_perception.core.result_folder import result_folder
        from ssd_perception.live.summary import write_summary
        with result_folder(args.out) as folder:
            write_summary(folder, frames, class_names, summary, args.title)
        print(f'Wrote {args.out / "summary.html"}')
    return 0


def _watch(args: argparse.Namespace):
    """Return the frames seen, by stamp, and the class names."""
    import rclpy

    from ssd_perception.live.live_table import LiveTable
    from ssd_perception.live.summary import SeenFrame
    from ssd_perception.live.viewer import Viewer, collect

    signals: list[int] = []
    before = {number: signal.signal(number, lambda number, _: signals.append(number))
              for number in (signal.SIGINT, signal.SIGTERM)}
    # Ctrl-C is the usual end of watching and must not shut ROS down under the collection.
    rclpy.init(args=args.ros_args, signal_handler_options=rclpy.signals.SignalHandlerOptions.NO)
    try:
        viewer = Viewer(args.image, args.detections, args.truth, args.threshold, args.max_frames)
        started = time.monotonic()

        def stopped() -> bool:
            now, last = time.monotonic(), viewer.last_message_s
            if last is None:
                return bool(signals) or 0 < args.wait < now - started
            return bool(signals) or 0 < args.idle < now - last

        table = LiveTable(sys.stdout, args.title)
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


def _rows(live) -> list[tuple[str, str]]:
    """Return the table's rows for the viewer's figures."""
    def told(value, unit):
        return '' if value is None else f'{value:.0f} {unit}'

    if live.waiting:
        return [('waiting for', live.waiting)]
    share = f' ({100 * live.answered / live.seen:.0f} %)' if live.seen else ''
    return [('frames seen', str(live.seen)),
            ('answered', f'{live.answered}{share}'),
            ('rate', f'{live.rate_hz:.1f} Hz' if live.rate_hz else ''),
            ('age', told(live.age_ms, 'ms')),
            ('median age', told(live.median_age_ms, 'ms')),
            *((f'{name} now/total', f'{live.last.get(name, 0)}/{count}')
              for name, count in sorted(live.total.items()))]


def _precision(frames, class_names) -> dict:
    """Return AP50 over the answered frames that have ground truth; nothing without any."""
    from ssd_perception.evaluation.voc import average_precision, mean_ap

    pairs = [f for f in frames if f.detections is not None and f.truth is not None]
    if not pairs:
        return {}
    per_class = average_precision(
        [f.detections for f in pairs],
        [f.truth for f in pairs], class_names)
    plain = {name: None if ap != ap else round(ap, 5) for name, ap in per_class.items()}
    mean = mean_ap(per_class)
    return {'ap50': None if mean != mean else round(mean, 5), 'ap50_per_class': plain,
            'ap50_frames': len(pairs)}
