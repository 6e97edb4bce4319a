"""Where a network's time goes: OpenVINO's clock of every layer, and the arithmetic in it."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np

from ssd_perception.benchmark.results import LayerTime
from ssd_perception.inference.exported import find_export

_RUNS, _FIRST = 30, 8  # the first runs are slower than the others, and do not count


def layer_times(weights: Path, threads: int) -> list[LayerTime]:
    """Return the median time of each kind of layer in one image, the longest first.

    Kinds are pointwise, depthwise and other convolutions, and OpenVINO's names for the rest.
    OpenVINO measures; that makes the network a little slower.
    """
    from ssd_perception.inference.runtimes.openvino import cpu_settings
    from ssd_perception.inference.runtimes.quiet_openvino import ov

    exported = find_export(weights, 'fp32')
    core = ov.Core()
    model = core.read_model(exported.path)
    shape = [1, *exported.metadata.architecture.input_hw, 3]
    model.reshape(shape)
    kinds = {op.get_friendly_name(): _convolution(op) for op in model.get_ordered_ops()
             if op.get_type_name() in ('Convolution', 'GroupConvolution')}
    request = core.compile_model(model, 'CPU', {
        **cpu_settings(threads), 'PERF_COUNT': True}).create_infer_request()
    pixels = np.random.default_rng(0).integers(0, 256, shape).astype(
        exported.metadata.preprocessing.pixel_type)
    runs = []
    for _ in range(_RUNS):
        request.infer([pixels])
        spent: dict[str, float] = defaultdict(float)
        for layer in request.get_profiling_info():
            kind = kinds[layer.node_name][0] if layer.node_name in kinds else layer.node_type
            spent[kind] += layer.real_time.total_seconds() * 1e3
        runs.append(spent)
    gflop: dict[str, float] = defaultdict(float)
    for kind, arithmetic in kinds.values():
        gflop[kind] += arithmetic
    medians = {kind: float(np.median([run[kind] for run in runs[_FIRST:]]))
               for kind in sorted({kind for run in runs for kind in run})}
    return [LayerTime(kind, round(gflop.get(kind, 0.0), 3), round(ms, 3))
            for kind, ms in sorted(medians.items(), key=lambda item: -item[1]) if ms >= 0.01]


def _convolution(op: Any) -> tuple[str, float]:
    """Return a convolution's kind and its arithmetic in 1e9 additions and multiplications."""
    grouped = op.get_type_name() == 'GroupConvolution'
    # (groups, out / groups, in / groups, rows, columns), or without the groups
    kernel = [int(side.get_length()) for side in op.input(1).get_partial_shape()][1 + grouped:]
    each = int(np.prod(kernel))
    kind = ('depthwise' if grouped and kernel[0] == 1 else
            'pointwise' if kernel[1:] == [1, 1] else 'other') + ' convolutions'
    return kind, 2 * each * int(np.prod(op.output(0).get_shape())) / 1e9
