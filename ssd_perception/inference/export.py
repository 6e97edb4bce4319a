"""Weights to ONNX, with the metadata and the weights' hash inside."""

from __future__ import annotations

import inspect
import io
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch

from ssd_perception.core.atomic_write import atomic_write
from ssd_perception.core.metadata import KEY, Metadata
from ssd_perception.inference.exported import grey_images
from ssd_perception.inference.onnx_file import (
    EXPORT_KEY,
    EXPORT_VERSION,
    ExportInfo,
    sha256_of,
)
from ssd_perception.model.fold import PixelNetwork
from ssd_perception.model.weights import load_model, stored_half

MIN_HALF = 64  # values of a kernel from which fp16 is worth a node
OPSET = 17  # what ONNX Runtime 1.18, OpenVINO 2024 and TensorRT 10 all read


def export_onnx(weights: Path, out: Path) -> Path:
    """Write the network of ``weights`` to ``out``, whole or not at all.

    Its input ``images`` is (B, H, W, 3) RGB of the input's size and pixel type, any B;
    normalising is part of the graph. Its outputs are the raw ``logits`` (B, A, columns) and
    ``deltas`` (B, A, 4).
    Where ``weights`` stores fp16 so does the file; both are computed with in fp32.

    Raises:
        WeightsError: when ``weights`` is no weights file.
    """
    model, metadata = load_model(weights)
    network = PixelNetwork(model, metadata.preprocessing).eval()
    example = torch.from_numpy(grey_images(metadata))
    buffer = io.BytesIO()
    # The exporter by tracing: the one by torch.export takes six times as long for the same
    # graph and needs onnxscript. This network has no branches that tracing could miss.
    older: dict[str, Any] = {}
    if 'dynamo' in inspect.signature(torch.onnx.export).parameters:
        older['dynamo'] = False
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter('ignore')  # deprecation, and sizes that are constants on purpose
        torch.onnx.export(
            network, (example,), buffer,  # type: ignore[arg-type]  # tracing takes a buffer too
            input_names=['images'],
            output_names=['logits', 'deltas'], opset_version=OPSET,
            dynamic_axes={name: {0: 'batch'} for name in ('images', 'logits', 'deltas')}, **older)
    graph = onnx.load_model_from_string(buffer.getvalue())
    if stored_half(weights):
        store_half(graph)
    info = ExportInfo(EXPORT_VERSION, sha256_of(weights), 'fp32', {})
    return write_onnx(graph, metadata, info, out)


def store_half(graph: onnx.ModelProto) -> None:
    """Store the kernels of a graph in fp16, each with a Cast to fp32 behind it.

    Every runtime folds the Cast when it loads the file: half the size, the same speed.
    """
    casts = []
    for tensor in graph.graph.initializer:
        if tensor.data_type != onnx.TensorProto.FLOAT or len(tensor.dims) < 2 \
                or np.prod(tensor.dims) < MIN_HALF:
            continue
        name, values = tensor.name, onnx.numpy_helper.to_array(tensor)
        tensor.CopyFrom(onnx.numpy_helper.from_array(values.astype(np.float16), f'{name}.half'))
        casts.append(onnx.helper.make_node('Cast', [f'{name}.half'], [name], f'{name}.widen',
                                           to=onnx.TensorProto.FLOAT))
    for cast in reversed(casts):
        graph.graph.node.insert(0, cast)


def write_onnx(graph: onnx.ModelProto, metadata: Metadata, info: ExportInfo, out: Path) -> Path:
    """Check a graph and write it with its metadata, atomically."""
    del graph.metadata_props[:]
    onnx.helper.set_model_props(graph, {KEY: metadata.to_json(), EXPORT_KEY: info.to_json()})
    for node in graph.graph.node:
        node.doc_string = ''  # the exporter's places in source files of this machine
    onnx.checker.check_model(graph)
    out.parent.mkdir(parents=True, exist_ok=True)
    return atomic_write(out, graph.SerializeToString(), shared=True)
