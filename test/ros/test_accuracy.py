"""What flies is what was measured: photographs through real DDS against the offline figures."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

pytest.importorskip('rclpy')
pytest.importorskip('vision_msgs')
from peer import header, image  # noqa: E402
from sensor_msgs.msg import CompressedImage, Image  # noqa: E402

from ssd_perception.core.boxes import iou  # noqa: E402
from ssd_perception.data.voc import read_voc  # noqa: E402
from ssd_perception.evaluation.accuracy import (  # noqa: E402
    MAX_DETECTIONS,
    SCORE_THRESHOLD,
    detect_samples,
    ground_truth,
)
from ssd_perception.evaluation.voc import average_precision, mean_ap  # noqa: E402
from ssd_perception.imaging.files import read_image  # noqa: E402
from ssd_perception.inference.detector import Detector  # noqa: E402
from ssd_perception.ros.messages import detections_from_message  # noqa: E402

ROOT = Path(__file__).parents[2]
WEIGHTS = ROOT / 'weights' / 'rover.safetensors'
DATA = ROOT.parent / 'shared' / 'datasets' / 'cone_cube'

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not WEIGHTS.is_file(), reason='no weights'),
    pytest.mark.skipif(not DATA.is_dir(), reason='no data'),
]


@pytest.fixture(scope='module')
def detector():
    return Detector.from_weights(WEIGHTS)


@pytest.fixture(scope='module')
def samples():
    return read_voc(DATA, 'val')


@pytest.fixture(scope='module')
def node(node_process):
    process = node_process('-p', f'weights:={WEIGHTS}',
                           '-p', f'score_threshold:={SCORE_THRESHOLD}',
                           '-p', f'max_detections:={MAX_DETECTIONS}')
    process.wait_for('Active on /image')
    return process


def test_ap50_over_dds_is_the_offline_one(node, peer, detector, samples, record_property):
    received = peer.listen_to_detections()
    answers = [detections_from_message(
        peer.ask(image(read_image(sample.path), number), received), detector.class_names)
        for number, sample in enumerate(samples)]
    truths = [ground_truth(sample, detector.class_names) for sample in samples]
    offline = detect_samples(detector, samples)
    over_dds, measured = (mean_ap(average_precision(found, truths, detector.class_names))
                          for found in (answers, offline))
    record_property('ap50', (len(answers), over_dds, measured))
    print(f'{len(answers)} of {len(samples)} answered, AP50 over DDS {over_dds:.4f}, '
          f'offline {measured:.4f}')
    assert len(answers) == len(samples) == 63
    assert over_dds == pytest.approx(measured, abs=0.001)
    assert over_dds >= 0.95


def place(rgb: np.ndarray, width: int, height: int, seed: int):
    """Scale and pad ``rgb`` into an odd size; return it and the scale and offset of boxes."""
    rng = np.random.default_rng(seed)
    scale = min(width / rgb.shape[1], height / rgb.shape[0]) * rng.uniform(0.8, 1.0)
    size = round(rgb.shape[1] * scale), round(rgb.shape[0] * scale)
    offset = rng.integers(0, [width - size[0] + 1, height - size[1] + 1])
    canvas = np.full((height, width, 3), 114, np.uint8)
    canvas[offset[1]:offset[1] + size[1], offset[0]:offset[0] + size[0]] = cv2.resize(
        rgb, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
    factor = np.array([size[0] / rgb.shape[1], size[1] / rgb.shape[0]] * 2)
    return canvas, factor, np.tile(offset, 2)


def bgr8(rgb, number) -> Image:
    message = image(np.ascontiguousarray(rgb[..., ::-1]), number)
    message.encoding = 'bgr8'
    return message


def jpeg(rgb, number) -> CompressedImage:
    blob = cv2.imencode('.jpg', rgb[..., ::-1])[1].tobytes()
    return CompressedImage(header=header(number), format='jpeg', data=blob)


@pytest.mark.parametrize('size', [(1921, 1081), (333, 217)])
@pytest.mark.parametrize('encode, topic', [(image, '/image'), (bgr8, '/image'),
                                           (jpeg, '/image/compressed')],
                         ids=['rgb8', 'bgr8', 'jpeg'])
def test_boxes_are_in_source_pixels(node, peer, detector, samples, size, encode, topic):
    received = peer.listen_to_detections()
    best = []
    for number, sample in enumerate(samples[::3]):
        rgb, factor, offset = place(read_image(sample.path), *size, seed=number)
        answer = peer.ask(encode(rgb, 500 + number), received, topic)
        found = detections_from_message(answer, detector.class_names)
        truth = ground_truth(sample, detector.class_names)
        overlaps = iou(truth.xyxy * factor + offset, found.xyxy.astype(float))
        same = truth.labels[:, None] == found.labels[None]
        best += [*np.where(same, overlaps, 0).max(1, initial=0)]
    print(f'{encode.__name__} {size}: {len(best)} objects, median IoU {np.median(best):.3f}')
    assert np.median(best) >= 0.8
