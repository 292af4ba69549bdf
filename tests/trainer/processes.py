"""Commands and other work in processes of their own, forked from one that has the imports: quick to start.

What torchrun and the command line do beyond that is tested by themselves, in test_processes and test_train.
"""

import multiprocessing
import os
import resource
import sys
from collections.abc import Callable
from datetime import timedelta
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import NamedTuple

import torch
from torch.distributed import TCPStore

from config.load import load_config
from main import main
from trainer import distributed, loop, state
from trainer.benchmark.isolation import start_server

OURS = ["tests.trainer.processes", "trainer.evaluation.reconstruct", "trainer.evaluation.validate"]


def fork(log: Path, work: Callable, *arguments: object, **environment: str) -> BaseProcess:
    """Begin some work in a session of its own, that writes what it says to a file."""
    start_server(*OURS)
    context = multiprocessing.get_context("forkserver")
    process = context.Process(target=_work, args=(log, environment, work, arguments))
    process.start()
    return process


def _work(log: Path, environment: dict[str, str], work: Callable, arguments: tuple) -> None:
    os.setsid()
    for stream in (1, 2):
        os.dup2(os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND), stream)
    os.environ |= environment
    torch.set_num_threads(1)
    multiprocessing.set_start_method(None, force=True)  # readers start as they do in a process of one's own
    work(*arguments)


def begin(log: Path, *arguments: object, limit: int | None = None) -> BaseProcess:
    """Begin a command; `limit`: bytes that a file may have."""
    return fork(log, limited if limit else command, *([limit] if limit else []), *arguments)


def command(*arguments: object) -> None:
    """What `python main.py` does."""
    sys.exit(main([str(part) for part in arguments]))


def limited(limit: int, *arguments: object) -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
    command(*arguments)


def run_on(count: int, log: Path, work: Callable, *arguments: object) -> str:
    """Do some work in processes that know of each other as torchrun's do; gives what they said."""
    store = TCPStore("localhost", 0, is_master=True, wait_for_workers=False, timeout=timedelta(seconds=60))
    shared = {"WORLD_SIZE": str(count), "LOCAL_WORLD_SIZE": str(count), "GROUP_RANK": "0"}
    shared |= {"MASTER_ADDR": "localhost", "MASTER_PORT": str(store.port)}
    shared |= {"TORCHELASTIC_USE_AGENT_STORE": "True"}  # it is here, and not in the first process
    ranks = [{"RANK": str(rank), "LOCAL_RANK": str(rank)} for rank in range(count)]
    processes = [fork(log, work, *arguments, **shared, **rank) for rank in ranks]
    for process in processes:
        process.join(240)
    assert [process.exitcode for process in processes] == [0] * count, log.read_text()
    return log.read_text()


class Ended(NamedTuple):
    """A process when training is done."""

    state: dict[str, torch.Tensor]  # all weights, by name
    drawn: list[tuple[str, int]]  # file and slice, in order


def train_on(count: int, config: Path, run: Path, *overrides: str) -> tuple[list[Ended], str]:
    """Train in some processes; gives what each has in the end, and what they said."""
    said = run_on(count, run.with_suffix(".log"), train_and_tell, config, run, *overrides)
    ends = [torch.load(run / f"rank{rank}.pt", weights_only=True) for rank in range(count)]
    return [Ended(*end) for end in ends], said


def train_and_tell(path: Path, out: Path, *overrides: str) -> None:
    """Train, and write what this process saw; for a process that does nothing else after it."""
    config, process = load_config(path, list(overrides)), distributed.find_process("cpu")
    made: list[state.State] = []
    drawn: list[tuple[str, int]] = []
    make, step = loop.make_state, loop.train_step

    def recorded(trained, batches, *rest):
        drawn.extend(place for batch in batches for place in zip(batch.fname, batch.slice_num, strict=True))
        return step(trained, batches, *rest)

    def kept(*arguments, **options):
        made.append(make(*arguments, **options))
        return made[0]

    loop.make_state, loop.train_step = kept, recorded
    with distributed.group(process):
        loop.train(config, out, process)
    saved = {
        name: torch.tensor(list(getattr(made[0], name).values())) for name in ("betas", "gains", "means")
    }
    for name, part in made[0].tensors().items():
        if "optimizer" not in name:
            saved |= {f"{name}.{key}": value for key, value in part.items()}
    torch.save([saved, drawn], out / f"rank{process.rank}.pt")
