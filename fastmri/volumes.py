"""One fastMRI file: what it holds, its slices one at a time, and how it is written."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import h5py
import numpy as np

from fastmri.atomic import replacing
from fastmri.header import Header, format_header, parse_header
from fastmri.stored import Stored

TARGET = "reconstruction_esc"  # reconstruction_rss has another contrast and is never the target here
DAMAGED = (OSError, RuntimeError, KeyError)  # what h5py raises
ACQUISITIONS = ("CORPD_FBK", "CORPDFS_FBK")  # proton density, without and with fat suppression


class Volume(NamedTuple):
    """What is known of a file without reading its samples."""

    path: str
    kspace_shape: tuple[int, int, int]  # (slices, rows, columns)
    recon_size: tuple[int, int]
    acquired: tuple[int, int]  # columns [left, right) that are not zero padding
    acquisition: str
    max_value: float | None  # maximum of the raw target volume
    has_target: bool
    has_mask: bool
    stored: Stored | None = None  # where its hybrid data are kept, if they are

    @property
    def fname(self) -> str:
        return os.path.basename(self.path)

    @property
    def num_slices(self) -> int:
        return self.kspace_shape[0]

    @property
    def hybrid_shape(self) -> tuple[int, int]:
        """Shape of a slice once the readout is transformed and cropped: (recon rows, columns)."""
        return self.recon_size[0], self.kspace_shape[2]


def describe_volume(path: str | Path) -> Volume:
    """Read a file's metadata. Raises ValueError in one line if it can't be a single-coil volume."""
    try:
        with h5py.File(path, "r") as file:
            return _describe(Path(path), file)
    except DAMAGED as error:
        raise ValueError(f"{path}: not a readable HDF5 file ({one_line(error)})") from None


def one_line(error: Exception) -> str:
    """A library's message without its line breaks, or the error's name where it says nothing."""
    return " ".join(str(error).split()) or type(error).__name__


def _describe(path: Path, file: h5py.File) -> Volume:
    if "kspace" not in file:
        raise ValueError(f"{path}: no dataset 'kspace'; a fastMRI single-coil file has one")
    kspace = file["kspace"]
    if not isinstance(kspace, h5py.Dataset):
        raise ValueError(f"{path}: kspace must be a dataset, is a group")
    if kspace.ndim != 3 or kspace.dtype.kind != "c" or 0 in kspace.shape:
        raise ValueError(
            f"{path}: kspace must be complex (slices, rows, columns), is {kspace.dtype} {kspace.shape}"
        )
    header = _header(path, file) if "ismrmrd_header" in file else None
    recon_size = _recon_size(path, file, header)
    return Volume(
        path=str(path),
        kspace_shape=tuple(kspace.shape),
        recon_size=recon_size,
        acquired=_acquired(path, kspace.shape[2], header),
        acquisition=_acquisition(file),
        max_value=_max_value(path, file),
        has_target=TARGET in file,
        has_mask="mask" in file,
    )


def _acquisition(file: h5py.File) -> str:
    """Text however it was stored: str, bytes, or an array of one."""
    value = np.asarray(file.attrs.get("acquisition", "unknown")).ravel()[0]
    return value.decode() if isinstance(value, bytes) else str(value)


def _header(path: Path, file: h5py.File) -> Header:
    stored = file["ismrmrd_header"]
    if stored.shape != ():
        raise ValueError(f"{path}: ismrmrd_header must be a scalar, has shape {stored.shape}")
    value = stored[()]
    try:
        return parse_header(value.encode() if isinstance(value, str) else bytes(value))
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None


def _recon_size(path: Path, file: h5py.File, header: Header | None) -> tuple[int, int]:
    """From the target, else the header, else fastMRI's rule: 2x readout oversampling, a square image."""
    slices, rows, columns = file["kspace"].shape
    if TARGET in file:
        shape = file[TARGET].shape
        if len(shape) != 3 or shape[0] != slices:
            raise ValueError(f"{path}: {TARGET} must be ({slices}, h, w), is {shape}")
        size = (int(shape[1]), int(shape[2]))
    elif header is not None:
        size = (header.recon[0], min(header.recon[1], columns))  # some files are narrower than they say
    else:
        size = (max(rows // 2, 1), min(max(rows // 2, 1), columns))
    if not (0 < size[0] <= rows and 0 < size[1] <= columns):
        raise ValueError(f"{path}: a reconstruction of {size} does not fit k-space of {(rows, columns)}")
    return size


def _acquired(path: Path, columns: int, header: Header | None) -> tuple[int, int]:
    if header is None:
        return 0, columns
    left, right = header.acquired
    if not 0 <= left < right <= columns:
        raise ValueError(f"{path}: header's acquired columns [{left}, {right}) do not fit {columns} columns")
    return left, right


def _max_value(path: Path, file: h5py.File) -> float | None:
    if "max" not in file.attrs:
        return float(file[TARGET][()].max()) if TARGET in file else None
    try:
        return float(file.attrs["max"])
    except (TypeError, ValueError):
        raise ValueError(f"{path}: attribute max must be a number, is {file.attrs['max']!r}") from None


def write_volume(
    path: str | Path,
    kspace: np.ndarray,
    target: np.ndarray,
    *,
    acquisition: str,
    acquired: tuple[int, int],
    attributes: dict[str, str | int | float],
) -> None:
    """Write a train / val file in fastMRI's layout, atomically.

    kspace complex (S, rows, columns), zero outside the `acquired` columns; target float (S, h, w).
    `attributes` are added to `acquisition`, `max`, `norm` and must hold `patient_id`.
    """
    assert kspace.shape[0] == target.shape[0]
    assert "patient_id" in attributes
    rows, columns = kspace.shape[1:]
    left, right = acquired
    header = Header(
        encoded=(rows, columns, 1),
        recon=(target.shape[1], target.shape[2], 1),
        center=columns // 2 - left,
        maximum=right - left - 1,
    )
    target = target.astype(np.float32)
    with replacing(path) as partial, h5py.File(partial, "w") as file:
        file["kspace"] = kspace.astype(np.complex64)
        file[TARGET] = target
        file["ismrmrd_header"] = format_header(header)
        file.attrs["acquisition"] = acquisition
        file.attrs["max"] = float(target.max())
        file.attrs["norm"] = float(np.linalg.norm(target.astype(np.float64)))
        file.attrs.update(attributes)


@contextmanager
def naming(path: str | Path) -> Iterator[None]:
    """What h5py raises of damaged samples becomes a ValueError that names the file."""
    try:
        yield
    except DAMAGED as error:
        raise ValueError(f"{path}: can't be read ({one_line(error)})") from None


@contextmanager
def _reading(path: str | Path) -> Iterator[h5py.File]:
    with naming(path), h5py.File(path, "r") as file:
        yield file


def read_kspace(path: str | Path, slices: list[int]) -> np.ndarray:
    """Some slices' k-space, complex64 (len(slices), rows, columns); reads no other slice."""
    with _reading(path) as file:
        kspace = file["kspace"]
        return np.stack([kspace[k] for k in slices]).astype(np.complex64, copy=False)


def read_target(path: str | Path, slice_num: int) -> np.ndarray:
    """One slice of the raw target, float32 (h, w)."""
    with _reading(path) as file:
        return file[TARGET][slice_num].astype(np.float32, copy=False)


def read_mask(path: str | Path) -> np.ndarray:
    """The file's own mask, bool (columns,). Raises ValueError if its length is another."""
    with _reading(path) as file:
        mask, columns = np.asarray(file["mask"]).astype(bool).ravel(), file["kspace"].shape[2]
    if mask.size != columns:
        raise ValueError(f"{path}: mask must have {columns} entries, one per column, has {mask.size}")
    return mask


def read_patient(path: str | Path) -> str | None:
    """The file's name for its patient, if it has one."""
    with _reading(path) as file:
        value = file.attrs.get("patient_id")
    return None if value is None else str(value)


def read_acceleration(path: str | Path) -> int | None:
    """The nominal acceleration that an undersampled file states, if it does."""
    with _reading(path) as file:
        stated = file.attrs.get("acceleration")
    return None if stated is None else round(float(stated))
