"""The node with imported weights: chosen classes, swaps to the shipped weights and back."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip('rclpy')
pytest.importorskip('vision_msgs')
torch = pytest.importorskip('torch')
from peer import image  # noqa: E402
from rclpy.qos import DurabilityPolicy, QoSProfile  # noqa: E402
from torchvision_models import images, random_model  # noqa: E402
from vision_msgs.msg import VisionInfo  # noqa: E402

from ssd_perception.__main__ import main  # noqa: E402
from ssd_perception.inference.detector import Detector  # noqa: E402
from ssd_perception.ros.messages import detections_from_message  # noqa: E402

LATCHED = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)


@pytest.fixture(scope='module')
def coco(tmp_path_factory):
    folder = tmp_path_factory.mktemp('coco')
    torch.save(random_model('ssdlite320_mobilenet_v3_large').state_dict(), folder / 'random.pth')
    assert main(['import_torchvision', 'ssdlite320', '--file', str(folder / 'random.pth'),
                 '--out', str(folder / 'coco')]) == 0
    return folder / 'coco.safetensors'


@pytest.mark.slow
@pytest.mark.parametrize('precision', ['fp32', 'int8'])
def test_imported_weights_serve_and_are_swapped(coco, node_process, peer, precision):
    shown = max(images(), key=lambda each: len(Detector(coco, device='cpu')(each)))
    whole = Detector(coco, device='cpu', precision=precision)(shown)
    names = Detector(coco, device='cpu').class_names
    wanted = sorted({names[label] for label in whole.labels})[:2]
    node = node_process('-p', f'weights:={coco}', '-p', f'weights_dirs:=["{coco.parent}"]', '-p',
                        f'precision:={precision}', '-p', f'classes:={wanted}')
    node.wait_for('Active on /image')
    detections = peer.listen_to_detections()
    found = detections_from_message(peer.ask(image(shown, 1), detections), names)
    kept = np.isin(whole.labels, [names.index(name) for name in wanted])
    assert kept.any() and len(found) == np.count_nonzero(kept)
    np.testing.assert_allclose(found.scores, whole.scores[kept], atol=1e-5)
    np.testing.assert_allclose(found.xyxy, whole.xyxy[kept], atol=0.01)
    assert peer.set_parameter('classes', [''])[0]
    vision = peer.listen(VisionInfo, '/vision_info', LATCHED)
    number = 10
    for name in ('rover', str(coco)):
        assert peer.set_parameter('weights', name)[0]
        file = 'rover.safetensors' if name == 'rover' else 'coco.safetensors'
        while not (vision and file in vision[-1].method):
            peer.ask(image(shown, number := number + 1), detections)
            assert number < 1000
    found = detections_from_message(peer.ask(image(shown, 2000), detections), names)
    assert len(found) == len(whole)
    node.stop()
