"""What a file holds, read when it is used: k-space a slice at a time, mask and attributes."""

from pathlib import Path

import h5py
import numpy as np

from fastmri.opening import LARGEST_SIDE, get_dataset, opening, read_attribute, read_number


def read_kspace(path: str | Path, slices: list[int]) -> np.ndarray:
    """Some slices' k-space, complex64 (len(slices), rows, columns); reads no other slice."""
    with opening(path) as file:
        kspace = get_dataset(file, "kspace")
        return np.stack([kspace[k] for k in slices]).astype(np.complex64, copy=False)


def read_mask(path: str | Path) -> np.ndarray:
    """The file's own mask, bool (columns,). Raises ValueError if its length is another, or it is empty."""
    with opening(path) as file:
        return load_mask(file, get_dataset(file, "kspace").shape[2])


def load_mask(file: h5py.File, columns: int) -> np.ndarray:
    """The mask of an open file, bool (columns,)."""
    mask = get_dataset(file, "mask")
    if mask.size != columns:
        raise ValueError(f"mask must have {columns} entries, one per column, has {mask.size}")
    if mask.dtype.kind not in "biuf":
        raise ValueError(f"mask must be of numbers, is {mask.dtype}")
    kept = np.asarray(mask).astype(bool).ravel()
    if not kept.any():
        raise ValueError("mask keeps no column")
    return kept


def read_patient(path: str | Path) -> str | None:
    """The file's name for its patient, if it has one."""
    with opening(path) as file:
        value = read_attribute(file, "patient_id")
    return None if value is None else str(value)


def read_acceleration(path: str | Path) -> int | None:
    """The nominal acceleration that an undersampled file states, if it does."""
    with opening(path) as file:
        stated = read_number(file, "acceleration")
        if stated is not None and not 1 <= stated <= LARGEST_SIDE:
            raise ValueError(f"attribute acceleration must be from 1 to {LARGEST_SIDE}, is {stated:g}")
    return None if stated is None else round(stated)
