"""How fast a training goes: a few real steps, and the loader by itself."""

from functools import partial
from typing import Any

import torch

from config.load import changed
from config.schema import Config
from fastmri.volumes import Volume
from trainer.benchmark.breakdown import Watch
from trainer.benchmark.throughput import ENDLESS
from trainer.benchmark.timing import LEAST, WARMUP, time_calls, wait_for
from trainer.data import training_loader
from trainer.distributed import Process
from trainer.state import make_state
from trainer.step import train_step


def measure_pace(config: Config, volumes: list[Volume], device: str, seconds: float) -> dict[str, Any]:
    """`step`, the median seconds of one; `waiting`, the part of it that waits for data; `read`, slices/s."""
    config = changed(config, train={"steps": ENDLESS})
    process = Process(torch.device(device))
    return {
        "read": reading_rate(config, volumes, process, seconds),
        **step_seconds(config, volumes, process, seconds),
    }


def reading_rate(config: Config, volumes: list[Volume], process: Process, seconds: float) -> float:
    """Slices per second of the loader alone, once what it reads ahead is used up."""
    batches = iter(training_loader(config, volumes, process))
    workers = config.data.num_workers
    timing = time_calls(
        lambda: next(batches),
        seconds=seconds,
        warmup=1 + 2 * workers,
        together=max(workers, 1),  # whose batches come in bursts
        wait=partial(wait_for, process.device),
    )
    return config.data.batch_size / timing.median


def step_seconds(config: Config, volumes: list[Volume], process: Process, seconds: float) -> dict[str, float]:
    """Steps with the loader, the clock read after each."""
    state = make_state(config, process, pretrained=False)
    warmup = WARMUP if process.device.type == "cuda" else 1  # a CPU's first steps are like the others
    watch = Watch(partial(wait_for, process.device))
    for batches in training_loader(config, volumes, process).steps(config.train.accumulate):
        watch("data wait")
        train_step(state, batches, config, process)
        state.advance(len(batches))
        watch("step")
        if state.step == warmup:
            watch.forget()
        if state.step >= warmup + LEAST and watch.total() >= seconds:
            break
    found = watch.result()
    return {"step": sum(found["ms"].values()) / 1e3, "waiting": found["shares"]["data wait"]}
