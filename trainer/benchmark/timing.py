"""How long calls take: medians with their spread, warm-up left out."""

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch

WARMUP = 3  # calls that set up libraries, fill caches and, on CUDA, record graphs
LEAST = 3  # durations that a median is of, however long they take


@dataclass(frozen=True)
class Timing:
    """Seconds of a call."""

    median: float
    low: float  # quartiles
    high: float
    count: int
    first: float  # the first call, which sets up and compiles; in none of the others


def time_calls(
    call: Callable[[], object],
    *,
    seconds: float,
    warmup: int = WARMUP,
    together: int = 1,
    wait: Callable[[], None] = lambda: None,
    clock: Callable[[], float] = time.perf_counter,
) -> Timing:
    """Call for about some seconds after the warm-up, `together` times between two looks at the clock.

    `wait` comes back when the device has done what it was given.
    """
    first, *_ = [_duration(call, 1, wait, clock) for _ in range(max(warmup, 1))]
    durations: list[float] = []
    while len(durations) < LEAST or sum(durations) * together < seconds:
        durations.append(_duration(call, together, wait, clock))
    return summarize(durations, first)


def _duration(
    call: Callable[[], object], count: int, wait: Callable[[], None], clock: Callable[[], float]
) -> float:
    started = clock()
    for _ in range(count):
        call()
    wait()
    return (clock() - started) / count


def summarize(durations: list[float], first: float) -> Timing:
    """Median and quartiles."""
    low, median, high = np.quantile(durations, [0.25, 0.5, 0.75]).tolist()
    return Timing(median, low, high, len(durations), first)


def wait_for(device: torch.device) -> None:
    """Come back when the device has done all it was given."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
