"""One of the processes that `launch` starts: steps of training alone and beside the other, and the exchange.

Run as `python -m torch.distributed.run --nproc-per-node N -m trainer.benchmark.pair FOLDER SECONDS CORES`,
where FOLDER holds config.yaml; the first process leaves what was found there, or whichever fails first leaves
why.
"""

import json
import math
import os
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, distributed, nn

from config.load import load_config
from config.schema import Config
from fastmri.volumes import Volume
from trainer import checkpoint
from trainer.benchmark.isolation import one_line
from trainer.benchmark.scaling import VALUE_BYTES
from trainer.benchmark.timing import WARMUP, summarize, time_calls
from trainer.benchmark.together import time_together
from trainer.data import find_volumes, training_loader
from trainer.distributed import Process, average_gradients, find_process, group, total_weight
from trainer.signals import Signals
from trainer.state import State, make_state
from trainer.step import train_step

ROUNDS = 3  # in which all cases take turns, so that a machine that is busy is so for all of them
LARGE = 2**26  # bytes of a buffer whose exchange is bound by bandwidth
CONFIG, FOUND = "config.yaml", "found.json"


class Case(NamedTuple):
    """What is measured in turn."""

    processes: int
    cores: int  # of each process


class Pair(NamedTuple):
    """This process with all that it steps with."""

    config: Config
    volumes: list[Volume]
    state: State
    process: Process
    cores: int  # of a process, where two share them
    available: list[int]  # of this host

    @property
    def cases(self) -> list[Case]:
        """One process on its share of cores, two on theirs, one on all of them, of no use to a GPU."""
        found = [Case(1, self.cores)]
        if self.process.world == 2:
            found.append(Case(2, self.cores))
            if self.process.device.type == "cpu":
                found.append(Case(1, 2 * self.cores))
        return found

    @property
    def networks(self) -> list[nn.Module]:
        """Those whose gradients are exchanged."""
        adversary = self.state.adversary
        return [self.state.model, *([adversary.discriminator] if adversary else [])]

    def gradients(self) -> list[Tensor]:
        """What is exchanged after a step."""
        return [p.grad for network in self.networks for p in network.parameters() if p.grad is not None]

    @property
    def exchanges(self) -> int:
        """How many a step has: its number of slices, each network's gradients, whether a signal came."""
        return 2 + len(self.networks)

    def exchange(self) -> None:
        """All that the last step exchanged, once more."""
        total = total_weight(1.0, self.process)
        for network in self.networks:
            average_gradients(network, total, self.process, self.config.train.bf16_gradients)
        Signals().due(self.process)

    def take_cores(self, case: Case) -> None:
        """This process, and whatever it starts, is on its part of the cores alone, with as many threads."""
        first = self.process.rank * case.cores
        for thread in os.listdir("/proc/self/task"):
            with suppress(ProcessLookupError):  # it has ended meanwhile
                os.sched_setaffinity(int(thread), self.available[first : first + case.cores])
        torch.set_num_threads(case.cores)


def measure(pair: Pair, seconds: float, folder: Path) -> dict[str, Any]:
    """Seconds of a step by case and round, and of what is exchanged and saved."""
    found = [{**case._asdict(), "rounds": []} for case in pair.cases]
    for number in range(ROUNDS):
        for case, row in zip(pair.cases, found, strict=True):
            row["rounds"].append(in_turn(pair, case, seconds / ROUNDS, 1 if number else WARMUP))
    pair.take_cores(Case(pair.process.world, pair.cores))
    values, kind = (
        sum(g.numel() for g in pair.gradients()),
        "bf16" if pair.config.train.bf16_gradients else "float32",
    )
    return {
        "cases": found,
        "slices": slices_of_step(pair),
        "gradient_values": values,
        "exchanged": kind,
        "exchanged_bytes": values * VALUE_BYTES[kind],
        "exchanges": pair.exchanges,
        **measure_exchange(pair, seconds),
        "checkpoint": measure_saving(pair, folder / "last.pt") if pair.process.main else None,
    }


def in_turn(pair: Pair, case: Case, seconds: float, warmup: int) -> list[float]:
    """Seconds of a step in blocks of steps, on the processes of a case; others wait, and find none."""
    durations = []
    if pair.process.rank < case.processes:
        pair.take_cores(case)
        durations = measure_steps(pair, pair.process._replace(world=case.processes), seconds, warmup)
    if pair.process.world > 1:
        distributed.barrier()
    return durations


def measure_steps(pair: Pair, process: Process, seconds: float, warmup: int) -> list[float]:
    """Seconds of steps as training takes them, with a loader of their own."""
    state, accumulate, signals = pair.state, pair.config.train.accumulate, Signals()
    loader = training_loader(pair.config, pair.volumes, process, state.step, state.batches)
    steps = loader.steps(accumulate)

    def step() -> None:
        train_step(state, next(steps), pair.config, process)
        state.advance(accumulate)
        signals.due(process)  # which nobody sends here

    read_ahead = math.ceil(2 * pair.config.data.num_workers / accumulate)
    return time_together(step, seconds, process, warmup, read_ahead)


def slices_of_step(pair: Pair) -> float:
    """The mean number of slices of a step and process: an epoch's last batches may be smaller."""
    sampler = training_loader(pair.config, pair.volumes, pair.process).batch_sampler
    return pair.config.train.accumulate * sum(map(len, sampler.groups)) / sampler.batches_per_epoch


def measure_exchange(pair: Pair, seconds: float) -> dict[str, Any]:
    """The exchange of gradients by itself, of a large buffer and of a single value; nothing by one."""
    if pair.process.world == 1:
        return {}
    large, single = (torch.zeros(count, device=pair.process.device) for count in (LARGE // 4, 1))
    calls: dict[str, Callable[[], object]] = {
        "exchange": pair.exchange,
        "large": lambda: distributed.all_reduce(large),
        "single": lambda: distributed.all_reduce(single),
    }
    found = {name: time_together(call, seconds / len(calls), pair.process) for name, call in calls.items()}
    return {
        "large_bytes": LARGE,
        **{name: asdict(summarize(durations, durations[0])) for name, durations in found.items()},
    }


def measure_saving(pair: Pair, path: Path) -> dict[str, Any]:
    """Bytes of a checkpoint, and seconds until it is on the disk."""
    state = pair.state
    timing = time_calls(
        lambda: checkpoint.save(path, pair.config, state.progress(), state.tensors()), seconds=0
    )
    return {**asdict(timing), "bytes": path.stat().st_size}


def run(folder: Path, seconds: float, cores: int) -> None:
    """Do the task of a folder."""
    config, available = load_config(folder / CONFIG), sorted(os.sched_getaffinity(0))
    process = find_process(config.device)
    with group(process):
        volumes, state = find_volumes(config, "train"), make_state(config, process, pretrained=False)
        found = measure(Pair(config, volumes, state, process, cores, available), seconds, folder)
    if process.main:
        leave(folder, found)


def leave(folder: Path, found: dict[str, Any]) -> None:
    """Write what was found, unless something was."""
    with suppress(FileExistsError), open(folder / FOUND, "x") as file:
        json.dump(found, file)


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    try:
        run(folder, float(sys.argv[2]), int(sys.argv[3]))
    except (RuntimeError, ValueError, OSError) as error:
        leave(folder, {"failed": one_line(error)})
        raise
