"""Several processes as one: device, rank, and what they exchange."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch
from torch import Tensor, distributed, nn


class Process(NamedTuple):
    """This process among those that torchrun started, or the only one."""

    device: torch.device
    rank: int = 0
    world: int = 1

    @property
    def main(self) -> bool:
        return self.rank == 0


def find_process(device: str) -> Process:
    """Who this process is. `device`: auto, cuda or cpu."""
    local_rank = int(os.environ.get("LOCAL_RANK", 0))
    return Process(
        choose_device(device, local_rank),
        int(os.environ.get("RANK", 0)),
        int(os.environ.get("WORLD_SIZE", 1)),
    )


@contextmanager
def group(process: Process) -> Iterator[None]:
    """Joined with the other processes, if torchrun started several, while the block runs."""
    if process.device.type == "cuda":
        torch.cuda.set_device(process.device)
    if process.world > 1:
        distributed.init_process_group("nccl" if process.device.type == "cuda" else "gloo")
    try:
        yield
    finally:
        if distributed.is_initialized():
            distributed.destroy_process_group()


def choose_device(device: str, local_rank: int = 0) -> torch.device:
    """auto is CUDA where there is one. Raises ValueError if CUDA is asked for in vain."""
    if device == "cuda" and not torch.cuda.is_available():
        raise ValueError("device: cuda was asked for, but no CUDA device is available; use auto or cpu")
    if device == "cpu" or not torch.cuda.is_available():
        return torch.device("cpu")
    if local_rank >= torch.cuda.device_count():
        raise ValueError(f"more processes on this host than its {torch.cuda.device_count()} CUDA devices")
    return torch.device("cuda", local_rank)


class Place(NamedTuple):
    """This process among those of its host."""

    host: int = 0
    rank: int = 0
    world: int = 1


def find_place(process: Process) -> Place:
    """As torchrun tells it; where something else started the processes, each counts as a host."""
    if process.world == 1 or "GROUP_RANK" not in os.environ:
        return Place(host=process.rank)
    return Place(*(int(os.environ[name]) for name in ("GROUP_RANK", "LOCAL_RANK", "LOCAL_WORLD_SIZE")))


def gather(values: list[Any], process: Process) -> list[Any]:
    """The lists of all processes joined, on every one of them."""
    if process.world == 1:
        return values
    parts: list[list[Any]] = [[] for _ in range(process.world)]
    distributed.all_gather_object(parts, values)
    return [value for part in parts for value in part]


def mean(values: Tensor, process: Process) -> Tensor:
    """The mean over all processes, elementwise."""
    if process.world > 1:
        distributed.all_reduce(values)
        values = values / process.world
    return values


def average_gradients(model: nn.Module, process: Process) -> None:
    """Every trained parameter's gradient becomes its mean over all processes, in one exchange.

    By hand rather than by DistributedDataParallel, whose hooks serve one forward pass per backward pass: a
    step here may draw several samples, and differentiate a gradient penalty.
    """
    if process.world == 1:
        return
    gradients = [p.grad for p in model.parameters() if p.grad is not None]
    flat = torch.cat([gradient.flatten() for gradient in gradients])
    distributed.all_reduce(flat)
    flat /= process.world
    for gradient, part in zip(gradients, flat.split([g.numel() for g in gradients]), strict=True):
        gradient.copy_(part.view_as(gradient))


def any_true(flag: bool, process: Process) -> bool:
    """Whether the flag is set on any process; all of them must ask."""
    if process.world == 1:
        return flag
    flags = torch.tensor(float(flag), device=process.device)
    distributed.all_reduce(flags)
    return bool(flags > 0)
