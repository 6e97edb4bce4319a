"""The shipped recording through real DDS at its own pace: what comes out is the offline replay."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip('rclpy')
pytest.importorskip('vision_msgs')
pytest.importorskip('av')
from diagnostic_msgs.msg import DiagnosticArray  # noqa: E402

from ssd_perception.__main__ import main  # noqa: E402
from ssd_perception.bags.reader import Bag  # noqa: E402

ROOT = Path(__file__).parents[2]
RECORDING = ROOT / 'demo' / 'recording'
WEIGHTS = ROOT / 'weights' / 'rover.safetensors'
IMAGE = '/camera/image_raw/compressed'
THREADS = 1  # sums of floats depend on how they are split

pytestmark = [pytest.mark.slow,
              pytest.mark.skipif(not RECORDING.is_dir(), reason='no data')]


def stamp(message) -> int:
    return message.header.stamp.sec * 10 ** 9 + message.header.stamp.nanosec


def found(message) -> list[tuple]:
    """Return everything that a Detection2DArray says, as plain values."""
    return [(d.results[0].hypothesis.class_id, d.results[0].hypothesis.score,
             d.bbox.center.position.x, d.bbox.center.position.y, d.bbox.size_x, d.bbox.size_y)
            for d in message.detections]


@pytest.fixture(scope='module')
def offline(tmp_path_factory):
    """Return stamp -> message of an offline replay."""
    out = tmp_path_factory.mktemp('offline') / 'out'
    assert main(['replay', str(RECORDING), '--out', str(out), '--threads', str(THREADS),
                 '--no-pictures']) == 0
    with Bag(out / 'bag') as bag:
        return {stamp(record.message): record.message for record in bag.records(['/detections'])}


def network_ms(diagnostics) -> float:
    """Return the median of the node's own reports."""
    reports = [float(value.value) for message in diagnostics for status in message.status
               for value in status.values if value.key == 'network (ms)']
    return float(np.median(reports))


def test_online_is_offline_for_every_frame_processed(node_process, peer, offline, tmp_path,
                                                     record_property):
    node = node_process('-p', f'weights:={WEIGHTS}', '-p', f'threads:={THREADS}',
                        '-p', 'use_sim_time:=true', '-r', f'image:={IMAGE[:-11]}')
    node.wait_for('Active on')
    received = peer.listen_to_detections()
    diagnostics = peer.listen(DiagnosticArray, '/diagnostics')
    report = tmp_path / 'sent.json'
    environment = {k: v for k, v in os.environ.items() if not k.startswith('FASTDDS_')}
    player = subprocess.Popen(
        [sys.executable, '-m', 'ssd_perception', 'play', str(RECORDING), '--clock', '--quiet',
         '--wait-timeout', '60', '--report', str(report)], cwd=ROOT, env=environment)
    try:
        assert peer.until(lambda: player.poll() is not None, 120.0) and player.returncode == 0
        last = max(offline)
        peer.until(lambda: any(stamp(m) == last for m in received), 5.0)
    finally:
        if player.poll() is None:
            player.kill()
            player.wait()
    sent = json.loads(report.read_text())
    assert sent['frames'] == len(offline)
    answered = [stamp(message) for message in received]
    assert len(set(answered)) == len(answered) and answered == sorted(answered)
    for message in received:
        same = offline[stamp(message)]
        assert message.header.frame_id == same.header.frame_id
        assert found(message) == found(same), stamp(message)
    dropped = sorted(set(offline) - set(answered))
    first = min(offline)
    listed = ', '.join(f'{(s - first) / 1e9:.1f} s' for s in dropped) or 'none'
    capacity = sent['seconds'] * 1e3 / network_ms(diagnostics)
    record_property('online', (len(answered), sent['frames'], capacity, dropped))
    print(f'{len(answered)} of {sent["frames"]} frames answered, network '
          f'{network_ms(diagnostics):.1f} ms; dropped: {listed}')
    assert len(answered) >= 0.8 * min(sent['frames'], capacity), f'dropped: {listed}'
    node.stop()
