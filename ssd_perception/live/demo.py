"""The use-case behind ``ssd_perception demo``: node, player and viewer on a recording."""

from __future__ import annotations

import json
import os
import random
import sys
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path

from ssd_perception.bags.frames import image_topic
from ssd_perception.bags.reader import Bag
from ssd_perception.core.atomic_write import atomic_write
from ssd_perception.core.errors import SettingError
from ssd_perception.core.format import format_number, from_json
from ssd_perception.core.interface import COMPRESSED_SUFFIX
from ssd_perception.core.result_folder import check_replaceable
from ssd_perception.core.signals import sigterm_as_ctrl_c
from ssd_perception.inference.resolve import resolve_weights
from ssd_perception.inference.weights_file import read_metadata
from ssd_perception.live.processes import Processes
from ssd_perception.live.run_result import RunResult

# `make demo` fails outside of these limits.
LEAST_ANSWERED = 0.95
AP50_TOLERANCE = 0.02
# AP needs the detections below the threshold of a robot; the images show those above it.
PUBLISHED_THRESHOLD = 0.05
READY_WITHIN_S = 90.0
IDLE_S = 2.0


@dataclass(frozen=True)
class DemoOptions:
    """What to run.

    Attributes:
        recording: rosbag2 with images and ground truth.
        out: folder for the results.
        weights: path or name; empty for the default weights.
        rate: speed of the camera; 1 is the recording's own.
    """

    recording: Path = Path('demo/recording')
    out: Path = Path('demo_output')
    weights: str = ''
    rate: float = 1.0

    def __post_init__(self) -> None:
        if not self.rate > 0:
            raise SettingError(f'--rate must be above 0, got {self.rate}.')


def demo(options: DemoOptions) -> RunResult:
    """Run node, viewer and player; ``failures`` of the result is empty when all went well.

    Raises:
        UserError: for weights, a recording or a folder that cannot be used.
        ProcessFailed: when a child ends too early or takes too long.
    """
    check_replaceable(options.out.absolute())
    weights = resolve_weights(options.weights)
    metadata = read_metadata(weights)
    reference = metadata.metrics.get('recording', {}).get('voc10_ap50')
    with Bag(options.recording) as bag:
        topic, playing_s = image_topic(bag), bag.duration_ns / 1e9 / options.rate
    started = time.monotonic()
    with sigterm_as_ctrl_c(), tempfile.TemporaryDirectory(prefix='ssd_perception_demo_') as folder:
        report = Path(folder, 'sent.json')
        _run_processes(options, weights, topic.removesuffix(COMPRESSED_SUFFIX), playing_s,
                       metadata.score_threshold, reference, report)
        sent = json.loads(report.read_text())['frames']
    summary = options.out / 'summary.json'
    result = from_json(RunResult, json.loads(summary.read_text()))
    result = replace(result, sent=sent, failures=judge(result, sent, reference),
                     wall_s=round(time.monotonic() - started, 1))
    atomic_write(summary, (json.dumps(result.to_json(), indent=2) + '\n').encode())
    return result


def judge(result: RunResult, sent: int, reference: float | None) -> list[str]:
    """Return what a run fell short of, a sentence each; empty when it was good.

    Args:
        sent: frames that the player published.
        reference: AP50 on the recording by the weights' own metadata.
    """
    failures = []
    if result.answered < LEAST_ANSWERED * sent:
        failures.append(f'{result.answered} of {sent} frames were answered, fewer than '
                        f'{LEAST_ANSWERED:.0%}.')
    if result.ap50 is None:
        failures.append('AP50 could not be measured: no answered frame has ground truth.')
    elif reference is None:
        failures.append('The weights have no AP50 on the recording (metrics: recording, '
                        'voc10_ap50), so it cannot be compared.')
    elif abs(result.ap50 - reference) > AP50_TOLERANCE:
        failures.append(f'AP50 is {result.ap50:.3f}, more than {AP50_TOLERANCE} from the model '
                        f"card's {reference:.3f}.")
    return failures


def table(result: RunResult) -> list[tuple[str, str]]:
    """Return names and values of the closing lines."""
    sent = result.sent or 0
    return [('frames sent', str(sent)),
            ('answered', f'{result.answered} ({result.answered / max(1, sent):.0%})'),
            ('detected', f'{result.detections} objects in '
             f'{result.frames_with_detections} frames'),
            ('median age of a detection', format_number(result.age_ms.median, ' ms', 0, '-')),
            ('AP50', format_number(result.ap50, missing='-')),
            ('AP50 by the model card', format_number(result.reference_ap50, missing='-')),
            ('wall time', format_number(result.wall_s, ' s', 0))]


def _run_processes(options: DemoOptions, weights: Path, image: str, playing_s: float,
                   threshold: float, reference: float | None, report: Path) -> None:
    # A graph of its own: two runs at once, or a robot beside it, do not meet. Domains above 101
    # collide with the ports that the kernel gives to others.
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
            *module, 'view', '--image', image, '--out', str(options.out),
            '--threshold', str(threshold), '--idle', str(IDLE_S), '--wait', str(READY_WITHIN_S),
            '--title', f'{weights.stem} on {options.recording.name}',
            *(['--reference-ap50', str(reference)] if reference is not None else [])])
        # Two subscribers: the node listens once it is active, the viewer once it hears the node.
        player = processes.start('player', [
            *module, 'play', str(options.recording), '--raw', '--stamp', 'now', '--quiet',
            '--rate', str(options.rate),
            '--wait-for-subscribers', '2', '--wait-timeout', str(READY_WITHIN_S),
            '--report', str(report)], quiet=True)
        processes.wait(player, READY_WITHIN_S + playing_s + 10, alive=(node, viewer))
        processes.wait(viewer, IDLE_S + 30 + playing_s, alive=(node,))
