"""The figures of a benchmark: what benchmark.json and node.json hold, and the pages show."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Facts:
    """What is known of an entry beside its times.

    Attributes:
        runtime, precision, device: of its network.
        weights: their name; empty for other networks.
        input: WIDTHxHEIGHT of the network's input, px, or a word for it.
        trained: False for random weights, whose detections mean nothing.
        score_threshold: detections below it are left out.
        gflop: 1e9 additions and multiplications for one image; None where not counted.
    """

    runtime: str
    precision: str
    device: str = 'cpu'
    weights: str = ''
    input: str = ''
    trained: bool = False
    score_threshold: float | None = None
    gflop: float | None = None


@dataclass(frozen=True)
class Percentiles:
    """Times of a stage, ms."""

    p50: float
    p95: float
    p99: float
    min: float
    mean: float


@dataclass(frozen=True)
class MeasuredAp:
    """Average precision on ``data``, by ``evaluate``."""

    data: str
    voc10_ap50: float
    coco_ap: float


@dataclass(frozen=True)
class BenchmarkRow:
    """The figures of one entry.

    Attributes:
        name, kind, facts: see ``entries.Entry``.
        calls: how many were timed.
        ms: stage -> times; ``call`` is the whole.
        images_per_s: one image at a time; ``images_per_s_batch`` in batches of
            ``rounds.BATCH``, None where it takes none.
        gflop_per_s: of the network's median time, else of the whole call's.
        memory_mb: largest resident memory of a process that only detects.
        ap: accuracy, where it was measured.
    """

    name: str
    kind: str
    facts: Facts
    calls: int
    ms: Mapping[str, Percentiles]
    images_per_s: float
    images_per_s_batch: float | None = None
    gflop_per_s: float | None = None
    memory_mb: float | None = None
    ap: MeasuredAp | None = None


@dataclass(frozen=True)
class Ratio:
    """The time of entry ``of`` divided by that of entry ``to``; below 1 the first is faster.

    Attributes:
        what: ``call`` or ``network``: which times are compared.
        ratio: median over the rounds.
        of_fastest: ratio of the fastest calls; other work on the machine disturbs these least.
    """

    of: str
    to: str
    what: str
    ratio: float
    of_fastest: float


@dataclass(frozen=True)
class LayerTime:
    """All layers of one kind: their arithmetic, and their time in one image, ms."""

    kind: str
    gflop: float
    ms: float


@dataclass(frozen=True)
class Machine:
    """What a benchmark ran on.

    Attributes:
        processor: its name; ``cores`` counts those that the process may use.
        vectors: its widest vector instructions.
        load_before: mean number of running processes in the minute before.
    """

    processor: str
    cores: int
    vectors: str
    load_before: float


@dataclass(frozen=True)
class Method:
    """How the entries were timed: rounds, timed calls in each, size of the image, threads."""

    rounds: int
    calls: int
    image: str
    threads: int


@dataclass(frozen=True)
class Measured:
    """When, how and on what figures were measured.

    Attributes:
        date: ISO.
        command: how to measure the same again.
        versions: library -> version.
    """

    date: str
    command: str
    machine: Machine
    versions: Mapping[str, str]


@dataclass(frozen=True)
class Benchmark(Measured):
    """What ``ssd_perception benchmark`` measured: the content of benchmark.json.

    Attributes:
        layers: weights -> times by kind of layer, the longest first.
        note: what a reader has to know besides, written by hand.
    """

    method: Method
    entries: Sequence[BenchmarkRow]
    layers: Mapping[str, Sequence[LayerTime]] = field(default_factory=dict)
    ratios: Sequence[Ratio] = ()
    note: str = ''

    def of_kind(self, *kinds: str) -> list[BenchmarkRow]:
        """Return the entries of these kinds."""
        return [row for row in self.entries if row.kind in kinds]


@dataclass(frozen=True)
class Ages:
    """Time from an image's stamp to the arrival of its detections, ms."""

    p50: float
    p95: float
    p100: float


@dataclass(frozen=True)
class NodeCase:
    """The node with images of one size and form at one rate.

    Attributes:
        image: WIDTHxHEIGHT, px; ``transport`` is ``raw`` or ``jpeg``; ``rate_hz`` the camera's.
        span_s: duration of the measurement.
        answers: detections that arrived.
        received: images that the node received.
        replaced: images that a newer one replaced before the node looked at them.
        lost: images that did not reach the node.
        stages_ms: stage -> median of the node's diagnostics.
        cpu: of the node; 1 is a whole core.
        memory_mb: resident memory of the node at the end.
    """

    image: str
    transport: str
    rate_hz: float
    span_s: float
    answers: int
    answers_per_s: float
    age_ms: Ages
    received: int
    replaced: int
    lost: int
    stages_ms: Mapping[str, float]
    cpu: float
    memory_mb: float

    @property
    def network_ms(self) -> float:
        """Median time of the network."""
        return self.stages_ms['network']

    @property
    def rest_ms(self) -> float:
        """Sum of the medians of the other stages."""
        return sum(ms for stage, ms in self.stages_ms.items() if stage != 'network')


@dataclass(frozen=True)
class CamerasCase:
    """Images of many cameras through one node, or through a node for each camera.

    Attributes:
        nodes, cameras: how many.
        transport: ``raw`` or ``jpeg``; ``rate_hz`` is that of each camera.
        span_s: measured for so long.
        answers_per_s: of all cameras; ``least_per_s`` of the one with the fewest.
        received, replaced, lost: images, see ``NodeCase``.
        cpu, cameras_cpu, listener_cpu: cores that the nodes, the cameras' process and the
            listener used.
        rss_mb, pss_mb: resident memory of the nodes, and their share of it where memory is shared
            with other processes.
    """

    nodes: int
    cameras: int
    transport: str
    rate_hz: float
    span_s: float
    answers_per_s: float
    least_per_s: float
    age_ms: Ages
    received: int
    replaced: int
    lost: int
    cpu: float
    cameras_cpu: float
    listener_cpu: float
    rss_mb: float
    pss_mb: float

    @property
    def fairness(self) -> float:
        """Answers of the camera with the fewest, as a share of the mean; 1 when all are equal."""
        return self.least_per_s * self.cameras / self.answers_per_s if self.answers_per_s else 0.0


@dataclass(frozen=True)
class CamerasBenchmark(Measured):
    """What ``ssd_perception benchmark --node --cameras`` measured: content of cameras.json.

    Attributes:
        seconds, threads: see ``NodeBenchmark``.
        precision: of the network.
        image: WIDTHxHEIGHT, px.
        note: what a reader has to know besides, written by hand.
    """

    seconds: float
    threads: str
    precision: str
    image: str
    cases: Sequence[CamerasCase]
    note: str = ''


@dataclass(frozen=True)
class StartStage:
    """The end of a stage of the node's start.

    Attributes:
        s: since the process was executed.
        rss_mb, pss_mb: see ``CamerasCase``.
        shm_mb: what of ``rss_mb`` is the middleware's shared memory with the camera's images.
    """

    name: str
    s: float
    rss_mb: float
    pss_mb: float
    shm_mb: float


@dataclass(frozen=True)
class StartBenchmark(Measured):
    """What tools/measure_start.py measured: the content of start.json.

    Attributes:
        precision: of the network.
        starts: warm ones; the figures are their medians.
        stages: ``cold`` and ``warm`` -> stages.
        ratios: what -> value divided by that of the checkout compared with; empty without one.
    """

    precision: str
    starts: int
    stages: Mapping[str, Sequence[StartStage]]
    ratios: Mapping[str, float]


@dataclass(frozen=True)
class NodeBenchmark(Measured):
    """What ``ssd_perception benchmark --node`` measured: the content of node.json.

    Attributes:
        seconds: of each case.
        threads: of the network, in words.
    """

    seconds: float
    threads: str
    cases: Sequence[NodeCase]
