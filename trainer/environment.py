"""What this installation runs on, for a report of a fault."""

import os
import platform
import re
import resource
import shutil
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import torch
from packaging.requirements import Requirement
from tabulate import tabulate

from config.schema import Data
from fastmri.processes import ROOT
from trainer.memory import available_memory, free_disk
from trainer.provenance import processor, revision

PLACES = (Path(), Data.model_fields["cache_dir"].default.expanduser())  # of runs and of caches
SHARED = Path("/dev/shm")  # by which a loader's processes hand over batches
LEAST_SHARED = 2**28  # bytes of it


def describe_environment() -> tuple[str, list[str]]:
    """A table, and what is missing or too small."""
    missing, packages = check_packages()
    rows = [
        ("program", revision() or "not a checkout"),
        ("Python", f"{platform.python_version()}, {platform.platform()}"),
        ("processor", f"{processor()}, {os.cpu_count()} cores"),
        ("memory", f"{_gib(available_memory())} available"),
        *[("disk", f"{_gib(free)} free in {place}") for free, place in map(free_disk, PLACES)],
        ("shared memory", f"{_gib(shutil.disk_usage(SHARED).free)} free" if SHARED.exists() else "none"),
        ("open files", f"{resource.getrlimit(resource.RLIMIT_NOFILE)[0]} at most"),
        ("C++ compiler", shutil.which(os.environ.get("CXX", "c++")) or "none: train.compile falls back"),
        *describe_devices(),
        *packages,
    ]
    if SHARED.exists() and (free := shutil.disk_usage(SHARED).free) < LEAST_SHARED:
        missing.append(
            f"{SHARED} has {_gib(free)}: readers need more, or data.num_workers=0 (docker: --shm-size)"
        )
    return tabulate(rows, tablefmt="plain", disable_numparse=True), missing


def check_packages() -> tuple[list[str], list[tuple[str, str]]]:
    """What requirements.txt asks for and is not here, and the versions of what is."""
    missing, found = [], []
    for line in (ROOT / "requirements.txt").read_text().splitlines():
        if not re.match(r"\w", line):
            continue
        wanted = Requirement(line)
        try:
            here = version(wanted.name)
        except PackageNotFoundError:
            missing.append(f"{wanted} is not installed")
            continue
        found.append((wanted.name, here))
        if not wanted.specifier.contains(here, prereleases=True):
            missing.append(f"{wanted} is asked for, {here} is installed")
    return missing, found


def describe_devices() -> list[tuple[str, str]]:
    """GPUs and what serves them."""
    if not torch.cuda.is_available():
        return [("CUDA", f"no device (torch was built for {torch.version.cuda or 'CPUs'})")]
    rows = [("CUDA", f"{torch.version.cuda}, cuDNN {torch.backends.cudnn.version()}")]
    for k in range(torch.cuda.device_count()):
        free, total = torch.cuda.mem_get_info(k)
        major, minor = torch.cuda.get_device_capability(k)
        name = f"{torch.cuda.get_device_name(k)}, compute {major}.{minor}"
        rows.append((f"GPU {k}", f"{name}, {_gib(free)} of {_gib(total)} free"))
    return rows


def _gib(size: int) -> str:
    return f"{size / 2**30:.1f} GiB"
