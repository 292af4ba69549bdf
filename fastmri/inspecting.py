"""Files described in a process apart: a broken one can make HDF5 loop for ever, crash or take all memory.

The process is started once, by the first file that is not known yet, and ends when it has had nothing to do.
"""

import os
import resource
import subprocess
import sys
from multiprocessing.connection import Connection, Pipe
from pathlib import Path

from fastmri.opening import printable
from fastmri.processes import ROOT, imports
from fastmri.volumes import Volume, describe_volume

SECONDS = 60.0  # for one file: milliseconds on a disk, seconds on a network that is slow
IDLE = 60.0  # seconds
MEMORY = 2**33  # bytes of addresses, of which some go to libraries


class _Inspector:
    """The process, and this end of the pipe to it."""

    def __init__(self) -> None:
        self.parent = os.getpid()
        self.connection, theirs = Pipe()
        # no fork, which takes threads along, and no spawn, which runs the script of whoever calls again
        self.process = subprocess.Popen(
            [sys.executable, "-m", "fastmri.inspecting", str(theirs.fileno())],
            cwd=ROOT,
            env=os.environ | imports(),
            stdin=subprocess.DEVNULL,
            pass_fds=[theirs.fileno()],
            start_new_session=True,  # a closed pipe ends it, and no signal to a terminal
        )
        theirs.close()

    @property
    def usable(self) -> bool:
        return self.parent == os.getpid() and self.process.poll() is None

    def describe(self, path: str) -> Volume | ValueError:
        self.connection.send(path)
        if self.connection.poll(SECONDS):
            return self.connection.recv()
        self.process.kill()
        self.process.wait()
        return ValueError(f"HDF5 does not come back from it in {SECONDS:g} s")


_inspectors: list[_Inspector] = []  # of this process: one at the most


def inspect(path: str | Path) -> Volume:
    """`describe_volume`, whatever the file does to HDF5. Raises ValueError in one line."""
    whole, name = os.path.abspath(path), printable(str(path))  # the process stays in the folder it began in
    for attempt in range(2):
        try:
            found = _inspector().describe(whole)
            break
        except (EOFError, ConnectionError):  # it had ended for want of work; or this very file ended it
            _inspectors.clear()
            if attempt:
                found = ValueError("HDF5 crashes on it")
    if isinstance(found, Volume):
        return found._replace(path=str(path))
    raise ValueError(f"{name}: {str(found).removeprefix(f'{printable(whole)}: ')}")


def _inspector() -> _Inspector:
    if not (_inspectors and _inspectors[0].usable):
        _inspectors[:] = [_Inspector()]
    return _inspectors[0]


def describe_files(connection: Connection) -> None:
    """Answer each path with its Volume, or with why there is none, until nobody asks."""
    _limit(resource.RLIMIT_AS, MEMORY)
    _limit(resource.RLIMIT_CORE, 0)
    try:
        while connection.poll(IDLE):
            path = connection.recv()
            try:
                connection.send(describe_volume(path))
            except ValueError as error:
                connection.send(error)
    except (EOFError, ConnectionError):
        pass  # whoever asked is gone


def _limit(kind: int, wanted: int) -> None:
    """At most what the system, such as a queue of jobs, allows anyway."""
    most = resource.getrlimit(kind)[1]
    resource.setrlimit(kind, (wanted if most == resource.RLIM_INFINITY else min(wanted, most), most))


if __name__ == "__main__":
    describe_files(Connection(int(sys.argv[1])))
