"""The processes that train together: started by torchrun, joined by torch.distributed."""

from __future__ import annotations

import datetime
import os
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import distributed, nn
from torch.nn.parallel import DistributedDataParallel

from ssd_perception.core.errors import UserError

# Between two signs of life of a process, and after which a silent process counts as lost.
BEAT_S = 5.0
SILENT_S = 40.0
# Rank 0 measures accuracy while the others wait for it at the next step.
PATIENCE = datetime.timedelta(hours=2)


@dataclass(frozen=True)
class World:
    """This process among all; ``World()`` is one alone.

    Attributes:
        rank: 0 writes files and logs, the others only compute.
        size: number of processes, over all machines.
    """

    rank: int = 0
    size: int = 1

    @classmethod
    def from_environment(cls, device: torch.device) -> World:
        """Join the others if torchrun started this process, else be alone.

        Args:
            device: what this process computes on; CUDA is joined by NCCL, the CPU by Gloo.

        Raises:
            UserError: when the processes cannot reach each other.
        """
        if 'WORLD_SIZE' not in os.environ or int(os.environ['WORLD_SIZE']) == 1:
            return cls()
        if not distributed.is_initialized():
            try:
                distributed.init_process_group('nccl' if device.type == 'cuda' else 'gloo',
                                               timeout=PATIENCE)
            except RuntimeError as error:
                raise UserError(
                    'The processes cannot reach each other: set GLOO_SOCKET_IFNAME (with CUDA '
                    'NCCL_SOCKET_IFNAME) on each machine to the network interface that leads to '
                    'the others.') from error
            watch_others(distributed.get_rank(), distributed.get_world_size())
        return cls(distributed.get_rank(), distributed.get_world_size())

    @property
    def main(self) -> bool:
        """Whether this process is the one that writes and logs."""
        return self.rank == 0

    def sum(self, values: torch.Tensor) -> torch.Tensor:
        """Return the sum of a tensor over all processes."""
        if self.size > 1:
            values = values.clone()
            distributed.all_reduce(values)
        return values

    def share(self, data: bytes) -> bytes:
        """Return the main process's ``data``; the others' own is ignored."""
        if self.size == 1:
            return data
        device = 'cuda' if distributed.get_backend() == 'nccl' else 'cpu'
        length = torch.tensor([len(data)], device=device)
        distributed.broadcast(length, 0)
        content = torch.empty(int(length), dtype=torch.uint8, device=device)
        if self.main and data:
            content.copy_(torch.frombuffer(bytearray(data), dtype=torch.uint8))
        distributed.broadcast(content, 0)
        return content.cpu().numpy().tobytes()

    def wrap(self, model: nn.Module, device: torch.device) -> nn.Module:
        """Return a module that averages gradients over the processes in its backward pass."""
        if self.size == 1:
            return model
        if device.type == 'cuda':  # the only device its kernels exist for
            model = nn.SyncBatchNorm.convert_sync_batchnorm(model)
        return DistributedDataParallel(
            model, device_ids=[device] if device.type == 'cuda' else None)

    def wait(self) -> None:
        """Wait for all processes, so that none ends while another one computes its last step."""
        if self.size > 1:
            distributed.barrier()

    def leave(self) -> None:
        """Leave the group of processes; a process alone has none to leave."""
        if self.size > 1 and distributed.is_initialized():
            _left.set()
            distributed.destroy_process_group()


def local_device(device: str) -> torch.device:
    """Return ``device``, the process's own GPU of several under torchrun."""
    if device == 'cuda':
        own = torch.device('cuda', int(os.environ.get('LOCAL_RANK', 0)))
        torch.cuda.set_device(own)  # or NCCL would take the first one for every process
        return own
    return torch.device(device)


_left = threading.Event()


class Pulses:
    """When each of the other processes last gave a sign of life.

    A host that loses its power or its network closes no connection, and the others would wait for
    its gradients for ``PATIENCE``.

    Args:
        rank: this process's.
        size: the number of processes.
        clock: seconds of a steady clock.
    """

    def __init__(self, rank: int, size: int, clock: Callable[[], float] = time.monotonic):
        self._rank, self._clock = rank, clock
        self._heard = dict.fromkeys(set(range(size)) - {rank}, (b'', clock()))

    def exchange(self, store: distributed.Store, beat: int) -> None:
        """Leave a sign of life in the store, and look for the others'; blocks without network."""
        store.set(_key(self._rank), str(beat))
        for other, (before, _) in self._heard.items():
            if store.check([_key(other)]) and (found := store.get(_key(other))) != before:
                self._heard[other] = found, self._clock()

    def lost(self) -> list[int]:
        """Return the ranks that gave no sign for ``SILENT_S``."""
        now = self._clock()
        return [rank for rank, (_, at) in self._heard.items() if now - at > SILENT_S]


def _key(rank: int) -> str:
    return f'ssd_perception/{os.environ.get("TORCHELASTIC_RESTART_COUNT", 0)}/alive/{rank}'


def watch_others(rank: int, size: int) -> None:
    """End this process with one sentence when another one is lost; torchrun then ends the rest."""
    # A connection of its own: torch's may be busy waiting.
    store = distributed.TCPStore(os.environ['MASTER_ADDR'], int(os.environ['MASTER_PORT']),
                                 is_master=False, wait_for_workers=False)
    pulses = Pulses(rank, size)
    _left.clear()

    def beat() -> None:
        count = 0
        try:
            while not _left.wait(BEAT_S if count else 0):
                count += 1
                pulses.exchange(store, count)
        except RuntimeError:  # the store's host is lost, and with it every other sign
            pass

    def judge() -> None:
        while not _left.wait(1.0):
            lost = pulses.lost()
            if lost and not _left.is_set():
                print(f'Nothing was heard of process {", ".join(map(str, lost))} of {size} for '
                      f'{SILENT_S:.0f} s: its machine, or the network to it, is lost. Start all '
                      'again with --resume.', file=sys.stderr, flush=True)
                os._exit(1)  # the main thread waits for the lost one

    for task in (beat, judge):
        threading.Thread(target=task, name=task.__name__, daemon=True).start()
