"""Which volumes a folder holds: scanned once, remembered in JSON, filtered afterwards."""

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
from loguru import logger
from tqdm import tqdm

from fastmri.atomic import replacing
from fastmri.inspecting import inspect
from fastmri.opening import naming
from fastmri.volumes import Volume

CACHE_VERSION = 3  # of the rules too: what an earlier one let in is looked at again
SUFFIXES = (".h5", ".hdf5")


def list_files(source: Path) -> list[Path]:
    """All that a folder names as HDF5, whatever it is, or the file itself, sorted by name.

    Raises ValueError if there is none.
    """
    if not source.is_dir():
        if not os.path.lexists(source):
            raise ValueError(f"{source}: no such file or folder")
        return [source]
    files = sorted(path for path in source.iterdir() if path.suffix in SUFFIXES)
    if not files:
        folders = sorted(path.name for path in source.glob("singlecoil_*") if path.is_dir())
        hint = f"; did you mean its {' or '.join(folders)}?" if folders else ""
        raise ValueError(f"{source}: holds no .h5 file{hint}")
    return files


def scan_volumes(source: Path, cache: Path | None = None) -> list[Volume]:
    """Describe every volume of a file or folder; damaged files are named in a warning and left out.

    `cache`: a JSON file of earlier scans, keyed on path, size and modification time; None scans anew.
    """
    files = list_files(source)
    known = _read_cache(cache)
    volumes, fresh = [], {}
    for path in tqdm(files, desc=f"scan {source.name}", unit="file", leave=False, disable=len(files) < 20):
        try:
            key = _key(path)
            # the cache may know the file from another directory, or by another name
            volume = _volume(known[key] | {"path": str(path)}) if key in known else inspect(path)
        except ValueError as error:
            logger.warning("left out: {}", error)
            continue
        volumes.append(volume)
        if key not in known:
            fresh[key] = {name: value for name, value in volume._asdict().items() if name != "stored"}
    if not volumes:
        raise ValueError(f"{source}: none of its {len(files)} files is a readable single-coil volume")
    if cache is not None and fresh:
        _write_cache(cache, known | fresh)
    return volumes


def select_volumes(
    volumes: list[Volume], *, acquisitions: list[str] | None, sample_rate: float, seed: int
) -> list[Volume]:
    """Those of the named acquisitions, and of these a random fraction (at least one), in their order."""
    if acquisitions:
        present = sorted({volume.acquisition for volume in volumes})
        volumes = [volume for volume in volumes if volume.acquisition in acquisitions]
        if not volumes:
            raise ValueError(
                f"data.acquisitions: no volume is {' or '.join(acquisitions)}; there are {', '.join(present)}"
            )
    return [volumes[k] for k in sample_indices(len(volumes), sample_rate, seed)]


def sample_indices(count: int, rate: float, seed: int) -> list[int]:
    """A random `rate` of range(count), at least one, sorted; all of it at rate 1."""
    kept = max(round(count * rate), 1)
    return sorted(np.random.default_rng(seed).permutation(count)[:kept].tolist())


def _key(path: Path) -> str:
    with naming(path):
        stat = path.stat()
    return f"{path.resolve()}|{stat.st_size}|{stat.st_mtime_ns}"


def _volume(entry: dict[str, Any]) -> Volume:
    """JSON knows no tuples."""
    fields: dict[str, Any] = {name: tuple(v) if isinstance(v, list) else v for name, v in entry.items()}
    return Volume(**fields)


def _read_cache(cache: Path | None) -> dict[str, dict]:
    if cache is None or not cache.is_file():
        return {}
    try:
        stored = json.loads(cache.read_text())
        return stored["volumes"] if stored["version"] == CACHE_VERSION else {}
    except (ValueError, KeyError, TypeError, OSError) as error:
        logger.warning("metadata cache {} is unreadable and is made anew ({})", cache, error)
        return {}


def _write_cache(cache: Path, volumes: dict[str, dict]) -> None:
    try:
        cache.parent.mkdir(parents=True, exist_ok=True)
        with replacing(cache) as partial:
            partial.write_text(json.dumps({"version": CACHE_VERSION, "volumes": volumes}))
    except OSError as error:
        logger.warning("metadata cache {} can't be written ({}); the next start scans again", cache, error)
