"""Memory that was freed stays with the process."""

import ctypes
import re
from pathlib import Path

TRIM_THRESHOLD, MMAP_THRESHOLD = -1, -3  # of mallopt, in malloc.h


def keep_freed_memory() -> None:
    """Let glibc reuse what slices and batches leave behind: each page given back costs a fault to get again.

    For this process and those forked from it; another C library is left as it is.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(MMAP_THRESHOLD, 32 * 2**20)  # its highest, which it reaches by itself in time
        mallopt(TRIM_THRESHOLD, 256 * 2**20)


def available_memory() -> int:
    """Bytes that may still be taken without swapping: of the machine, or of the container if it has fewer."""
    machine = int(re.search(r"^MemAvailable:\s+(\d+)", Path("/proc/meminfo").read_text(), re.M)[1]) * 1024
    group = Path("/sys/fs/cgroup")
    try:
        limit, used = ((group / f"memory.{name}").read_text().strip() for name in ("max", "current"))
        lines = (group / "memory.stat").read_text().splitlines()
    except OSError:  # not in a container
        return machine
    if limit == "max":
        return machine
    counts = {name: int(value) for name, value in map(str.split, lines)}
    files = counts["active_file"] + counts["inactive_file"]  # which give way
    return min(machine, int(limit) - int(used) + files)
