"""Volumes kept as hybrid data, so that no slice is read and transformed twice: in files, or in memory."""

import hashlib
import os
import random
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from fcntl import F_ADD_SEALS, F_SEAL_GROW, F_SEAL_SHRINK, F_SEAL_WRITE, fcntl
from pathlib import Path
from typing import BinaryIO

import torch

from fastmri.atomic import replacing
from fastmri.hybrid import read_hybrid, read_truth
from fastmri.stored import Stored, forget_memory
from fastmri.volumes import Volume

VERSION = 1
SUFFIX = ".hybrid"


def kept_bytes(volumes: list[Volume], half: bool) -> int:
    """What volumes take when they are kept."""
    return sum(volume.num_slices * _stored(volume, "", 0, half).slice_bytes for volume in volumes)


def kept_path(volume: Volume, folder: Path, half: bool) -> Path:
    """The file that keeps a volume: named after its path and how it is kept, and after its file's state."""
    source = Path(volume.path)
    state = source.stat()
    how = (
        source.resolve(),
        half,
        VERSION,
        torch.__version__,
    )  # another version's transform may round otherwise
    return folder / f"{_digest(*how)}-{_digest(state.st_size, state.st_mtime_ns)}{SUFFIX}"


def find_kept(volumes: list[Volume], folder: Path, half: bool) -> list[Volume]:
    """The volumes; those that are kept in the folder, and whole, know where."""
    found = []
    for volume in volumes:
        path = kept_path(volume, folder, half)
        whole = path.is_file() and path.stat().st_size == kept_bytes([volume], half)
        found.append(volume._replace(stored=_stored(volume, str(path), 0, half) if whole else None))
    return found


def keep_on_disk(volumes: list[Volume], folder: Path, half: bool) -> Iterable[Volume]:
    """Write each volume's file, unless another process did meanwhile, and remove those of its older states.

    Processes that start together share the work, by going through it in orders of their own; what two of them
    write at once is whole and the same, whoever comes last.
    """
    for volume in random.Random(os.getpid()).sample(volumes, len(volumes)):
        path = kept_path(volume, folder, half)
        if find_kept([volume], folder, half)[0].stored is None:
            with replacing(path) as partial, open(partial, "wb") as file:
                write_volume(file, volume, half)
            for older in folder.glob(f"{path.name.partition('-')[0]}-*{SUFFIX}"):
                if older != path:
                    older.unlink(missing_ok=True)
        yield volume


def keep_in_memory(volumes: list[Volume], memory: BinaryIO, half: bool) -> Iterable[Volume]:
    """Write volumes to a file without a name, which any process of this user may read while it is open.

    In the end nobody can change it any more, so it may be mapped.
    """
    path = f"/proc/{os.getpid()}/fd/{memory.fileno()}"
    for volume in volumes:
        start = memory.tell()
        write_volume(memory, volume, half)
        memory.flush()
        yield volume._replace(stored=_stored(volume, path, start, half, in_memory=True))
    fcntl(memory, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE)


@contextmanager
def open_memory() -> Iterator[BinaryIO]:
    """A file in memory alone, which is given back when the last process closes it, however it ends."""
    try:
        with os.fdopen(os.memfd_create("extreme-mri", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING), "wb") as memory:
            yield memory
    finally:
        forget_memory()


def write_volume(file: BinaryIO, volume: Volume, half: bool) -> None:
    """Append a volume as it is kept."""
    stored = _stored(volume, "", 0, half)
    plain = volume._replace(stored=None)
    for k in range(volume.num_slices):
        stored.write_slice(file, read_hybrid(plain, k, 1)[0], read_truth(plain, k))


def _stored(volume: Volume, path: str, start: int, half: bool, in_memory: bool = False) -> Stored:
    return Stored(path, in_memory, start, volume.hybrid_shape, volume.recon_size, half)


def _digest(*values: object) -> str:
    return hashlib.sha256(repr(tuple(map(str, values))).encode()).hexdigest()[:24]
