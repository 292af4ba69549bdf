"""The data path: slices per second from cold files, warm files and caches, by number of workers."""

import math
import os
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import torch

from config.load import changed
from config.schema import Augment, Config
from fastmri.slices import SliceBatch
from fastmri.volumes import Volume
from trainer.benchmark.floors import Cost
from trainer.benchmark.throughput import ENDLESS
from trainer.benchmark.timing import LEAST, summarize
from trainer.cache import cached
from trainer.data import training_loader
from trainer.distributed import Process
from trainer.feed import Feed

BLOCK = 2**22  # bytes read at once
NO_CACHE = "none"
CACHES = {  # options of the ways to keep slices
    NO_CACHE: {"cache": "none", "cache_dtype": "complex64"},
    "disk": {"cache": "disk", "cache_dtype": "complex64"},
    "ram": {"cache": "ram", "cache_dtype": "complex64"},
    "ram half": {"cache": "ram", "cache_dtype": "half"},
}


class Source(NamedTuple):
    """What slices are read from, and how."""

    files: str  # cold: dropped from the page cache before each pass; warm: read before
    cache: str  # of CACHES
    workers: int
    reads: str  # config: as the config asks; plain: one slice, all rows, no variation


def as_read(config: Config, source: Source) -> Config:
    """The config with a source's cache and workers, and no last step."""
    values: dict[str, Any] = CACHES[source.cache] | {"num_workers": source.workers}
    if source.reads == "plain":
        values |= {"adjacent_slices": 1, "crop_rows": None, "augment": Augment()}
    return changed(config, data=values, train={"steps": ENDLESS})


def measure_reading(
    config: Config, volumes: list[Volume], device: str, source: Source, seconds: float
) -> dict[str, Any]:
    """Seconds per slice: passes over all volumes by one running loader, the first left out."""
    config, process = as_read(config, source), Process(torch.device(device))
    with tempfile.TemporaryDirectory() as folder:
        config = changed(config, data={"cache_dir": Path(folder)})
        with cached(volumes, config, process) as kept:
            return time_passes(training_loader(config, kept, process), volumes, source, seconds)


def time_passes(loader: Feed, volumes: list[Volume], source: Source, seconds: float) -> dict[str, Any]:
    """A `Timing` of a slice; before each pass, files that are to be cold are dropped."""
    batches = loader.batch_sampler.batches_per_epoch
    queued = 2 * source.workers  # read ahead while nobody looked: in no duration
    counted = max(batches - queued, 1)
    iterator = iter(loader)
    first = _pass(iterator, batches)
    durations: list[float] = []
    started = time.perf_counter()
    while len(durations) < LEAST or time.perf_counter() - started < seconds:
        if source.files == "cold":
            drop([volume.path for volume in volumes])
        for _ in islice(iterator, queued):
            pass
        durations.append(_pass(iterator, counted))
    return asdict(summarize(durations, first))


def _pass(iterator: Iterator[SliceBatch], batches: int) -> float:
    """Seconds per slice of some batches."""
    started = time.perf_counter()
    slices = sum(len(batch.fname) for batch in islice(iterator, batches))
    return (time.perf_counter() - started) / slices


def drop(paths: list[str]) -> None:
    """Ask the system to forget files' pages, once they are on disk."""
    for path in paths:
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)  # pages that are not written yet can't be dropped
            os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        finally:
            os.close(descriptor)


def measure_files(volumes: list[Volume], seconds: float) -> dict[str, Any]:
    """Bytes per second of plain reads, cold and warm, and whether cold ones were seen to reach the disk."""
    paths = [volume.path for volume in volumes]
    size = sum(os.path.getsize(path) for path in paths)
    cold: list[float] = []
    warm: list[float] = []
    fetched: list[int] = []
    while len(cold) < LEAST or sum(cold) + sum(warm) < seconds:
        drop(paths)
        before = _fetched()
        cold.append(_read(paths))
        fetched.append(_fetched() - before)
        warm.append(_read(paths))
    return {
        "cold": size / min(cold),
        "warm": size / min(warm),
        "cold_verified": min(fetched) >= 0.9 * size,
        "cold_note": "the files' bytes came from the disk again (/proc/self/io); what lies below it, such as "
        "a host, may hold them still"
        if min(fetched) >= 0.9 * size
        else f"can't be verified: of {size} bytes {min(fetched)} were seen to come from a disk",
    }


def _read(paths: list[str]) -> float:
    block = bytearray(BLOCK)
    started = time.perf_counter()
    for path in paths:
        with open(path, "rb", buffering=0) as file:
            for _ in iter(partial(file.readinto, block), 0):
                pass
    return time.perf_counter() - started


def _fetched() -> int:
    """Bytes that this process made the system fetch from a disk; 0 where it does not tell."""
    try:
        lines = Path("/proc/self/io").read_text().splitlines()
    except OSError:
        return 0
    return sum(int(line.split()[1]) for line in lines if line.startswith("read_bytes:"))


def reading_cost(config: Config, volumes: list[Volume], source: Source) -> Cost:
    """What a slice costs at least: its bytes and its readout's transform; from a cache, a copy."""
    config = as_read(config, source)
    half, active = config.data.adjacent_slices // 2, config.data.augment != Augment()
    moved, transformed, slices = 0, 0.0, 0
    for volume in volumes:
        count, rows, columns = volume.kspace_shape
        target = 4 * volume.recon_size[0] * volume.recon_size[1]
        slices += count
        if source.cache != NO_CACHE:  # read, and written as complex64
            bytes_moved = 8 + (4 if CACHES[source.cache]["cache_dtype"] == "half" else 8)
            samples = (2 * half + 1) * volume.recon_size[0] * columns
            moved += count * (bytes_moved * samples + 2 * target)
            continue
        for k in range(count):
            distinct = min(k + half, count - 1) - max(k - half, 0) + 1
            moved += 8 * distinct * rows * columns + (0 if active else target)
            transformed += distinct * columns * 5 * rows * math.log2(rows)
    return Cost(0, moved / slices, transformed / slices)
