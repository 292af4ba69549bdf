"""SIGINT and SIGTERM end training between two steps; a second SIGINT ends the program at once."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager

from trainer.distributed import Process, any_true


@contextmanager
def stop_signals() -> Iterator[list[int]]:
    """A list that SIGINT and SIGTERM append to while the block runs."""
    received: list[int] = []

    def receive(number: int, frame: object) -> None:
        if number == signal.SIGINT and number in received:  # Ctrl-C twice: now
            raise KeyboardInterrupt
        received.append(number)

    handlers = {number: signal.signal(number, receive) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield received
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)


def leave_signals_to_parent(worker: int) -> None:
    """For a loader's process: signals to the group reach it too, but its parent decides when it ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # not ignored for ever: a parent that fails ends its processes by SIGTERM and waits for them
    signal.signal(signal.SIGTERM, lambda number, frame: signal.alarm(10))


def due_stop(signals: list[int], due: bool, process: Process) -> bool:
    """Whether to stop now. Several processes agree on it, when they log, because asking costs a message."""
    if process.world == 1:
        return bool(signals)
    return due and any_true(bool(signals), process)
