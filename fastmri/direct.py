"""Slices read past HDF5: where samples lie in one piece, their place in the file is all one must know.

As fastMRI's files are written, uncompressed and in one piece, this spares opening them by HDF5 for every
slice, and keeps no file open: one may be replaced at any time, and a process may fork.
"""

import os
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import h5py
import numpy as np

from fastmri.opening import check_regular, get_dataset


class Place(NamedTuple):
    """Where the samples of a dataset lie."""

    start: int  # bytes before them
    dtype: np.dtype
    shape: tuple[int, ...]  # slices first


def read_slice(path: str | Path, dataset: str, slice_num: int, out: np.ndarray, first_row: int = 0) -> None:
    """Fill `out`, of a slice's shape and in one piece; the rows from `first_row` on come first.

    Raises what h5py raises, and ValueError where the dataset is not in the file itself.
    """
    place = find_place(path, dataset)
    if place is None or place.dtype != out.dtype:
        with h5py.File(path, "r") as file:
            out[...] = np.roll(get_dataset(file, dataset)[slice_num], -first_row, axis=0)
        return
    if place.shape[1:] != out.shape or slice_num >= place.shape[0]:
        raise OSError(f"{dataset} has become {place.shape}: no slice {slice_num} of {out.shape} is in it")
    parts = [out[-first_row:], out[:-first_row]] if first_row else [out]
    read_bytes(path, place.start + slice_num * out.nbytes, parts)


def read_bytes(path: str | Path, start: int, parts: list[np.ndarray]) -> None:
    """Fill arrays with what follows `start` in a file. Raises OSError if it ends before."""
    left = [part.reshape(-1).view(np.uint8).data for part in parts if part.nbytes]
    file = os.open(path, os.O_RDONLY)
    try:
        while left:
            read = os.preadv(file, left, start)
            if read == 0:
                raise OSError(f"ends {sum(map(len, left))} bytes early")
            start, left = start + read, _after(left, read)
    finally:
        os.close(file)


def _after(buffers: list[memoryview], read: int) -> list[memoryview]:
    """What is not filled yet: some file systems give less at a time than they are asked for."""
    while buffers and read >= len(buffers[0]):
        read -= len(buffers.pop(0))
    return [buffers[0][read:], *buffers[1:]] if buffers else []


def find_place(path: str | Path, dataset: str) -> Place | None:
    """Where a dataset of slices lies; None where it is in pieces, compressed or in another file."""
    stat = os.stat(path)
    check_regular(stat)
    return _find_place(str(path), dataset, (stat.st_ino, stat.st_size, stat.st_mtime_ns))


@lru_cache(maxsize=16384)
def _find_place(path: str, dataset: str, state: tuple[int, int, int]) -> Place | None:
    """`state`: of the file, so that another under the same name is looked at anew."""
    with h5py.File(path, "r") as file:
        found = get_dataset(file, dataset)
        start = found.id.get_offset()
        return None if start is None else Place(start, found.dtype, found.shape)
