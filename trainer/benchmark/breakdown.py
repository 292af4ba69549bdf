"""Where the time of a training step goes: its parts one after the other, and physics against convolutions."""

import os
import time
from collections import Counter
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.autograd import DeviceType
from torch.profiler import ProfilerActivity, profile, record_function
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from config.schema import Config
from fastmri.dataset import to_device
from fastmri.slices import undersample
from fastmri.volumes import Volume
from trainer.benchmark.throughput import Setting, as_set, make_batch, make_call
from trainer.benchmark.timing import LEAST, WARMUP, summarize, wait_for
from trainer.data import training_loader
from trainer.distributed import Process
from trainer.state import make_state
from trainer.step import train_step

PROFILED = 2  # steps
GROUPS = ("physics", "convolutions", "rest")


def measure_breakdown(
    config: Config, volumes: list[Volume], device: str, setting: Setting, seconds: float
) -> dict[str, Any]:
    """Median milliseconds and shares of the parts of a step, and shares of groups of its operations."""
    process = Process(torch.device(device))
    config = as_set(config, setting, process.device)
    state = make_state(config, process, pretrained=False)
    watch = Watch(partial(wait_for, process.device))
    for drawn in training_loader(config, volumes, process).drawn():
        watch("data wait")
        batch = undersample(to_device(drawn, process.device))
        watch("transfer and mask")  # in a training on CUDA beside the last step, by a stream of its own
        train_step(state, [batch], config, process, watch)
        state.advance(1)
        if state.step == WARMUP:
            watch.forget()
        if state.step >= WARMUP + LEAST and watch.total() >= seconds:
            break
    call = make_call(state, make_batch(config, volumes, process, setting), config, process, setting)
    return {**watch.result(), **profile_groups(call, process.device)}


class Watch:
    """Seconds between marks, by the name of the later one."""

    def __init__(self, wait: Callable[[], None], clock: Callable[[], float] = time.perf_counter):
        self.wait, self.clock = wait, clock
        self.forget()

    def forget(self) -> None:
        """Start anew."""
        self.parts: dict[str, list[float]] = {}
        self.last = self.clock()

    def __call__(self, part: str) -> None:
        self.wait()
        now = self.clock()
        self.parts.setdefault(part, []).append(now - self.last)
        self.last = now

    def total(self) -> float:
        return sum(map(sum, self.parts.values()))

    def result(self) -> dict[str, Any]:
        """Medians in milliseconds, and shares of all time, which add up to one."""
        total = self.total()
        return {
            "steps": min(map(len, self.parts.values())),
            "ms": {name: 1e3 * summarize(found, 0).median for name, found in self.parts.items()},
            "shares": {name: sum(found) / total for name, found in self.parts.items()},
        }


class Grouping(TorchDispatchMode):
    """Names every operation's group to the profiler, and counts which operations a group has."""

    def __init__(self) -> None:
        super().__init__()
        self.counts: dict[str, Counter[str]] = {name: Counter() for name in GROUPS}

    def __torch_dispatch__(
        self, operation: Any, types: Any, arguments: tuple = (), options: dict | None = None
    ) -> Any:
        options = options or {}
        group = group_of(operation.name(), tree_leaves((arguments, options)))
        self.counts[group][operation.name()] += 1
        with record_function(group):
            return operation(*arguments, **options)


def group_of(name: str, arguments: list[object]) -> str:
    """Convolutions by name; physics is whatever transforms, makes or takes complex numbers."""
    if "conv" in name:
        return "convolutions"
    takes = any(x.is_complex() for x in arguments if isinstance(x, Tensor))
    return "physics" if takes or "fft" in name or "complex" in name else "rest"


def profile_groups(call: Callable[[], object], device: torch.device) -> dict[str, Any]:
    """Shares of the groups in the time of all operations: on CUDA of kernels, on a CPU of calls."""
    os.environ.setdefault("KINETO_LOG_LEVEL", "99")  # else the profiler says that it finds no GPU
    cuda = device.type == "cuda"
    activities = [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if cuda else [])]
    grouping = Grouping()
    with profile(activities=activities) as profiled, grouping:
        for _ in range(PROFILED):
            call()
        wait_for(device)
    times = dict.fromkeys(GROUPS, 0.0)
    for event in profiled.events():
        if event.name in GROUPS and event.device_type == DeviceType.CPU:
            times[event.name] += event.device_time_total if cuda else event.cpu_time_total
    total = sum(times.values())
    most = {name: dict(count.most_common(6)) for name, count in grouping.counts.items()}
    return {"groups": {name: found / total for name, found in times.items()}, "operations": most}
