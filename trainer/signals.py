"""Signals that end training between two steps; a second SIGINT ends the program at once."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager

from loguru import logger

from trainer.distributed import Process, highest

STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1)  # a person, a system, and Slurm before its limit


class Signals:
    """Those that this process received."""

    def __init__(self) -> None:
        self.received: list[int] = []
        self.nothing_to_save = False

    def receive(self, number: int, frame: object) -> None:
        if number == signal.SIGINT and number in self.received:  # Ctrl-C twice: now
            raise KeyboardInterrupt
        self.received.append(number)
        if self.nothing_to_save:
            raise SystemExit(exit_code(number))

    @contextmanager
    def saved(self) -> Iterator[None]:
        """While the block runs, signals end the program at once, because all is saved; one before it, too."""
        self.nothing_to_save = True
        try:
            if self.received:  # since `due` was asked
                raise SystemExit(exit_code(self.received[-1]))
            yield
        except SystemExit:
            logger.info("stopped before the validation ended, all else is saved; the same command resumes")
            raise
        finally:
            self.nothing_to_save = False

    def due(self, process: Process) -> int:
        """The signal that training stops for now, on whichever process it came; 0 if there is none."""
        return highest(max(self.received, default=0), process)


@contextmanager
def stop_signals() -> Iterator[Signals]:
    """What is received while the block runs."""
    signals = Signals()
    handlers = {number: signal.signal(number, signals.receive) for number in STOPPING}
    try:
        yield signals
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)


def exit_code(number: int) -> int:
    """The exit code of a program that a signal ended, as shells have it; 0 without one."""
    return 128 + number if number else 0


def leave_signals_to_parent(worker: int) -> None:
    """For a loader's process: signals to the group reach it too, but its parent decides when it ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGUSR1, signal.SIG_IGN)
    # not ignored for ever: a parent that fails ends its processes by SIGTERM and waits for them
    signal.signal(signal.SIGTERM, lambda number, frame: signal.alarm(10))
    signal.signal(signal.SIGALRM, signal.SIG_DFL)  # which ends it, whatever handler it was forked with
