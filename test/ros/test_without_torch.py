"""The real node where torch is not installed: the shipped exported files are enough."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip('rclpy')
pytest.importorskip('vision_msgs')
from peer import image  # noqa: E402

from ssd_perception.imaging.files import read_image  # noqa: E402
from ssd_perception.inference.detector import Detector  # noqa: E402
from ssd_perception.ros.messages import detections_from_message  # noqa: E402

PICTURE = Path(__file__).parents[2] / 'demo' / 'rendered_val' / 'JPEGImages' / 'val_0000.jpg'

# Importing any of these fails as if it were not installed.
PROGRAM = """
import importlib.abc, sys
class Absent(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition('.')[0] in {'torch', 'torchvision', 'onnx', 'safetensors'}:
            raise ModuleNotFoundError(f'No module named {name!r}', name=name)
sys.meta_path.insert(0, Absent())
from ssd_perception.ros.detector_node import main
sys.exit(main())
"""


@pytest.mark.parametrize('runtime, precision', [('onnxruntime', 'fp32'), ('auto', 'int8')])
def test_the_node_answers_without_torch(node_process, peer, runtime, precision):
    node = node_process('-p', f'runtime:={runtime}', '-p', f'precision:={precision}',
                        program=('-c', PROGRAM))
    node.wait_for('Active on /image')
    rgb = read_image(PICTURE)
    offline = Detector.from_weights('rover', runtime, 'cpu', precision)
    wanted, = offline([rgb])
    found = detections_from_message(peer.ask(image(rgb, 1), peer.listen_to_detections()),
                                    offline.class_names)
    assert len(wanted) > 0 and found.labels.tolist() == wanted.labels.tolist()
    np.testing.assert_allclose(found.scores, wanted.scores, atol=1e-4)
    np.testing.assert_allclose(found.xyxy, wanted.xyxy, atol=0.1)
    assert f'in {offline.runtime} on cpu, {precision}' in node.log
    node.stop()
