"""Run the real detector node on a recording over DDS, and measure what comes out."""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import sys
import tempfile
import time
from pathlib import Path

from ssd_perception.core.atomic_write import atomic_write
from ssd_perception.core.errors import SettingError

# What `make demo` promises; below either, the exit code says so.
LEAST_ANSWERED = 0.95
AP50_TOLERANCE = 0.02
# AP needs the detections below the threshold that a robot uses; the pictures show those above.
PUBLISHED_THRESHOLD = 0.05
READY_WITHIN_S = 90.0
IDLE_S = 2.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    parser.add_argument('--recording', type=Path, default=Path('demo/recording'), metavar='BAG',
                        help='rosbag2 with images and ground truth (default: demo/recording)')
    parser.add_argument('--out', type=Path, default=Path('demo_output'), metavar='DIR',
                        help='folder for the results (default: demo_output)')
    parser.add_argument('--weights', default='', help='path or name (default: rover)')
    parser.add_argument('--rate', type=float, default=1.0,
                        help="speed of the camera; 1 is the recording's own (default: 1)")


def run(args: argparse.Namespace) -> int:
    """Run node, viewer and player; 0 only when all frames that must be were answered well."""
    from ssd_perception.bags.frames import image_topic
    from ssd_perception.bags.reader import Bag
    from ssd_perception.core.result_folder import check_replaceable
    from ssd_perception.inference.resolve import resolve_weights

    if not args.rate > 0:
        raise SettingError(f'--rate must be above 0, got {args.rate}.')
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # children are ended all the same
    check_replaceable(args.out.absolute())
    weights = resolve_weights(args.weights)
    threshold, reference = _card(weights)
    with Bag(args.recording) as bag:
        topic, playing_s = image_topic(bag), bag.duration_ns / 1e9 / args.rate
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix='ssd_perception_demo_') as folder:
        report = Path(folder, 'sent.json')
        _run_processes(args, weights, topic.removesuffix('/compressed'), playing_s, threshold,
                       reference, report)
        sent = json.loads(report.read_text())['frames']
    summary = json.loads((args.out / 'summary.json').read_text())
    failures = judge(summary, sent, reference)
    summary |= {'sent': sent, 'failures': failures,
                'wall_s': round(time.monotonic() - started, 1)}
    atomic_write(args.out / 'summary.json', (json.dumps(summary, indent=2) + '\n').encode())
    print(_told(summary, reference), end='')
    for failure in failures:
        print(f'ssd_perception demo: {failure}', file=sys.stderr)
    return 1 if failures else 0


def judge(summary: dict, sent: int, reference: float | None) -> list[str]:
    """Return what a run fell short of, a sentence each; empty when it was good.

    Args:
        summary: see ``live.summary.figures``, with ``ap50``.
        sent: frames that the player published.
        reference: AP50 on the recording by the weights' own description.
    """
    failures = []
    if summary['answered'] < LEAST_ANSWERED * sent:
        failures.append(f'{summary["answered"]} of {sent} frames were answered, fewer than '
                        f'{LEAST_ANSWERED:.0%}.')
    ap50 = summary.get('ap50')
    if ap50 is None:
        failures.append('AP50 could not be measured: no answered frame has ground truth.')
    elif reference is None:
        failures.append('The weights do not say their AP50 on the recording (metrics: recording, '
                        'voc10_ap50), so it cannot be compared.')
    elif abs(ap50 - reference) > AP50_TOLERANCE:
        failures.append(f"AP50 is {ap50:.3f}, more than {AP50_TOLERANCE} from the model card's "
                        f'{reference:.3f}.')
    return failures


def _run_processes(args, weights: Path, image: str, playing_s: float, threshold: float,
                   reference: float | None, report: Path) -> None:
    from ssd_perception.live.processes import Processes

    # A graph of its own, so that two runs at once, or a robot beside it, do not meet. Domains
    # above 101 collide with the ports that the kernel hands out.
    environment = {'ROS_AUTOMATIC_DISCOVERY_RANGE': 'LOCALHOST',
                   'ROS_DOMAIN_ID': os.environ.get('ROS_DOMAIN_ID')
                   or str(random.randint(1, 101))}
    module = [sys.executable, '-m', 'ssd_perception']
    with Processes(environment) as processes:
        node = processes.start('detector node', [
            sys.executable, '-m', 'ssd_perception.ros.detector_node', '--ros-args',
            '-r', f'image:={image}', '-p', f'weights:={weights}',
            '-p', f'score_threshold:={PUBLISHED_THRESHOLD}'], quiet=True)
        viewer = processes.start('viewer', [
            *module, 'view', '--image', image, '--out', str(args.out),
            '--threshold', str(threshold), '--idle', str(IDLE_S), '--wait', str(READY_WITHIN_S),
            '--title', f'{weights.stem} on {args.recording.name}',
            *(['--reference-ap50', str(reference)] if reference is not None else [])])
        # Two subscribers: the node listens once it is active, the viewer once it hears the node.
        player = processes.start('player', [
            *module, 'play', str(args.recording), '--raw', '--stamp', 'now', '--quiet',
            '--rate', str(args.rate),
            '--wait-for-subscribers', '2', '--wait-timeout', str(READY_WITHIN_S),
            '--report', str(report)], quiet=True)
        processes.wait(player, READY_WITHIN_S + playing_s + 10, alive=(node, viewer))
        processes.wait(viewer, IDLE_S + 30 + playing_s, alive=(node,))


def _card(weights: Path) -> tuple[float, float | None]:
    """Return the default threshold and the AP50 on the recording that a weights file tells."""
    from safetensors import SafetensorError, safe_open

    from ssd_perception.core.metadata import KEY, Metadata, WeightsError
    try:
        with safe_open(weights, framework='np') as file:
            text = (file.metadata() or {}).get(KEY, '')
        metadata = Metadata.from_json(text)
    except (SafetensorError, OSError, ValueError) as error:
        raise WeightsError(f'{weights} is not a weights file of this package: {error}') from error
    return (metadata.score_threshold,
            metadata.metrics.get('recording', {}).get('voc10_ap50'))


def _told(summary: dict, reference: float | None) -> str:
    """Return the closing lines."""
    age, ap50 = summary['age_ms']['median'], summary.get('ap50')
    rows = [('frames sent', str(summary['sent'])),
            ('answered', f'{summary["answered"]} ({summary["answered"] / summary["sent"]:.0%})'),
            ('detected', f'{summary["detections"]} objects in '
             f'{summary["frames_with_detections"]} frames'),
            ('median age of a detection', '-' if age is None else f'{age:.0f} ms'),
            ('AP50', '-' if ap50 is None else f'{ap50:.3f}'),
            ('AP50 by the model card', '-' if reference is None else f'{reference:.3f}'),
            ('wall time', f'{summary["wall_s"]:.0f} s')]
    width = max(len(name) for name, _ in rows)
    return ''.join(f'{name:<{width}}  {value}\n' for name, value in rows)
