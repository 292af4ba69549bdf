"""Images on disk as upright volumes: the NIfTI and .npy readers, and what all readers give."""

import gzip
import io
import logging
import math
import os
import re
import tokenize
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO, NamedTuple

import nibabel
import numpy as np
from nibabel import orientations

from fastmri.opening import MOST_COMPRESSED, MOST_VOXELS, printable

# it writes of faults, which it then raises too, without the name of the file
logging.getLogger("nibabel.global").setLevel(logging.CRITICAL)

# what numpy, nibabel and their decoders raise of broken files, by where in them they stumble
NPY_DAMAGED = (
    OSError,
    EOFError,
    ValueError,
    SyntaxError,
    TypeError,
    OverflowError,
    MemoryError,
    tokenize.TokenError,
)
NIFTI_DAMAGED = (
    OSError, EOFError, ValueError, KeyError, TypeError, OverflowError, MemoryError, zlib.error,
    nibabel.filebasedimages.ImageFileError,
)  # fmt: skip
NIFTI_HEAD = 2**20  # bytes of header and its extensions: comments and the like

LONGEST_REASON = 200  # characters of a library's message

MODALITIES = re.compile(
    r"(?:^|[^A-Z0-9])(FLAIR|MPRAGE|DWI|ADC|SWI|BOLD|T2STAR|T[12](?:W|CE|C|GD)?|PDF?S?W?)(?=$|[^A-Z0-9])"
)
SUBJECT = re.compile(r"(?:sub|subj|subject|patient|pat)[-_]?[a-z0-9]*\d+", re.IGNORECASE)
# (slices, rows downwards, columns to the right) run towards these, as radiologists look at each plane
UPRIGHT = {0: ("L", "I", "P"), 1: ("P", "I", "L"), 2: ("S", "P", "L")}  # sagittal, coronal, axial


class Pictures(NamedTuple):
    """One volume of images on disk, not yet read."""

    path: Path  # the file, or the first one of a DICOM series
    name: str  # the path relative to the source
    subject: str  # volumes of one subject belong on one side of a split; never written to a file
    acquisition: str
    read: Callable[[], np.ndarray]  # (S, H, W), row 0 on top; raises ValueError with the reason alone


def is_array_file(path: Path) -> bool:
    """Whether the name is that of a NIfTI or .npy file."""
    return path.name.lower().endswith((".nii", ".nii.gz", ".npy"))


def array_pictures(path: Path, name: str, *, slice_axis: int | None) -> Pictures:
    """The volume in one NIfTI or .npy file."""
    read = read_npy if path.suffix.lower() == ".npy" else read_nifti
    subject = SUBJECT.search(name)
    return Pictures(
        path=path,
        name=name,
        subject=subject[0].lower() if subject else name,
        acquisition=label_from_name(path.name),
        read=lambda: read(path, slice_axis=slice_axis),
    )


def label_from_name(name: str) -> str:
    """The last modality in a file name: 'patient01_T2W.nii.gz' -> 'T2W'; 'IMPORTED' where there is none."""
    found = MODALITIES.findall(name.upper())
    return found[-1] if found else "IMPORTED"


def check_declared(shape: tuple[int, ...], itemsize: int, held: float) -> None:
    """Raises ValueError if an image is more than can be imported, or than its file's `held` bytes."""
    if not all(isinstance(n, int | np.integer) and not isinstance(n, bool) and n >= 0 for n in shape):
        raise ValueError(f"shape {shape} is none")
    count = math.prod(int(n) for n in shape)
    if count > MOST_VOXELS:
        raise ValueError(f"is too large, with shape {shape}; at most {MOST_VOXELS} voxels are allowed")
    if count * itemsize > held:
        raise ValueError(f"declares {count * itemsize} bytes, which the file can't hold")


def read_npy(path: Path, *, slice_axis: int | None) -> np.ndarray:
    """A real or complex array (S, H, W) or (H, W), row 0 on top; the shortest axis is the slices'."""
    try:
        with open(path, "rb") as file:
            _check_npy(file)
            array = np.lib.format.read_array(file, allow_pickle=False)
    except NPY_DAMAGED as error:
        raise ValueError(f"not a readable .npy file of numbers ({first_line(error)})") from None
    array = _three_axes(array)
    return np.moveaxis(array, shortest_axis(array.shape, slice_axis), 0)


def _check_npy(file: BinaryIO) -> None:
    """Raises ValueError if the array is not in the file; leaves the file at its start."""
    version = np.lib.format.read_magic(file)
    headers = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
    if version not in headers:  # 3.0 is for names of fields, which images don't have
        raise ValueError(f"version {version} of the format is not one of numbers")
    shape, _, dtype = headers[version](file)
    if dtype.hasobject:
        raise ValueError("Python objects are not loaded")
    check_declared(shape, dtype.itemsize, os.fstat(file.fileno()).st_size)
    file.seek(0)


def read_nifti(path: Path, *, slice_axis: int | None) -> np.ndarray:
    """A volume turned upright by its affine; the shortest axis is the slices', in the file's order."""
    try:
        kind = _check_nifti(path)
        # read rather than mapped: a file that is cut short meanwhile is an error then, not the end
        image = kind.from_filename(path, mmap=False)
        with np.errstate(over="ignore", invalid="ignore"):  # a scale of its header; pixels are looked at
            array = np.asanyarray(image.dataobj)
    except nibabel.spatialimages.HeaderDataError as error:
        raise ValueError(f"not a readable NIfTI header ({first_line(error)})") from None
    except NIFTI_DAMAGED as error:
        raise ValueError(f"not a readable NIfTI file ({first_line(error)})") from None
    array = _three_axes(array)
    return _stand_upright(array, image.affine, shortest_axis(array.shape, slice_axis, last=True))


def _check_nifti(path: Path) -> type[nibabel.Nifti1Image]:
    """The kind of NIfTI, 1 or 2. Raises ValueError if its array is not in the file."""
    packed = path.name.lower().endswith(".gz")
    with gzip.open(path) if packed else open(path, "rb") as file:
        head = file.read(NIFTI_HEAD)
    kinds = (nibabel.Nifti1Image, nibabel.Nifti2Image)
    kind = next((kind for kind in kinds if kind.header_class.may_contain_header(head)), None)
    if kind is None:
        raise ValueError("neither NIfTI-1 nor NIfTI-2 by its first bytes")
    header = kind.header_class.from_fileobj(io.BytesIO(head))
    if not 0 <= header.get_data_offset() <= NIFTI_HEAD:
        raise ValueError(f"voxels from byte {header.get_data_offset()} on; at most {NIFTI_HEAD} are allowed")
    held = path.stat().st_size * (MOST_COMPRESSED if packed else 1)
    check_declared(header.get_data_shape(), header.get_data_dtype().itemsize, held)
    return kind


def _stand_upright(array: np.ndarray, affine: np.ndarray, axis: int) -> np.ndarray:
    """(S, H, W) by turns and mirrors of whole axes; the slices keep the order of the file."""
    finite = np.isfinite(affine).all()
    start = orientations.io_orientation(affine) if finite else np.full((3, 2), np.nan)
    if np.isnan(
        start
    ).any():  # an affine that is singular or no number says nothing: take x to the right, y upwards
        start = np.array([[0, -1], [1, 1], [2, 1]])
    end = orientations.axcodes2ornt(UPRIGHT[int(start[axis, 0])])
    end[0, 1] = start[axis, 1]
    return orientations.apply_orientation(array, orientations.ornt_transform(start, end))


def _three_axes(array: np.ndarray) -> np.ndarray:
    """One slice gets its slice axis at the end where NIfTI has it; 4-D and non-numbers are refused."""
    if array.dtype.kind not in "biufc":
        raise ValueError(f"holds {array.dtype}, not real or complex numbers")
    shape = array.shape
    while array.ndim > 3 and array.shape[-1] == 1:
        array = array[..., 0]
    if array.ndim == 2:
        array = array[..., None]
    if array.ndim != 3:
        raise ValueError(f"is {len(shape)}-D with shape {shape}; 2-D or 3-D is allowed, so split it first")
    if 0 in shape:
        raise ValueError(f"is empty, with shape {shape}")
    return array


def shortest_axis(shape: tuple[int, ...], slice_axis: int | None, *, last: bool = False) -> int:
    """The axis asked for, else the shortest; of equals the first, or the `last` as NIfTI stores them."""
    if 1 in shape:  # a single slice, wherever it is
        slice_axis = None
    if slice_axis is not None:
        return slice_axis
    return 2 - int(np.argmin(shape[::-1])) if last else int(np.argmin(shape))


def first_line(error: Exception) -> str:
    """What a library's message says first, for messages of one line; some go on to quote the file."""
    return printable((str(error).strip() or type(error).__name__).splitlines()[0][:LONGEST_REASON])
