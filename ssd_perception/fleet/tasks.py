"""Run one task for each recording, one after the other or on Ray; a failure costs only its own."""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from tqdm import tqdm

from ssd_perception.core.errors import UserError, describe_os_error
from ssd_perception.core.text import one_line, printable

LOCAL = 'local'  # Ray on this machine
# A worker can die of the machine, such as by a lack of memory; a recording that kills one each
# time must not keep the others waiting.
_RETRIES = 3
_ANSWERS_WITHIN_S = 10.0
_OBJECT_STORE_BYTES = 128 << 20  # results lie in files; Ray would reserve a third of the memory


@dataclass(frozen=True)
class Task:
    """What to do with one recording.

    Attributes:
        name: the recording's.
        size: its bytes, for the time that is left.
        work: does it, and leaves its results in files. It and its arguments can be pickled, and
            done twice it gives the same files: a worker may die at any time.
    """

    name: str
    size: int
    work: Callable[[], object]


def run_tasks(tasks: Sequence[Task], verb: str, ray: str = '', cores: int = 1,
              gpus: float = 0) -> dict[str, str]:
    """Run all; a progress bar is drawn in a terminal, and each failure gets a line on stderr.

    Args:
        verb: whose tasks they are.
        ray: empty runs one after the other; ``LOCAL`` starts Ray on this machine; else the
            address of a cluster whose machines see the same files by the same paths.
        cores, gpus: that a task takes, on Ray.

    Returns:
        Name -> why it failed, in one sentence; of those that failed.

    Raises:
        UserError: when Ray cannot be started.
        ModuleNotFoundError: when it is not installed.
    """
    failures: dict[str, str] = {}
    outcomes = _on_ray(tasks, ray, cores, gpus) if ray else _here(tasks)
    with tqdm(total=sum(task.size for task in tasks), unit='B', unit_scale=True,
              desc=f'{verb} 0/{len(tasks)}', disable=not sys.stderr.isatty()) as bar:
        for number, (task, failure) in enumerate(outcomes, 1):
            if failure:
                failures[task.name] = failure
                tqdm.write(f'{printable(task.name)}: {printable(failure, 1000)}', file=sys.stderr)
            bar.set_description(f'{verb} {number}/{len(tasks)}')
            bar.update(task.size)
    return failures


def attempt(work: Callable[[], object]) -> str:
    """Do it; return why it failed in one sentence, or nothing."""
    try:
        work()
    except UserError as error:
        return one_line(error, 1000)
    except OSError as error:
        return one_line(describe_os_error(error), 1000)
    except Exception as error:  # a defect met by one recording must not end all
        return f'{type(error).__name__}: {one_line(error, 1000)}'
    return ''


def _here(tasks: Sequence[Task]) -> Iterator[tuple[Task, str]]:
    for task in tasks:
        yield task, attempt(task.work)


def _on_ray(tasks: Sequence[Task], address: str, cores: int,
            gpus: float) -> Iterator[tuple[Task, str]]:
    """Yield each task as it ends, and why it failed."""
    import ray

    if not tasks:
        return
    _check_reachable(address)
    local: dict[str, Any] = {} if address != LOCAL else {
        'num_cpus': max(cores, len(os.sched_getaffinity(0))), 'include_dashboard': False,
        'object_store_memory': _OBJECT_STORE_BYTES}
    try:
        ray.init(address=address, log_to_driver=False, logging_level='ERROR', **local)
    except (ConnectionError, RuntimeError, ValueError) as error:
        raise UserError(f'Ray cannot be started at {address}: {one_line(error)}') from error
    try:
        if address == LOCAL:  # a cluster may start larger machines when they are asked for
            _check_size(ray.nodes(), address, cores, gpus)
        remote = ray.remote(attempt).options(num_cpus=cores, num_gpus=gpus, max_retries=_RETRIES)
        waiting = {remote.remote(task.work): task for task in tasks}
        while waiting:
            (ended,), _ = ray.wait(list(waiting), num_returns=1)
            try:
                failure = ray.get(ended)
            except ray.exceptions.RayError as error:
                failure = (f'Ray could not run it, in up to {_RETRIES + 1} attempts '
                           f'({type(error).__name__}: {one_line(error, 300)})')
            yield waiting.pop(ended), failure
    finally:
        ray.shutdown()  # also ends what still runs


def _check_reachable(address: str) -> None:
    """Raise UserError where nothing listens at ``HOST:PORT``: Ray would try for minutes."""
    host, _, port = address.removeprefix('ray://').rpartition(':')
    if not host or not port.isdigit():
        return  # "local", "auto"
    try:
        socket.create_connection((host.strip('[]'), int(port)), _ANSWERS_WITHIN_S).close()
    except (OSError, OverflowError) as error:
        raise UserError(f'Ray does not answer at {address} ({one_line(error)}); give the address '
                        'that "ray start --head" prints.') from error


def _check_size(machines: Sequence[dict[str, Any]], address: str, cores: int,
                gpus: float) -> None:
    """Raise UserError for a task that fits none of Ray's machines: it would wait for ever."""
    for name, unit, wanted in (('cores', 'CPU', cores), ('GPUs', 'GPU', gpus)):
        most = max((machine['Resources'].get(unit, 0) for machine in machines
                    if machine['Alive']), default=0)
        if wanted > most:
            raise UserError(f'A task takes {wanted:g} {name}, and no machine of Ray at {address} '
                            f'has more than {most:g}; lower --threads and --workers, or give '
                            '--device cpu.')
