"""An hour's worth of frames through the real node, faster than the clock: nothing grows.

SSD_SOAK_FRAMES=108000 (an hour at 30 Hz) is the run to make before a release.
"""

from __future__ import annotations

import os
import signal
import time

import numpy as np
import pytest

pytest.importorskip('rclpy')
pytest.importorskip('vision_msgs')
from diagnostic_msgs.msg import DiagnosticArray  # noqa: E402
from peer import image, picture  # noqa: E402
from process_figures import Growth  # noqa: E402
from random_weights import random_weights  # noqa: E402
from sensor_msgs.msg import Image  # noqa: E402
from vision_msgs.msg import Detection2DArray  # noqa: E402

FRAMES = int(os.environ.get('SSD_SOAK_FRAMES', '3000'))
RATE_HZ = float(os.environ.get('SSD_SOAK_HZ', '100'))


@pytest.mark.slow
@pytest.mark.timeout(300 + 3 * FRAMES / RATE_HZ)
def test_soak(node_process, peer, tmp_path):
    """The whole chain: DDS, conversion, a small network, detections, diagnostics."""
    weights = random_weights(tmp_path / 'small.safetensors', 64)
    node = node_process('-p', f'weights:={weights}', '-p', 'max_detections:=20')
    node.wait_for('Active on /image')
    ages_ms = []

    def answered(message):
        stamp = message.header.stamp
        ages_ms.append(time.time() * 1e3 - stamp.sec * 1e3 - stamp.nanosec / 1e6)
    peer.node.create_subscription(Detection2DArray, '/detections', answered, 10)
    assert peer.until(lambda: peer.node.count_publishers('/detections'))
    statuses = peer.listen(DiagnosticArray, '/diagnostics')
    publisher = peer.publisher(Image, '/image')
    assert peer.until(publisher.get_subscription_count)
    frames = [image(picture(160, 120, seed), seed) for seed in range(16)]
    growth = Growth(node.process.pid)
    start = time.monotonic()
    for number in range(FRAMES):
        frame = frames[number % len(frames)]
        frame.header.stamp = peer.node.get_clock().now().to_msg()
        publisher.publish(frame)
        # Late is late: a pause of the machine is not caught up with in a burst.
        now = time.monotonic()
        start = max(start, now - (number + 2) / RATE_HZ)
        peer.spin(max(0.0, start + (number + 1) / RATE_HZ - now))
        growth.sample(number)
        del statuses[:-1]
    peer.spin(3.0)  # the last answers, and diagnostics that count them
    values = {v.key: v.value for v in statuses[-1].status[1].values}
    p50, p99, worst = np.percentile(ages_ms, [50, 99, 100])
    print(f'{FRAMES} frames sent in {time.monotonic() - start:.0f} s, {values["frames received"]} '
          f'received, {values["frames dropped for a newer one"]} dropped for a newer one, '
          f'{values["frames refused"]} refused, {len(ages_ms)} answered; age p50 {p50:.1f}, '
          f'p99 {p99:.1f}, worst {worst:.1f} ms\n{growth.report()}')
    received, dropped = (int(values[key]) for key in
                         ('frames received', 'frames dropped for a newer one'))
    assert values['frames refused'] == '0'
    assert int(values['frames answered']) + dropped == received, 'every frame is accounted for'
    assert len(ages_ms) == int(values['frames answered']), 'every answer arrives'
    early, late = np.array_split(np.array(ages_ms), 10)[1], np.array_split(ages_ms, 10)[-1]
    assert np.median(late) < 3 * np.median(early) + 20, 'the age grows: a queue somewhere'
    growth.assert_flat()
    node.stop(signal.SIGTERM)
