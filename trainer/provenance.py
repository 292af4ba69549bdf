"""Where figures come from: the commands behind a folder, on which machine, by which version."""

import os
import platform
import shlex
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch

from trainer.lines import append_line, read_lines

FILE = "commands.jsonl"


def record_command(folder: Path, arguments: list[object], device: torch.device) -> None:
    """Append how `main.py` was called to the folder that its results went to."""
    line = {
        "command": typed(arguments),
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
        **environment(device),
    }
    append_line(folder / FILE, line)


def typed(arguments: list[object]) -> str:
    """A call of `main.py` as one would type it."""
    return shlex.join(["python", "main.py", *map(str, arguments)])


def read_commands(folder: Path) -> list[dict[str, Any]]:
    """The commands behind a folder, oldest first; none where nothing was recorded."""
    return read_lines(folder / FILE)


def environment(device: torch.device) -> dict[str, Any]:
    """Hardware and versions."""
    return {
        "machine": _machine(device),
        "python": platform.python_version(),
        "torch": str(torch.__version__),
        "revision": revision(),
    }


def _machine(device: torch.device) -> str:
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    computer = f"{processor()}, {torch.get_num_threads()} of {os.cpu_count()} cores, {memory:.0f} GiB"
    return f"{torch.cuda.get_device_name(device)}; {computer}" if device.type == "cuda" else computer


def processor() -> str:
    """Its name as Linux tells it."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def revision() -> str | None:
    """The commit of this code, with -dirty if it was changed since; None outside of a checkout."""
    try:
        found = subprocess.run(
            ["git", "describe", "--always", "--dirty"],
            cwd=Path(__file__).parent,
            capture_output=True,
            text=True,
            timeout=10,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return found.stdout.strip()
