"""Make a benchmark's figures of the entries' times: percentiles, ratios, GFLOP/s."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np

from ssd_perception.benchmark.entries import Entry
from ssd_perception.benchmark.results import BenchmarkRow, Machine, Percentiles, Ratio
from ssd_perception.benchmark.rounds import BATCH, Times, ratio
from ssd_perception.evaluation.latency import processor

STAGES = ('decode', 'preprocess', 'network', 'postprocess', 'message', 'call')


def percentiles(milliseconds: Sequence[float]) -> Percentiles:
    """Return p50, p95, p99, min and mean, ms."""
    values = np.asarray(milliseconds, float)
    return Percentiles(*(round(float(value), 3) for value in (
        *np.percentile(values, (50, 95, 99)), values.min(), values.mean())))


def row_of(entry: Entry, times: Times) -> BenchmarkRow:
    """Return an entry's figures; memory and accuracy are measured later."""
    stages = {stage: percentiles(times.stages[stage]) for stage in STAGES if stage in times.stages}
    gflop, spent = entry.facts.gflop, stages.get('network', stages['call']).p50
    return BenchmarkRow(
        entry.name, entry.kind, entry.facts, len(times.stages['call']), stages,
        images_per_s=round(1000 / stages['call'].mean, 2),
        images_per_s_batch=round(BATCH * 1000 / float(np.median(times.batch)), 2)
        if times.batch else None,
        gflop_per_s=round(gflop / spent * 1000, 1) if gflop else None)


def ratios(entries: Sequence[Entry], times: Sequence[Times]) -> list[Ratio]:
    """Return, for each own entry, its time divided by that of each entry it compares with.

    A whole call is compared with the whole call of a baseline, and a network alone (kind
    ``network``) with our network in the same runtime and precision.
    """
    found = []
    for mine, spent in zip(entries, times):
        if mine.kind != 'own':
            continue
        for other, theirs in zip(entries, times):
            if other is mine or other.kind == 'peak':
                continue
            alone = other.kind == 'network'
            if alone and not _equal(mine, other, 'runtime', 'precision'):
                continue
            # Of our own: int8 compared with fp32 of the same weights and runtime.
            if other.kind == 'own' and not (
                    mine.facts.precision == 'int8' and other.facts.precision == 'fp32'
                    and _equal(mine, other, 'weights', 'runtime')):
                continue
            value = ratio(spent.network_rounds if alone else spent.rounds,
                          theirs.network_rounds if alone else theirs.rounds)
            what = 'network' if alone else 'call'
            # On a busy machine the fastest call is the one that was disturbed least.
            fastest = min(spent.stages[what]) / min(theirs.stages[what])
            found.append(Ratio(mine.name, other.name, what, round(value, 3), round(fastest, 3)))
    return found


def _equal(one: Entry, other: Entry, *names: str) -> bool:
    mine, theirs = asdict(one.facts), asdict(other.facts)
    return all(mine[name] == theirs[name] for name in names)


def machine() -> Machine:
    """Return what the figures are measured on; call it before measuring, for the load."""
    flags = ''
    if Path('/proc/cpuinfo').is_file():
        flags = next((line for line in Path('/proc/cpuinfo').read_text().splitlines()
                      if line.startswith('flags')), '')
    widest = next((name for flag, name in (
        ('avx512_vnni', 'AVX-512 with VNNI'), ('avx512f', 'AVX-512'), ('avx2', 'AVX2'),
        ('asimd', 'NEON')) if f' {flag}' in flags), 'unknown')
    return Machine(processor(), len(os.sched_getaffinity(0)), widest,
                   round(os.getloadavg()[0], 2))


def versions() -> dict[str, str]:
    """Return the versions of what is measured, by library."""
    found = {}
    for name in ('ssd_perception', 'torch', 'torchvision', 'onnxruntime', 'openvino',
                 'ultralytics', 'opencv-python-headless', 'numpy'):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def network_gflop(weights: str) -> float | None:
    """Return the network's arithmetic for one image, in 1e9 additions and multiplications.

    None without torch, and for an exported file.
    """
    try:
        import torch
        from torch.utils.flop_counter import FlopCounterMode

        from ssd_perception.inference.resolve import resolve_weights
        from ssd_perception.inference.trial import ensure_tried
        from ssd_perception.model.weights import load_model
        ensure_tried(weights, 'torch')
        model, metadata = load_model(resolve_weights(weights))
    except (ImportError, ValueError):
        return None
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        model(torch.zeros(1, 3, *metadata.architecture.input_hw))
    return counter.get_total_flops() / 1e9
