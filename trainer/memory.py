"""Memory: what a process holds, what a step keeps, and what is left to take."""

import ctypes
import math
import re
import shutil
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

TRIM_THRESHOLD, MMAP_THRESHOLD = -1, -3  # of mallopt, in malloc.h


def keep_freed_memory() -> None:
    """Let glibc reuse what slices and batches leave behind: each page given back costs a fault to get again.

    For this process and those forked from it; another C library is left as it is.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(MMAP_THRESHOLD, 32 * 2**20)  # its highest, which it reaches by itself in time
        mallopt(TRIM_THRESHOLD, 256 * 2**20)


def available_memory() -> int:
    """Bytes that may still be taken without swapping: of the machine, or of the container if it has fewer."""
    told = re.search(r"^MemAvailable:\s+(\d+)", Path("/proc/meminfo").read_text(), re.M)
    assert told, "Linux tells MemAvailable since 3.14"
    return int(min(int(told[1]) * 1024, left_to_group(Path("/sys/fs/cgroup"))))


def left_to_group(group: Path) -> float:
    """Bytes that a container's control group may still take; infinite where it, or what tells it, is not."""
    try:
        limit, used = ((group / f"memory.{name}").read_text().strip() for name in ("max", "current"))
        lines = (group / "memory.stat").read_text().splitlines()
    except OSError:  # not in a container
        return math.inf
    if limit == "max":
        return math.inf
    counts = {name: int(value) for name, value in map(str.split, lines)}
    files = counts["active_file"] + counts["inactive_file"]  # which give way
    return int(limit) - int(used) + files


def free_disk(folder: Path) -> tuple[int, str]:
    """Bytes free where a folder is, or will be, and its whole path."""
    there = next(path for path in (folder.absolute(), *folder.absolute().parents) if path.exists())
    return shutil.disk_usage(there).free, str(folder.absolute())


@contextmanager
def saved_for_backward() -> Iterator[dict[int, int]]:
    """Bytes of each storage that is kept for a gradient while the block runs, by its address."""
    kept: dict[int, int] = {}

    def pack(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        yield kept


class LiveTensors(TorchDispatchMode):
    """Bytes of the tensors that a block makes, while they live; not what operations use in between.

    A CPU's alone, whose gradients are computed in the thread that asks for them.
    """

    def __init__(self) -> None:
        super().__init__()
        self.now = self.most = 0
        self.storages: dict[int, weakref.ref] = {}

    def __torch_dispatch__(
        self, operation: Any, types: Any, arguments: tuple = (), options: dict | None = None
    ) -> Any:
        result = operation(*arguments, **(options or {}))
        for tensor in tree_leaves(result):
            if isinstance(tensor, Tensor):
                self._meet(tensor.untyped_storage())
        return result

    def _meet(self, storage: torch.UntypedStorage) -> None:
        address, size = storage._cdata, storage.nbytes()
        if address not in self.storages:
            self.storages[address] = weakref.ref(storage, partial(self._leave, address, size))
            self.now += size
            self.most = max(self.most, self.now)

    def _leave(self, address: int, size: int, _: weakref.ref) -> None:
        del self.storages[address]
        self.now -= size


def most_taken(block: Callable[[], object], device: torch.device) -> int:
    """The most bytes that tensors of a block take while it runs, beside those that were there."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        before = torch.cuda.memory_allocated(device)
        block()
        return torch.cuda.max_memory_allocated(device) - before
    with LiveTensors() as live:
        block()
    return live.most


def held(device: torch.device) -> int:
    """Bytes that this process holds now: on CUDA by tensors, on a CPU resident. Linux alone."""
    return torch.cuda.memory_allocated(device) if device.type == "cuda" else _status("VmRSS")


def peak(device: torch.device) -> int:
    """The most of these bytes since the process began."""
    return torch.cuda.max_memory_allocated(device) if device.type == "cuda" else _status("VmHWM")


def _status(name: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    (line,) = [line for line in lines if line.startswith(f"{name}:")]
    return int(line.split()[1]) * 1024
