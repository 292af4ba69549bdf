"""The least time that a step can take on a machine: what it must move and multiply, over measured rates."""

import time
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import torch
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode
from torch.utils.module_tracker import ModuleTracker

from trainer.benchmark.timing import wait_for

TYPES = {"float32": torch.float32, "bf16": torch.bfloat16}
LONG = 0.02  # seconds of a call beyond which a larger one is no faster
COPIED = 2**28  # bytes, beyond any cache
TRIES = 5

# float32, of a trained parameter: read forward and backward, its gradient written and read, the weight
# read and written with two moments and the average in the optimizer (12 times 4 bytes)
TRAFFIC_PER_PARAMETER = 12 * 4
LEFT_OUT = [
    "arithmetic outside of convolutions and matrix products: Fourier transforms, normalisation, losses",
    "features that are read and written again by every layer, but for those saved for the gradient",
    "clipping of the gradient, launches of kernels, and what two bounds cost that don't overlap",
]


class Rates(NamedTuple):
    """What a device was measured to do at best, alone in its process."""

    bandwidth: float  # bytes per second, read and written, of a large copy
    flops: dict[str, float]  # per second by precision, of the better of a matrix product and a convolution


class Cost(NamedTuple):
    """What must be done for some slices together."""

    fixed_bytes: float  # however many slices there are
    slice_bytes: float
    slice_flops: float


class Floor(NamedTuple):
    """A lower bound of a time."""

    seconds: float
    bound: str  # by bytes or by flops

    @classmethod
    def of(cls, cost: Cost, slices: int, rates: Rates, precision: str) -> "Floor":
        """The longer of moving and multiplying, as if they overlapped entirely."""
        moving = (cost.fixed_bytes + slices * cost.slice_bytes) / rates.bandwidth
        multiplying = slices * cost.slice_flops / rates.flops[precision]
        return cls(max(moving, multiplying), "bytes" if moving > multiplying else "flops")


def measure_rates(device: str, precisions: list[str]) -> dict[str, Any]:
    """The rates of a device, as a dictionary."""
    place = torch.device(device)
    flops = {}
    for precision in precisions:
        kind = TYPES[precision]
        found = {
            "matrix_product": best_rate(partial(_product, kind=kind, device=place), place),
            "convolution": best_rate(partial(_convolution, kind=kind, device=place), place),
        }
        flops[precision] = found
    return {"bandwidth": copy_rate(place), "flops": flops}


def copy_rate(device: torch.device) -> float:
    """Bytes per second that a large copy reads and writes."""
    source = torch.ones(COPIED // 4, device=device)
    target = torch.zeros_like(source)
    return 2 * COPIED / fastest(lambda: target.copy_(source), device)


def best_rate(make: Callable[[int], tuple[Callable[[], object], float]], device: torch.device) -> float:
    """Operations per second of calls that grow until they take long; `make` gives one and its count."""
    size, best, seconds = 1, 0.0, 0.0
    while seconds < LONG:
        call, count = make(size)
        seconds = fastest(call, device)
        best = max(best, count / seconds)
        size *= 2
    return best


def fastest(call: Callable[[], object], device: torch.device) -> float:
    """The shortest of some tries after one: a floor is of the machine undisturbed."""
    durations = []
    for _ in range(TRIES + 1):
        started = time.perf_counter()
        call()
        wait_for(device)
        durations.append(time.perf_counter() - started)
    return min(durations[1:])


def _product(size: int, kind: torch.dtype, device: torch.device) -> tuple[Callable[[], object], float]:
    side = 256 * size
    left, right = (torch.randn(side, side, device=device).to(kind) for _ in range(2))
    return lambda: left @ right, 2 * side**3


def _convolution(size: int, kind: torch.dtype, device: torch.device) -> tuple[Callable[[], object], float]:
    """3 x 3 of 64 features to 64, as in the middle of the networks."""
    features = torch.randn(size, 64, 96, 96, device=device).to(kind, memory_format=torch.channels_last)
    weight = torch.randn(64, 64, 3, 3, device=device).to(kind, memory_format=torch.channels_last)
    return lambda: F.conv2d(features, weight, padding=1), 2 * 9 * 64 * 64 * features[:, 0].numel()


def count_flops(call: Callable[[], object]) -> int:
    """Floating point operations of the convolutions and matrix products of a call, its gradients included."""
    counter = FlopCounterMode(display=False)
    counter.mod_tracker = _NoModules()
    with counter:
        call()
    return counter.get_total_flops()


class _NoModules(ModuleTracker):
    """All together, none by itself: the hooks for that bear no gradient penalty, differentiated twice."""

    def __enter__(self) -> "_NoModules":
        return self

    def __exit__(self, *args: object) -> None:
        pass
