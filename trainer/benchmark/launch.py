"""Training steps in one and in two processes of a host: started, and what they found summed up."""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import torch

from config.load import changed, dump_config
from config.schema import Config
from fastmri.keeping import kept_bytes
from fastmri.processes import ROOT, imports
from fastmri.volumes import Volume
from trainer.benchmark.efficiency import summarize_row
from trainer.benchmark.isolation import GRACE
from trainer.benchmark.pair import CONFIG, FOUND
from trainer.benchmark.peer import linked
from trainer.benchmark.reading import NO_CACHE, Source, reading_cost
from trainer.benchmark.throughput import ENDLESS


def measure_scaling(
    config: Config, volumes: list[Volume], device: str, seconds: float, limit: float
) -> dict[str, Any]:
    """Rates of one and of two processes, and all that is exchanged, read and saved; or {"failed": why}."""
    kind, cores = torch.device(device).type, max(1, torch.get_num_threads() // 2)
    alone = why_alone(kind, cores)
    with linked(volumes) as data, tempfile.TemporaryDirectory() as name:
        folder, only_these = Path(name), {"train": data, "volume_sample_rate": 1.0, "scan_cache": None}
        config = changed(config, data=only_these, train={"steps": ENDLESS}, device=kind)
        (folder / CONFIG).write_text(dump_config(config))
        found = launch(folder, 1 if alone else 2, seconds, cores, limit)
    if "failed" in found:
        return found
    row = {"workers": config.data.num_workers, "alone": alone}
    row |= {"save_every": config.train.save_every, **sizes(config, volumes), **found}
    return row | summarize_row(row)


def why_alone(device: str, cores: int) -> str | None:
    """Why there can't be two processes, where there can't."""
    needed, there = 2 * cores, len(os.sched_getaffinity(0))
    if device == "cuda":
        needed, there = 2, torch.cuda.device_count()
    if there >= needed:
        return None
    return f"two processes need {needed} {'CUDA devices' if device == 'cuda' else 'cores'}, there is {there}"


def sizes(config: Config, volumes: list[Volume]) -> dict[str, Any]:
    """Bytes of a slice, as it is read from files for a step, and as a cache keeps it."""
    slices = sum(volume.num_slices for volume in volumes)
    kept = {name: kept_bytes(volumes, name == "half") / slices for name in ("complex64", "half")}
    source = Source("warm", NO_CACHE, config.data.num_workers, "config")
    return {"read_bytes": reading_cost(config, volumes, source).slice_bytes, "kept_bytes": kept}


def launch(folder: Path, processes: int, seconds: float, cores: int, limit: float) -> dict[str, Any]:
    """What `pair` leaves in a folder that holds its config, or {"failed": why}."""
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", str(processes)]
    command += ["--rdzv-backend", "c10d", "--rdzv-endpoint", "localhost:0"]
    command += ["-m", "trainer.benchmark.pair", str(folder), str(seconds), str(cores)]
    environment = os.environ | imports() | {"OMP_NUM_THREADS": str(cores)}
    silent = subprocess.DEVNULL
    with subprocess.Popen(command, cwd=ROOT, env=environment, stdout=silent, stderr=silent) as started:
        try:
            code = started.wait(limit)
        except subprocess.TimeoutExpired:
            return {"failed": f"took more than {limit:.0f} s"}
        finally:
            end(started)
    found = folder / FOUND
    return json.loads(found.read_text()) if found.exists() else {"failed": f"its processes ended with {code}"}


def end(started: subprocess.Popen) -> None:
    """Ask a launcher to end its processes and itself: they would outlive it if it were killed."""
    started.terminate()
    try:
        started.wait(GRACE)
    except subprocess.TimeoutExpired:
        started.kill()
