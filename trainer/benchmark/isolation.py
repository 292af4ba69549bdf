"""A measurement in a process of its own, so that neither peaks of memory nor failures mix."""

import multiprocessing
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any

import torch
from loguru import logger

from fastmri import processes

# what the server of new processes imports once; where it can't, each process does
PRELOADED = [
    "torch",
    "piq",
    *(f"trainer.benchmark.{name}" for name in ("throughput", "breakdown", "reading")),
]
GRACE = 30  # seconds to end after the answer


def start_server(*others: str) -> None:
    """Start what new processes are forked from, with our imports and others, unless it runs already."""
    processes.start_server(*PRELOADED, *others)


def in_child(function: Callable[..., dict[str, Any]], *arguments: object, limit: float) -> dict[str, Any]:
    """What the function gives, called in a new process with as many threads; else {"failed": why}.

    `limit`: seconds after which it is ended.
    """
    start_server()
    context = multiprocessing.get_context("forkserver")
    receiver, sender = context.Pipe(duplex=False)
    child = context.Process(target=_answer, args=(sender, torch.get_num_threads(), function, arguments))
    child.start()
    sender.close()
    try:
        if not receiver.poll(limit):
            return {"failed": f"took more than {limit:.0f} s"}
        found = receiver.recv()
        child.join(GRACE)  # it may have processes of its own to end
        return found
    except EOFError:
        child.join()
        return {"failed": f"its process ended with {child.exitcode}"}
    finally:
        child.terminate()
        child.join()


def _answer(
    sender: Connection, threads: int, function: Callable[..., dict[str, Any]], arguments: tuple
) -> None:
    torch.set_num_threads(threads)
    multiprocessing.set_start_method(None, force=True)  # its loaders' processes start as those of training
    logger.remove()  # what is measured says nothing beside the tables
    try:
        found = function(*arguments)
    except (RuntimeError, ValueError, OSError) as error:  # torch raises the first of these
        found = {"failed": one_line(error)}
    sender.send(found)


def one_line(error: Exception) -> str:
    """The first line that an error says, or its name where it says nothing."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0] if lines else type(error).__name__
