"""The processes that train together: started by torchrun, joined by torch.distributed."""

from __future__ import annotations

import datetime
import os
from dataclasses import dataclass

import torch
from torch import distributed, nn
from torch.nn.parallel import DistributedDataParallel


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
        """
        if 'WORLD_SIZE' not in os.environ or int(os.environ['WORLD_SIZE']) == 1:
            return cls()
        if not distributed.is_initialized():
            # Rank 0 measures accuracy while the others wait for it at the next step.
            distributed.init_process_group('nccl' if device.type == 'cuda' else 'gloo',
                                           timeout=datetime.timedelta(hours=2))
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
            distributed.destroy_process_group()


def local_device(device: str) -> torch.device:
    """Return ``device``, the process's own GPU of several under torchrun."""
    if device == 'cuda':
        own = torch.device('cuda', int(os.environ.get('LOCAL_RANK', 0)))
        torch.cuda.set_device(own)  # or NCCL would take the first one for every process
        return own
    return torch.device(device)
