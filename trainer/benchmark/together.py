"""How long a call takes that several processes make together."""

import math
import time
from collections.abc import Callable
from functools import partial

import torch

from trainer.benchmark.timing import LEAST, WARMUP, wait_for
from trainer.distributed import Process, mean


def time_together(
    call: Callable[[], object], seconds: float, process: Process, warmup: int = WARMUP, prepared: int = 0
) -> list[float]:
    """Seconds of a call in blocks of calls; every process makes as many, or one would wait for ever.

    `prepared`: calls after the warm-up that find something done for them beforehand. They are left out, but
    no more of them than take as long as what is measured: of calls so slow nothing is gained by it.
    """
    wait = partial(wait_for, process.device)
    _block(call, warmup - 1, wait)
    once = mean(torch.tensor(_block(call, 1, wait), device=process.device), process).item()
    _block(call, min(prepared, int(seconds / once)), wait)
    count = max(1, math.ceil(seconds / LEAST / once))
    return [_block(call, count, wait) for _ in range(LEAST)]


def _block(call: Callable[[], object], count: int, wait: Callable[[], None]) -> float:
    started = time.perf_counter()
    for _ in range(count):
        call()
    wait()
    return (time.perf_counter() - started) / max(count, 1)
