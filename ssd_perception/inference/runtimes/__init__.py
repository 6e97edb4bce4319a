"""One module per runtime, imported only when it is chosen; ``open_runtime`` chooses."""

from __future__ import annotations

import ctypes
import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, Protocol, TypeVar

import numpy as np

from ssd_perception.core.errors import SettingError, UserError
from ssd_perception.core.metadata import Metadata


@dataclass(frozen=True)
class Row:
    """One runtime; its module and its extra of setup.py have the name it has in ``RUNTIMES``.

    Attributes:
        kind: name of the class in its module, which keeps the protocol ``Runtime``.
        runs: file it runs: ``weights`` or ``exported``.
        install: what comes behind `pip install`; empty for what every installation has.
        modules: the Python modules that it alone imports.
        auto: device -> place among those that ``auto`` tries, the fastest first; a device that
            is not named is never chosen by ``auto``.
        about: one sentence for docs/deploying.md.
        several: whether it can run several batches at once.
    """

    kind: str
    runs: str
    install: str
    modules: tuple[str, ...]
    auto: Mapping[str, int]
    about: str
    several: bool = False


# docs/deploying.md has the measurement behind the places. To add a runtime: its module, a row
# here, and an extra in setup.py where pip has to install something.
RUNTIMES = {
    'torch': Row('TorchRuntime', 'weights',
                 'torch torchvision (together, so that their builds match)', ('torch',),
                 {'cpu': 3, 'cuda': 1}, 'The network as it was trained.'),
    'onnxruntime': Row('OnnxRuntime', 'exported', 'onnxruntime', ('onnxruntime',),
                       {'cpu': 2, 'cuda': 2},
                       'CPU, and CUDA with the build `onnxruntime-gpu`.'),
    'openvino': Row('OpenVino', 'exported', 'openvino', ('openvino',), {'cpu': 1},
                    'The fastest with two threads or in int8; in fp32 with one, as fast as ONNX '
                    'Runtime. Tested on x86 only.', several=True),
    'opencv': Row('OpenCV', 'exported', '', (), {'cpu': 4},
                  'What is left where only apt installs; fp32 alone.'),
    'tensorrt': Row('TensorRT', 'exported', '"tensorrt<11" cuda-python', ('tensorrt', 'cuda'), {},
                    'Only by name, since building an engine takes minutes; not tested.'),
}
NAMES = ('auto', *RUNTIMES)
DEVICES = ('auto', 'cpu', 'cuda')
PRECISIONS = ('auto', 'fp32', 'fp16', 'bf16', 'int8')


Result = TypeVar('Result')


@dataclass(frozen=True)
class Call(Generic[Result]):
    """A call that runs while its caller does something else.

    Attributes:
        ended: waits for the network, so many seconds at most; returns whether it has run or
            failed.
        result: waits for what the call returns, and raises what it raises.
    """

    ended: Callable[[float], bool]
    result: Callable[[], Result]


class RuntimeUnavailable(UserError, RuntimeError):
    """The runtime, device or precision is not available here; the message says why."""


def auto_order(device: str) -> list[str]:
    """Return the runtimes that ``auto`` tries on ``cpu`` or ``cuda``, the fastest first."""
    places = {name: row.auto[device] for name, row in RUNTIMES.items() if device in row.auto}
    return sorted(places, key=places.__getitem__)


def to_markdown() -> str:
    """Return the table of runtimes in docs/deploying.md."""
    lines = ['| runtime | runs | install | `auto` on the CPU | `auto` on CUDA | |',
             '| --- | --- | --- | --- | --- | --- |']
    for name, row in RUNTIMES.items():
        install = f"`pip install '.[{name}]'`" if row.install else 'with the package'
        lines.append(f'| `{name}` | {row.runs} | {install} '
                     f'| {row.auto.get("cpu", "no")} | {row.auto.get("cuda", "no")} '
                     f'| {row.about} |')
    return '\n'.join(lines) + '\n'


class Runtime(Protocol):
    """A loaded network on one device.

    One that runs several batches at once also has ``concurrency``, their number, and a method
    ``begin(batch)``, which starts what ``__call__`` does and returns it as ``Call``.

    Attributes:
        name: runtime, as in ``NAMES``.
        device: what is really used, for example ``cpu`` or ``cuda:0``.
        precision: ``fp32``, ``fp16``, ``bf16`` or ``int8``.
        threads: CPU threads of the network; None where it runs elsewhere.
        metadata: the weights' own.
        file: what is run, the weights or what was exported from them; None for a network that
            came from no file.
    """

    name: str
    device: str
    precision: str
    threads: int | None
    metadata: Metadata
    file: Path | None

    def __call__(self, batch: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Run (B, H, W, 3) RGB of the input size, in the pixel type of ``metadata``.

        Returns:
            float32 logits (B, A, columns) and deltas (B, A, 4); A and its order are those of
            ``metadata.architecture.make_anchors()``.
        """


def open_runtime(path: Path, name: str, device: str, precision: str,
                 threads: int | None, concurrency: int = 1) -> Runtime:
    """Load the weights at ``path`` in the runtime ``name``.

    Args:
        path: .safetensors, or an exported .onnx file, which torch does not run.
        name: ``auto`` takes the fastest one that is available for the device.
        threads: CPU threads of the network; None leaves the runtime's default.
        concurrency: how many batches are to run at once, in a runtime that can; they share
            ``threads``.

    Raises:
        ValueError: for a name, device or precision that does not exist.
        RuntimeUnavailable: when it exists but not on this machine.
        WeightsError: when the file is not what its name says.
    """
    for what, value, known in (('runtime', name, NAMES), ('device', device, DEVICES),
                               ('precision', precision, PRECISIONS)):
        if value not in known:
            raise SettingError(f'{what} must be one of {", ".join(known)}, got "{value}".')
    if name != 'auto':
        return _open(name, path, device, precision, threads, concurrency)
    reasons = []
    for where in _places(device):
        for candidate in auto_order(where):
            try:
                return _open(candidate, path, where, precision, threads, concurrency)
            except RuntimeUnavailable as error:
                reasons.append(f'{candidate}: {str(error).rstrip(".")}')
    raise RuntimeUnavailable(f'No runtime can be used for {path.name} with device "{device}" and '
                             f'precision "{precision}" ({"; ".join(dict.fromkeys(reasons))}).')


def has_cuda() -> bool:
    """Say whether there is a CUDA device, by asking the driver: torch would take seconds."""
    try:
        driver = ctypes.CDLL('libcuda.so.1')
        count = ctypes.c_int(0)
        return driver.cuInit(0) == 0 and driver.cuDeviceGetCount(ctypes.byref(count)) == 0 \
            and count.value > 0
    except OSError:
        return False


def _places(device: str) -> tuple[str, ...]:
    """Return the devices that ``device`` allows, best first."""
    if device != 'auto':
        return (device,)
    return ('cuda', 'cpu') if has_cuda() else ('cpu',)


def _open(name: str, path: Path, device: str, precision: str, threads: int | None,
          concurrency: int) -> Runtime:
    try:
        module = importlib.import_module(f'{__name__}.{name}')
    except ImportError as error:
        missing = getattr(error, 'name', None) or str(error)
        raise RuntimeUnavailable(
            f'The {name} runtime needs the Python module "{missing}"; install it with '
            f'pip install {RUNTIMES[name].install}.') from error
    options = {'concurrency': concurrency} if RUNTIMES[name].several else {}
    return getattr(module, RUNTIMES[name].kind).load(path, device, precision, threads, **options)
