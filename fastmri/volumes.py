"""One fastMRI file: what is known of it without reading its samples."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import h5py
import numpy as np

from fastmri.header import Header, parse_header
from fastmri.opening import (
    LARGEST_HEADER,
    check_samples,
    find_dataset,
    opening,
    printable,
    read_attribute,
    read_number,
)

if TYPE_CHECKING:
    from fastmri.stored import Stored  # brings torch, which a file's description has no need of

TARGET = "reconstruction_esc"  # reconstruction_rss has another contrast and is never the target here
SMALLEST_SIDE = 11  # pixels: the window of SSIM in the training loss
READ_LATER = ("acceleration", "norm", "patient_id")  # attributes; read once here, lest they harm then
LONGEST_LABEL = 64  # characters of an acquisition: it heads tables
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
    stored: "Stored | None" = None  # where its hybrid data are kept, if they are

    @property
    def fname(self) -> str:
        return os.path.basename(self.path)

    @property
    def target_maximum(self) -> float:
        """`max_value` of a volume that has a target."""
        assert self.max_value is not None
        return self.max_value

    @property
    def num_slices(self) -> int:
        return self.kspace_shape[0]

    @property
    def hybrid_shape(self) -> tuple[int, int]:
        """Shape of a slice once the readout is transformed and cropped: (recon rows, columns)."""
        return self.recon_size[0], self.kspace_shape[2]


def describe_volume(path: str | Path) -> Volume:
    """Read a file's metadata. Raises ValueError in one line if it can't be a single-coil volume."""
    with opening(path, "not a readable HDF5 file") as file:
        return _describe(str(path), file)


def _describe(path: str, file: h5py.File) -> Volume:
    kspace = find_dataset(file, "kspace")
    if kspace is None:
        raise ValueError("no dataset 'kspace'; a fastMRI single-coil file has one")
    if len(kspace.shape or ()) != 3 or kspace.dtype.kind != "c" or 0 in kspace.shape:
        raise ValueError(f"kspace must be complex (slices, rows, columns), is {kspace.dtype} {kspace.shape}")
    check_samples(kspace, "kspace")
    target = find_dataset(file, TARGET)
    if target is not None:
        _check_target(target, kspace.shape[0])
    header = read_header(file)
    recon_size = _recon_size(kspace.shape, target, header)
    if min(*recon_size, *kspace.shape[1:]) < SMALLEST_SIDE:
        raise ValueError(
            f"{SMALLEST_SIDE} pixels a side are needed, kspace is {kspace.shape[1:]}, its image {recon_size}"
        )
    for name in READ_LATER:
        read_attribute(file, name)
    return Volume(
        path=path,
        kspace_shape=tuple(kspace.shape),
        recon_size=recon_size,
        acquired=_acquired(kspace.shape[2], header),
        acquisition=_acquisition(file),
        max_value=_max_value(file, target),
        has_target=target is not None,
        has_mask=find_dataset(file, "mask") is not None,
    )


def _check_target(target: h5py.Dataset, slices: int) -> None:
    if len(target.shape or ()) != 3 or target.shape[0] != slices or 0 in target.shape:
        raise ValueError(f"{TARGET} must be ({slices}, h, w), is {target.shape}")
    if target.dtype.kind not in "fiu":
        raise ValueError(f"{TARGET} must be of real numbers, is {target.dtype}")
    check_samples(target, TARGET)


def _acquisition(file: h5py.File) -> str:
    """Text however it was stored: str, bytes, or an array of one."""
    value = read_attribute(file, "acquisition")
    values = np.asarray("unknown" if value is None else value).ravel()
    first = values[0] if values.size else "unknown"
    text = first.decode(errors="replace") if isinstance(first, bytes) else str(first)
    return printable(text[:LONGEST_LABEL])


def read_header(file: h5py.File) -> Header | None:
    """The ISMRMRD header, None where there is none. Raises ValueError if it is malformed."""
    stored = find_dataset(file, "ismrmrd_header")
    if stored is None:
        return None
    if stored.shape != ():
        raise ValueError(f"ismrmrd_header must be a scalar, has shape {stored.shape}")
    if stored.dtype.itemsize > LARGEST_HEADER:
        raise ValueError(f"ismrmrd_header must be at most {LARGEST_HEADER} bytes")
    value = stored[()]
    return parse_header(value.encode() if isinstance(value, str) else bytes(value))


def _recon_size(
    shape: tuple[int, int, int], target: h5py.Dataset | None, header: Header | None
) -> tuple[int, int]:
    """From the target, else the header, else fastMRI's rule: 2x readout oversampling, a square image."""
    _, rows, columns = shape
    if target is not None:
        size = (int(target.shape[1]), int(target.shape[2]))
    elif header is not None:
        size = (header.recon[0], min(header.recon[1], columns))  # some files are narrower than they say
    else:
        size = (max(rows // 2, 1), min(max(rows // 2, 1), columns))
    if not (0 < size[0] <= rows and 0 < size[1] <= columns):
        raise ValueError(f"a reconstruction of {size} does not fit k-space of {(rows, columns)}")
    return size


def _acquired(columns: int, header: Header | None) -> tuple[int, int]:
    if header is None:
        return 0, columns
    left, right = header.acquired
    if not 0 <= left < right <= columns:
        raise ValueError(f"header's acquired columns [{left}, {right}) do not fit {columns} columns")
    return left, right


def _max_value(file: h5py.File, target: h5py.Dataset | None) -> float | None:
    stated = read_number(file, "max")
    if stated is not None and stated < 0:
        raise ValueError(f"attribute max must be that of magnitudes, is {stated:g}")
    if target is None:
        return stated
    largest = float(np.max([target[k].max() for k in range(len(target))])) if stated is None else stated
    if not 0 < largest < np.inf:  # a loss is in units of it
        raise ValueError(f"the maximum of {TARGET} must be finite and above 0, is {largest:g}")
    return largest
