"""Volumes kept as `data.cache` asks, told and checked before it is done."""

import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import BinaryIO

from loguru import logger

from config.schema import Config
from fastmri.keeping import find_kept, keep_in_memory, keep_on_disk, kept_bytes, open_memory
from fastmri.volumes import Volume
from trainer.distributed import Process, find_place, gather
from trainer.log import progress_bar
from trainer.memory import available_memory

ADVICE = "set data.cache_dtype to half, or data.cache to another"


@contextmanager
def cached(volumes: list[Volume], config: Config, process: Process) -> Iterator[list[Volume]]:
    """The volumes, kept where the config says while the block runs.

    Raises ValueError where there is no room for them, or no folder can be written.
    """
    if config.data.cache == "none":
        yield volumes
    elif config.data.cache == "disk":
        yield _on_disk(volumes, config, process)
    else:
        with open_memory() as memory:
            yield _in_memory(volumes, memory, config, process)


def _on_disk(volumes: list[Volume], config: Config, process: Process) -> list[Volume]:
    half = config.data.cache_dtype == "half"
    folder = config.data.cache_dir.expanduser()
    try:
        missing = [volume for volume in find_kept(volumes, folder, half) if volume.stored is None]
        if missing:
            folder.mkdir(parents=True, exist_ok=True)
            _check_room(missing, shutil.disk_usage(folder).free, f"free in {folder}", config)
        else:
            logger.info("cache   on disk: all {} volumes are in {}", len(volumes), folder)
        gather([], process)  # all have looked before any writes
        place = find_place(process)
        share = missing[place.rank :: place.world]
        for _ in _bar(keep_on_disk(share, folder, half), share, process):
            pass
    except ConnectionError:  # to other processes: no fault of the folder
        raise
    except OSError as error:
        raise ValueError(f"data.cache: on disk, in {folder}: {error}") from None
    gather([], process)  # now they are all there
    return find_kept(volumes, folder, half)


def _in_memory(volumes: list[Volume], memory: BinaryIO, config: Config, process: Process) -> list[Volume]:
    """One copy for all processes of a host, of which each keeps a part."""
    place, half = find_place(process), config.data.cache_dtype == "half"
    _check_room(volumes, available_memory(), "of memory available", config)
    gather([], process)
    share = volumes[place.rank :: place.world]
    kept = list(_bar(keep_in_memory(share, memory, half), share, process))
    parts = gather([(place, kept)], process)
    found: list[Volume] = list(volumes)
    for where, part in parts:
        if where.host == place.host:
            found[where.rank :: where.world] = part
    return found


def _check_room(volumes: list[Volume], room: int, where: str, config: Config) -> None:
    """Tell what keeping volumes takes; raises ValueError if it is more than there is."""
    kind = {"disk": "on disk", "ram": "in memory"}[config.data.cache]
    needed = kept_bytes(volumes, config.data.cache_dtype == "half")
    size, room_size = f"{needed / 2**30:.2f} GiB", f"{room / 2**30:.2f} GiB"
    if needed > room:
        raise ValueError(
            f"data.cache: {len(volumes)} volumes take {size} {kind}, {room_size} are {where}; {ADVICE}"
        )
    logger.info("cache   {} volumes take {} {}, {} are {}", len(volumes), size, kind, room_size, where)


def _bar(kept: Iterable[Volume], volumes: list[Volume], process: Process) -> Iterable[Volume]:
    hidden = not (process.main and volumes)
    return progress_bar(kept, total=len(volumes), desc="cache", unit="volume", leave=False, disable=hidden)
