"""Several processes as one: device, rank, and what they exchange."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch
from torch import Tensor, distributed, nn
from torch.distributed.constants import default_pg_timeout
from torch.distributed.rendezvous import rendezvous

from trainer.rendezvous import meet


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
        _join(process)
    try:
        yield
    finally:
        if distributed.is_initialized():
            distributed.destroy_process_group()


def _join(process: Process) -> None:
    backend = "cpu:gloo,cuda:nccl" if process.device.type == "cuda" else "gloo"
    with _exchange(process):
        store, rank, world = next(rendezvous("env://"))
        met = meet(store, rank, world, default_pg_timeout.total_seconds())
        distributed.init_process_group(backend, store=met, rank=rank, world_size=world)


def choose_device(device: str, local_rank: int = 0) -> torch.device:
    """auto is CUDA where there is one. Raises ValueError if CUDA is asked for in vain."""
    if device == "cuda" and not torch.cuda.is_available():
        raise ValueError("device: cuda was asked for, but no CUDA device is available; use auto or cpu")
    if device == "cpu" or not torch.cuda.is_available():
        return torch.device("cpu")
    if local_rank >= torch.cuda.device_count():
        raise ValueError(f"more processes on this host than its {torch.cuda.device_count()} CUDA devices")
    return torch.device("cuda", local_rank)


def make_deterministic(deterministic: bool) -> None:
    """Equal bits from equal input on a GPU too; on a CPU they are anyway."""
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # cuBLAS asks for it
    torch.use_deterministic_algorithms(deterministic)


class Place(NamedTuple):
    """This process among those of its host."""

    host: int = 0
    rank: int = 0
    world: int = 1


def find_place(process: Process) -> Place:
    """As torchrun tells it; processes that something else started count as a host each."""
    if process.world == 1 or "GROUP_RANK" not in os.environ:
        return Place(host=process.rank)
    return Place(*(int(os.environ[name]) for name in ("GROUP_RANK", "LOCAL_RANK", "LOCAL_WORLD_SIZE")))


def gather(values: list[Any], process: Process) -> list[Any]:
    """The lists of all processes joined, on every one of them."""
    if process.world == 1:
        return values
    parts: list[list[Any]] = [[] for _ in range(process.world)]
    with _exchange(process):
        distributed.all_gather_object(parts, values)
    return [value for part in parts for value in part]


def mean(values: Tensor, process: Process) -> Tensor:
    """The mean over all processes, elementwise."""
    return add_up(values, process) / process.world


def total_weight(weight: float, process: Process) -> float | Tensor:
    """The sum of the processes' weights, on the device, which is not waited for; of one, its number."""
    if process.world == 1:
        return weight
    return add_up(torch.full((), weight, device=process.device), process)


def average_gradients(model: nn.Module, total: float | Tensor, process: Process, bf16: bool) -> None:
    """Every trained parameter's gradient, a sum of this process, becomes a mean over all, in one exchange.

    `total`: weight of all that was summed, of which the mean is taken. `bf16`: gradients travel, and are
    added, in bfloat16. By hand rather than by DistributedDataParallel, whose hooks serve one forward pass per
    backward pass: a step here may draw several samples, and differentiate a gradient penalty.
    """
    gradients = [p.grad for p in model.parameters() if p.grad is not None]
    if process.world == 1:
        if total != 1:
            torch._foreach_div_(gradients, total)
        return
    flat = torch.cat([gradient.flatten() for gradient in gradients]) / total
    flat = flat.bfloat16() if bf16 else flat
    add_up(flat, process)
    for gradient, part in zip(gradients, flat.split([g.numel() for g in gradients]), strict=True):
        gradient.copy_(part.view_as(gradient))


def highest(number: int, process: Process) -> int:
    """The highest of all processes' numbers; all of them must ask. Waits for no GPU."""
    if process.world == 1:
        return number
    numbers = torch.tensor(number)
    with _exchange(process):
        distributed.all_reduce(numbers, distributed.ReduceOp.MAX)  # on a CPU, so by gloo
    return int(numbers)


def add_up(values: Tensor, process: Process) -> Tensor:
    """Replaced by their sum over all processes, elementwise."""
    if process.world > 1:
        with _exchange(process):
            distributed.all_reduce(values)
    return values


@contextmanager
def _exchange(process: Process) -> Iterator[None]:
    """Raises ConnectionError if the block can't reach all processes."""
    try:
        yield
    except RuntimeError as error:  # of gloo as of NCCL
        raise ConnectionError(
            f"process {process.rank} of {process.world} can't reach the others, of which one was lost or "
            f"failed ({str(error).partition('. ')[0]}); the same command goes on from the last "
            "checkpoint, and torchrun --max-restarts=N does so by itself"
        ) from error
