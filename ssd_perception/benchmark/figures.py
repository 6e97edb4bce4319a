"""Times of contestants to the figures of a benchmark: percentiles, ratios, GFLOP/s."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ssd_perception.benchmark.entries import Entry
from ssd_perception.benchmark.rounds import BATCH, Times, ratio
from ssd_perception.evaluation.latency import processor

STAGES = ('decode', 'preprocess', 'network', 'postprocess', 'message', 'call')


def percentiles(milliseconds: Sequence[float]) -> dict[str, float]:
    """Return p50, p95, p99, min and mean, ms."""
    values = np.asarray(milliseconds, float)
    named = {f'p{q}': np.percentile(values, q) for q in (50, 95, 99)}
    return {key: round(float(value), 3)
            for key, value in {**named, 'min': values.min(), 'mean': values.mean()}.items()}


def entry(contestant: Entry, times: Times) -> dict:
    """Return one contestant's figures, ready for JSON."""
    stages = {stage: percentiles(times.stages[stage]) for stage in STAGES if stage in times.stages}
    found = {'name': contestant.name, 'kind': contestant.kind, **contestant.about,
             'calls': len(times.stages['call']), 'ms': stages,
             'images_per_s': {'1': round(1000 / stages['call']['mean'], 2)}}
    if times.batch:
        found['images_per_s'][str(BATCH)] = round(BATCH * 1000 / float(np.median(times.batch)), 2)
    if 'gflop' in contestant.about:
        spent = stages.get('network', stages['call'])['p50']
        found['gflop_per_s'] = round(contestant.about['gflop'] / spent * 1000, 1)
    return found


def ratios(contestants: Sequence[Entry], times: Sequence[Times]) -> list[dict]:
    """Return for every own contestant its time over that of each other one, call by call.

    Against a network alone (kind ``network``) of the same runtime and precision it is the
    network's time that counts; a peer's whole call is compared with our whole call.
    """
    found = []
    for mine, spent in zip(contestants, times):
        if mine.kind != 'own':
            continue
        for other, theirs in zip(contestants, times):
            if other is mine or other.kind == 'peak':
                continue
            alone = other.kind == 'network'
            if alone and any(mine.about[key] != other.about[key]
                             for key in ('runtime', 'precision')):
                continue
            # Of our own: int8 against fp32 of the same weights and runtime.
            if other.kind == 'own' and not (
                    mine.about['precision'] == 'int8' and other.about['precision'] == 'fp32'
                    and all(mine.about[k] == other.about[k] for k in ('weights', 'runtime'))):
                continue
            value = ratio(spent.network_rounds if alone else spent.rounds,
                          theirs.network_rounds if alone else theirs.rounds)
            found.append({'of': mine.name, 'to': other.name,
                          'what': 'network' if alone else 'call', 'ratio': round(value, 3),
                          'of_fastest': _of_fastest(spent, theirs, alone)})
    return found


def _of_fastest(spent: Times, theirs: Times, alone: bool) -> float:
    # On a busy machine the fastest call is the one that was disturbed least.
    stage = 'network' if alone else 'call'
    return round(min(spent.stages[stage]) / min(theirs.stages[stage]), 3)


def machine() -> dict:
    """Return what the figures were measured on."""
    flags = ''
    if Path('/proc/cpuinfo').is_file():
        flags = next((line for line in Path('/proc/cpuinfo').read_text().splitlines()
                      if line.startswith('flags')), '')
    widest = next((name for flag, name in (
        ('avx512_vnni', 'AVX-512 with VNNI'), ('avx512f', 'AVX-512'), ('avx2', 'AVX2'),
        ('asimd', 'NEON')) if f' {flag}' in flags), 'unknown')
    return {'processor': processor(), 'cores': len(os.sched_getaffinity(0)), 'vectors': widest,
            'load_before': round(os.getloadavg()[0], 2)}


def versions() -> dict[str, str]:
    """Return the versions of what was measured."""
    from importlib.metadata import PackageNotFoundError, version
    found = {}
    for name in ('ssd_perception', 'torch', 'torchvision', 'onnxruntime', 'openvino',
                 'ultralytics', 'opencv-python-headless', 'numpy'):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def network_gflop(weights: str) -> float | None:
    """Return the network's arithmetic for one picture, in 1e9 additions and multiplications."""
    try:
        import torch
        from torch.utils.flop_counter import FlopCounterMode

        from ssd_perception.inference.resolve import resolve_weights
        from ssd_perception.model.weights import load_model
        model, metadata = load_model(resolve_weights(weights))
    except (ImportError, ValueError):  # without torch, or an exported file
        return None
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        model(torch.zeros(1, 3, *metadata.architecture.input_hw))
    return counter.get_total_flops() / 1e9
