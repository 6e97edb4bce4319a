"""An exported network in int8: static quantisation after training, as QDQ ONNX."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Collection, Iterable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
from onnxruntime.quantization import (
    CalibrationDataReader,
    CalibrationMethod,
    QuantFormat,
    QuantType,
    quantize_static,
)
from onnxruntime.quantization.shape_inference import quant_pre_process

from ssd_perception.core.metadata import Metadata
from ssd_perception.imaging.placing import empty_batch, place
from ssd_perception.inference.export import store_half, write_onnx
from ssd_perception.inference.onnx_file import read_export


class _Images(CalibrationDataReader):
    """Gives images to the quantiser one by one, placed exactly as the Detector places them."""

    def __init__(self, images: Iterable[np.ndarray], metadata: Metadata):
        self._images: Iterator[np.ndarray] = iter(images)
        self._metadata = metadata

    def get_next(self) -> dict[str, np.ndarray] | None:
        """Return the next input, or None at the end."""
        image = next(self._images, None)
        if image is None:
            return None
        batch = empty_batch(1, self._metadata)
        place(image, batch[0], self._metadata.preprocessing)
        return {'images': batch}


def quantise(exported: Path, images: Iterable[np.ndarray], calibration: dict, out: Path,
             in_float: Collection[str] = (), only: str = '') -> Path:
    """Write the int8 twin of an exported fp32 file.

    Activations are 8 bits per tensor, their ranges those that ``images`` cause; weights are 7
    bits per channel: without VNNI a processor adds pairs of products in 16 bits, which 8 bits
    overflow. The predicting layers stay float (their outputs are what thresholds are compared
    with), and so do the first convolution's input, the exact pixels, and ``gated_layers``.

    Args:
        exported: fp32, of ``export_onnx``.
        images: uint8 (H, W, 3) RGB each, of any size.
        calibration: what the images are, for people; goes into the file.
        in_float: parts of the network, see ``part_of``, that stay float too.
        only: the one part that is quantised, to see what it costs; '' for all of them.
    """
    source = read_export(exported)
    with tempfile.TemporaryDirectory() as folder:
        plain, quantised = Path(folder, 'plain.onnx'), Path(folder, 'int8.onnx')
        # constants folded and shapes inferred, which the quantiser needs
        quant_pre_process(exported, plain, skip_symbolic_shape=True)
        graph = onnx.load(plain)
        gated = gated_layers(graph)
        excluded = {*predicting_layers(graph), *gated, *(
            node.name for node in graph.graph.node
            if part_of(node.name) in in_float or only not in ('', part_of(node.name)))}
        quantize_static(
            plain, quantised, _Images(images, source.metadata), quant_format=QuantFormat.QDQ,
            per_channel=True, reduce_range=True, activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8, calibrate_method=CalibrationMethod.MinMax,
            nodes_to_exclude=sorted(excluded),
            # Sums and products of a gated network's maps have ranges too wide for 8 bits.
            op_types_to_quantize=['Conv'] if gated else None)
        graph = onnx.load(quantised)
    if any(tensor.data_type == onnx.TensorProto.FLOAT16
           for tensor in onnx.load(exported).graph.initializer):
        store_half(graph)
    info = replace(source.info, precision='int8', calibration=calibration)
    return write_onnx(graph, source.metadata, info, out)


def part_of(node_name: str) -> str:
    """Return the part of the network that a node of a graph belongs to, '' for none.

    Each stage of the backbone is a part: ``backbone.stages.3``; so are ``pyramid``, ``tower``,
    ``class_head`` and ``box_head``.
    """
    steps = node_name.strip('/').split('/')[1:]  # behind the name of the whole network
    if len(steps) < 2:
        return ''
    return '.'.join(steps[:2]) if steps[0] == 'backbone' else steps[0]


def parts_of(exported: Path) -> list[str]:
    """Return the parts of an exported network that have convolutions, see ``part_of``."""
    return list(dict.fromkeys(part_of(node.name) for node in onnx.load(exported).graph.node
                              if node.op_type == 'Conv'))


def predicting_layers(model: onnx.ModelProto) -> list[str]:
    """Return the names of the nodes from the last convolutions on to the outputs."""
    makers = {output: node for node in model.graph.node for output in node.output}
    found, waiting = [], [output.name for output in model.graph.output]
    while waiting:
        node = makers.get(waiting.pop())
        if node is not None and node.name not in found:
            found.append(node.name)
            if node.op_type != 'Conv':
                waiting += node.input
    return found


def gated_layers(model: onnx.ModelProto) -> list[str]:
    """Return the layers that stay float in a network with squeeze-and-excite gates, else none.

    Of EfficientNet-B1 these are the gates and the stages before C4: with them in int8 it lost
    0.06 COCO AP, without them nothing.
    """
    if not any(node.op_type == 'GlobalAveragePool' for node in model.graph.node):
        return []
    return [node.name for node in model.graph.node
            if re.search(r'/stages\.[0-3]/|/(avgpool|fc1|fc2|(scale_)?activation)/', node.name)]


def describe_calibration(quantised: Path, calibration: dict) -> None:
    """Write what was measured into the file as well."""
    source = read_export(quantised)
    write_onnx(onnx.load(quantised), source.metadata,
               replace(source.info, calibration=calibration), quantised)
