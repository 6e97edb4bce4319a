"""Hostile weights at the start of the node, and as a change while it runs."""

from __future__ import annotations

import pytest

pytest.importorskip('rclpy')
pytest.importorskip('onnx')
from hostile_weights import growing, write_examples  # noqa: E402
from peer import image, picture  # noqa: E402

# The limit of the child process, so low that a test may go beyond it.
PROGRAM = ('-c', 'from ssd_perception.inference import trial; trial.MAX_BYTES = 700_000_000; '
           'from ssd_perception.ros import detector_node; detector_node.main()')
IN_THE_CHILD = 'was tried in a child process, which used'


def test_at_the_start_they_end_the_node_with_a_sentence(node_process, tmp_path):
    cases = {**write_examples(tmp_path), growing(tmp_path / 'grows.onnx', 400): IN_THE_CHILD}
    nodes = {path: node_process('-p', f'weights:={path}', '-p', 'runtime:=onnxruntime',
                                program=PROGRAM) for path in cases}
    for path, words in cases.items():
        assert nodes[path].ended() == 1
        log = nodes[path].log
        assert words in log and 'Traceback' not in log and len(log) < 3000, log


def test_as_a_change_they_cost_no_answer(node_process, tmp_path, peer):
    cases = {**write_examples(tmp_path), growing(tmp_path / 'grows.onnx', 400): IN_THE_CHILD}
    node = node_process('-p', f"weights_dirs:=['{tmp_path}']", '-p', 'runtime:=onnxruntime',
                        program=PROGRAM)
    node.wait_for('Active on /image')
    detections = peer.listen_to_detections()
    for number, (path, words) in enumerate(cases.items()):
        before = len(node.log)
        assert peer.set_parameter('weights', path.name)[0]
        node.wait_for('Keeping rover: ', count=number + 1)
        assert words in node.log[before:]
        peer.ask(image(picture(), number), detections)
    node.stop()
