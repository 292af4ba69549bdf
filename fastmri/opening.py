"""The door of data files: what is opened, what is read of it, and how large what it declares may be.

A file may be broken, or made to harm: everything that it says of itself is checked once, before memory is
taken for it or another file is touched on its behalf.
"""

import math
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py
import numpy as np

# what h5py raises of broken files, by where in them it stumbles; what is too large for memory is broken too
DAMAGED = (OSError, RuntimeError, KeyError, TypeError, ValueError, AttributeError, OverflowError, MemoryError)
LARGEST_SIDE = 8192  # rows or columns: over ten times fastMRI's; a slice is then half a GiB at the most
LARGEST_BYTES = 2**34  # a dataset: over a hundred times fastMRI's largest
LARGEST_CHUNK = 2**29  # bytes: a whole chunk is in memory to read any part of it
MOST_COMPRESSED = (
    128  # x32 leaves a 32nd of the samples, of which a third may be padding; noise stays as it is
)
LARGEST_ATTRIBUTE = 2**12  # bytes: a word, a number or a sentence
LARGEST_HEADER = 2**20  # bytes; fastMRI's have 5 kB
MOST_VOXELS = 2**27  # of images to import: 512^3, of which emulating a scan takes some 8 GiB
KINDS = {"FIFO": stat.S_ISFIFO, "socket": stat.S_ISSOCK, "folder": stat.S_ISDIR}


def one_line(error: Exception) -> str:
    """A library's message in one line, or the error's name where it says nothing."""
    return printable(" ".join(str(error).split())) or type(error).__name__


def printable(text: str) -> str:
    """The text with a ? for each character that a terminal would obey rather than show."""
    return text if text.isprintable() else "".join(c if c.isprintable() else "?" for c in text)


@contextmanager
def naming(path: str | Path, fault: str = "can't be read") -> Iterator[None]:
    """What is raised of a broken file becomes a ValueError in one line: its name, and the fault."""
    name = printable(str(path))
    try:
        yield
    except DAMAGED as error:
        own = type(error) is ValueError
        raise ValueError(f"{name}: {one_line(error) if own else f'{fault} ({one_line(error)})'}") from None


@contextmanager
def opening(path: str | Path, fault: str = "can't be read") -> Iterator[h5py.File]:
    """An HDF5 file to read. Whatever is raised of it in the block is a ValueError that names it."""
    with naming(path, fault):
        check_regular(os.stat(path))
        with h5py.File(path, "r") as file:
            yield file


def check_regular(state: os.stat_result) -> None:
    """Raises ValueError if this isn't a file: to open a pipe is to wait for ever, a device never ends."""
    if not stat.S_ISREG(state.st_mode):
        kind = next((kind for kind, found in KINDS.items() if found(state.st_mode)), "device")
        raise ValueError(f"is a {kind}, not a file")


def find_dataset(file: h5py.File, name: str) -> h5py.Dataset | None:
    """A dataset whose samples lie in this very file; None where there is none of the name.

    Raises ValueError before anything is followed: a data file never makes us read another.
    """
    links, key = file.id.links, name.encode()
    if not links.exists(key):
        return None
    if links.get_info(key).type != h5py.h5l.TYPE_HARD:
        raise ValueError(f"{name} is a link to something else, which is not followed")
    found = file[name]
    if not isinstance(found, h5py.Dataset):
        raise ValueError(f"{name} must be a dataset, is a {type(found).__name__.lower()}")
    created = found.id.get_create_plist()
    if created.get_layout() == h5py.h5d.VIRTUAL or created.get_external_count():
        raise ValueError(f"{name} keeps its samples in another file, which is not read")
    return found


def get_dataset(file: h5py.File, name: str) -> h5py.Dataset:
    """The dataset of a name, as `find_dataset`. Raises ValueError where there is none."""
    found = find_dataset(file, name)
    if found is None:
        raise ValueError(f"no dataset '{name}'")
    return found


def check_samples(dataset: h5py.Dataset, name: str) -> None:
    """Raises ValueError if samples (slices, rows, columns) are more than can be, or than the file holds."""
    if max(dataset.shape[1:]) > LARGEST_SIDE:
        raise ValueError(f"{name} must be at most {LARGEST_SIDE} a side, is {dataset.shape}")
    declared = dataset.dtype.itemsize * math.prod(dataset.shape)
    if declared > LARGEST_BYTES:
        raise ValueError(f"{name} must be at most {LARGEST_BYTES} bytes, {dataset.shape} are {declared}")
    chunk = dataset.dtype.itemsize * math.prod(dataset.chunks or (0,))
    if chunk > LARGEST_CHUNK:
        raise ValueError(f"{name} must be in chunks of at most {LARGEST_CHUNK} bytes, has {chunk}")
    held, most = dataset.id.get_storage_size(), MOST_COMPRESSED if dataset.chunks else 1
    if held * most < declared:
        raise ValueError(f"{name} declares {declared} bytes, of which the file holds {held}")


def read_attribute(file: h5py.File, name: str) -> Any:
    """What h5py gives, None where it isn't there. Raises ValueError if it is no attribute but a load."""
    if name not in file.attrs:
        return None
    stored = file.attrs.get_id(name)
    size = stored.dtype.itemsize * math.prod(stored.shape or ())
    if size > LARGEST_ATTRIBUTE:
        raise ValueError(f"attribute {name} must be at most {LARGEST_ATTRIBUTE} bytes, has {size}")
    return file.attrs[name]


def read_number(file: h5py.File, name: str) -> float | None:
    """An attribute that is a finite number, None where it isn't there."""
    value = read_attribute(file, name)
    try:
        number = None if value is None else float(value)
    except (TypeError, ValueError, OverflowError):
        number = np.nan
    if number is not None and not np.isfinite(number):
        raise ValueError(f"attribute {name} must be a number, is {printable(repr(value))[:80]}")
    return number
