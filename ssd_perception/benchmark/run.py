"""The use-case behind ``ssd_perception benchmark``: time entries, or the node under load."""

from __future__ import annotations

import datetime
import json
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tqdm import tqdm

from ssd_perception.benchmark import baselines, entries, figures, memory
from ssd_perception.benchmark.document import document
from ssd_perception.benchmark.images import load_images
from ssd_perception.benchmark.layers import layer_times
from ssd_perception.benchmark.plot import plot
from ssd_perception.benchmark.results import (
    Benchmark,
    BenchmarkRow,
    CamerasBenchmark,
    LayerTime,
    MeasuredAp,
    Method,
    NodeBenchmark,
    StartBenchmark,
)
from ssd_perception.benchmark.rounds import run_rounds
from ssd_perception.core.atomic_write import atomic_write
from ssd_perception.core.errors import SettingError
from ssd_perception.core.format import from_json, to_json
from ssd_perception.data.layout import read_split
from ssd_perception.evaluation.accuracy import evaluate
from ssd_perception.inference.detector import Detector

RESULTS, NODE_RESULTS, PLOT = 'benchmark.json', 'node.json', 'latency_ap.png'
CAMERAS_RESULTS, START_RESULTS = 'cameras.json', 'start.json'
IMPORTED = 'imported.json'  # a benchmark.json of imported weights, put there by hand


@dataclass(frozen=True)
class BenchmarkOptions:
    """What to time.

    Attributes:
        weights: paths or names.
        runtimes, precisions: all pairs are timed that can be used here.
        device: ``cpu`` or ``cuda``.
        threads: CPU threads of every entry; None for all cores.
        baselines: also time detectors of torchvision, and YOLO11n where it is installed.
        images: folder of images; None for drawn ones.
        rounds, calls: rounds, and timed calls of each entry in a round.
        data: labelled images to measure average precision on, split val; None measures none.
        out: folder for the results.
    """

    weights: Sequence[str] = ('rover',)
    runtimes: Sequence[str] = ('torch', 'onnxruntime', 'openvino', 'opencv')
    precisions: Sequence[str] = ('fp32', 'int8')
    device: str = 'cpu'
    threads: int | None = None
    baselines: bool = False
    images: Path | None = None
    rounds: int = 20
    calls: int = 3
    data: Path | None = None
    out: Path = Path('benchmark')

    def __post_init__(self) -> None:
        for name in ('rounds', 'calls'):
            if getattr(self, name) < 1:
                raise SettingError(f'--{name} must be at least 1, got {getattr(self, name)}.')

    def command(self) -> str:
        """Return how to measure the same again; names of files only, no places of this machine."""
        return ' '.join([
            'ssd_perception benchmark --weights', *(Path(w).name for w in self.weights),
            *(['--baselines'] if self.baselines else []),
            *(['--pictures', self.images.name] if self.images else []),
            *(['--data', self.data.resolve().name.upper()] if self.data else []),
            *(['--threads', str(self.threads)] if self.threads else []),
            *(['--device', self.device] if self.device != 'cpu' else []),
            '--runtimes', *self.runtimes, '--precisions', *self.precisions,
            '--rounds', str(self.rounds), '--calls', str(self.calls)])


@dataclass(frozen=True)
class NodeOptions:
    """What to send through the node.

    Attributes:
        weights: path or name.
        rates: of the camera, Hz.
        seconds: of each case, at least 3.
        threads: CPU threads of the network; 0 for the node's default.
        out: folder for the results.
        cameras: how many cameras one node gets, in turn; empty measures a single camera with
            images of several sizes.
        nodes: how many nodes of one camera each to measure beside that, in turn.
        precision: of the network, with ``cameras``.
    """

    weights: str = 'rover'
    rates: Sequence[float] = (10.0, 30.0, 60.0)
    seconds: float = 8.0
    threads: int = 0
    out: Path = Path('benchmark')
    cameras: Sequence[int] = ()
    nodes: Sequence[int] = ()
    precision: str = 'int8'

    def __post_init__(self) -> None:
        if min(self.rates) <= 0 or self.seconds < 3:
            raise SettingError('--rates must be above 0 and --seconds at least 3.')
        if min([*self.cameras, *self.nodes], default=1) < 1:
            raise SettingError('--cameras and --nodes must be at least 1.')
        if self.nodes and not self.cameras:
            raise SettingError('--nodes needs --cameras.')

    def command(self) -> str:
        """Return how to measure the same again."""
        return ' '.join([
            'ssd_perception benchmark --node',
            *(['--weights', Path(self.weights).name] if self.weights != 'rover' else []),
            *(['--threads', str(self.threads)] if self.threads else []),
            *(['--cameras', *map(str, self.cameras)] if self.cameras else []),
            *(['--nodes', *map(str, self.nodes)] if self.nodes else []),
            *(['--precisions', self.precision] if self.cameras else []),
            '--rates', *(f'{rate:g}' for rate in self.rates), '--seconds', f'{self.seconds:g}'])


def run(options: BenchmarkOptions, log: Callable[[str], object] = lambda line: None) -> Benchmark:
    """Time all entries; write benchmark.json and a plot.

    Args:
        log: called with one sentence about each entry that is left out.

    Raises:
        UserError: for weights, images or data that cannot be used.
    """
    threads = options.threads or len(os.sched_getaffinity(0))
    machine = figures.machine()
    images = load_images(options.images)
    found = [entry for weights in options.weights for entry in entries.own(
        weights, options.runtimes, options.precisions, options.device, threads, log,
        figures.network_gflop(weights))]
    if not found:
        raise SettingError('None of the runtimes and precisions asked for can be used here; '
                           'install a runtime, see docs/deploying.md.')
    if options.baselines:
        assert found[0].detector is not None  # an own entry
        found += baselines.torchvision_baselines(len(found[0].detector.class_names))
        found += baselines.yolo_baselines(options.runtimes, threads, log)
    found.append(entries.peak(threads))
    with tqdm(total=options.rounds * len(found), desc='benchmark', unit='entry') as bar:
        def timed(name: str) -> None:
            bar.set_postfix_str(name)
            bar.update()
        times = run_rounds(found, images, options.rounds, options.calls, timed)
    rows = [figures.row_of(entry, each) for entry, each in zip(found, times)]
    rows = [_with_memory_and_accuracy(row, entry.detector, options, threads) for row, entry in
            zip(rows, tqdm(found, 'memory and accuracy', unit='entry'))]
    results = Benchmark(
        datetime.date.today().isoformat(), options.command(), machine, figures.versions(),
        Method(max(len(each.rounds) for each in times), options.calls, '640x480', threads), rows,
        _layers(found, threads), figures.ratios(found, times))
    _write(options.out / RESULTS, results)
    plot(results, options.out / PLOT)
    return results


def run_node(options: NodeOptions) -> NodeBenchmark:
    """Run the node between a camera process and a listener; write node.json.

    Raises:
        ProcessFailed: see ``through_node.measure_node``.
    """
    from ssd_perception.benchmark.through_node import measure_node  # needs ROS

    results = measure_node(options.weights, options.rates, options.seconds, options.threads,
                           options.command())
    _write(options.out / NODE_RESULTS, results)
    return results


def run_cameras(options: NodeOptions) -> CamerasBenchmark:
    """Run many cameras through one node, and through a node each; write cameras.json.

    Raises:
        ProcessFailed: see ``many_cameras.measure_cameras``.
    """
    from ssd_perception.benchmark.many_cameras import measure_cameras  # needs ROS

    layouts = [*((1, count) for count in options.cameras),
               *((count, count) for count in options.nodes)]
    results = measure_cameras(options.weights, options.precision, layouts, options.rates,
                              options.seconds, options.threads, options.command())
    _write(options.out / CAMERAS_RESULTS, results)
    return results


def write_document(page: Path, folder: Path) -> None:
    """Write the page of the results in ``folder``."""
    def read(kind: type, name: str) -> Any:
        path = folder / name
        return from_json(kind, json.loads(path.read_text())) if path.is_file() else None

    drawn = folder / PLOT
    page.write_text(document(
        from_json(Benchmark, json.loads((folder / RESULTS).read_text())),
        read(NodeBenchmark, NODE_RESULTS),
        os.path.relpath(drawn, page.parent) if drawn.is_file() else '',
        read(Benchmark, IMPORTED), read(CamerasBenchmark, CAMERAS_RESULTS),
        read(StartBenchmark, START_RESULTS)))


def lines(results: Benchmark | NodeBenchmark | CamerasBenchmark) -> Iterator[str]:
    """Yield the figures for a terminal."""
    if isinstance(results, CamerasBenchmark):
        for many in results.cases:
            yield (f'{many.nodes} node(s), {many.cameras} camera(s) {many.transport:4s} '
                   f'{many.rate_hz:g} Hz: {many.answers_per_s:6.1f} answers/s, least '
                   f'{many.least_per_s:5.1f}, age p50 {many.age_ms.p50:6.1f} p95 '
                   f'{many.age_ms.p95:6.1f} ms, CPU {100 * many.cpu:.0f} % + cameras '
                   f'{100 * many.cameras_cpu:.0f} % + listener {100 * many.listener_cpu:.0f} %, '
                   f'RSS {many.rss_mb:.0f} PSS {many.pss_mb:.0f} MB, lost {many.lost}')
        return
    if isinstance(results, NodeBenchmark):
        for case in results.cases:
            yield (f'{case.image:10s} {case.transport:4s} {case.rate_hz:4.0f} Hz: age p50 '
                   f'{case.age_ms.p50:6.1f} p95 {case.age_ms.p95:6.1f} ms, '
                   f'{case.answers_per_s:5.1f} answers/s, network {case.network_ms:5.1f} ms, '
                   f'rest {case.rest_ms:5.2f} ms, CPU {100 * case.cpu:.0f} %, '
                   f'{case.memory_mb:.0f} MB')
        return
    for row in results.entries:
        yield (f'{row.name:48s} p50 {row.ms["call"].p50:8.2f} ms   '
               f'p95 {row.ms["call"].p95:8.2f} ms')
    for each in results.ratios:
        yield f'{each.of} : {each.to} ({each.what}) = {each.ratio:.3f}'


def _with_memory_and_accuracy(row: BenchmarkRow, detector: Detector | None,
                              options: BenchmarkOptions, threads: int) -> BenchmarkRow:
    if detector is None:
        return row
    facts = row.facts
    ap = None
    if options.data and facts.trained:
        found = evaluate(detector, read_split(options.data, 'val'))
        ap = MeasuredAp(f'{options.data.resolve().name} val', found.voc10_ap50, found.coco_ap)
    return replace(row, ap=ap, memory_mb=memory.peak_mb(
        str(detector.path), facts.runtime, facts.precision, options.device, threads))


def _layers(found: Sequence[entries.Entry], threads: int) -> dict[str, list[LayerTime]]:
    return {entry.facts.weights: layer_times(entry.detector.path, threads) for entry in found
            if entry.detector and entry.detector.path and entry.facts.runtime == 'openvino'}


def _write(path: Path, results: Benchmark | NodeBenchmark | CamerasBenchmark) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    atomic_write(path, (json.dumps(to_json(results), indent=1) + '\n').encode())
