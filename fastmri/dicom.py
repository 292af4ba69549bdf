"""One DICOM image on disk: its place in a volume, and its pixels."""

import re
import struct
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pydicom
from pydicom.uid import DeflatedExplicitVRLittleEndian

from fastmri.opening import LARGEST_SIDE, printable
from fastmri.pictures import first_line

# what pydicom and its decoders raise on damaged files and on codecs that are not installed
DAMAGED = (
    OSError, EOFError, ValueError, KeyError, AttributeError, TypeError,
    NotImplementedError, RuntimeError, OverflowError, MemoryError, zlib.error, struct.error,
    pydicom.errors.InvalidDicomError, pydicom.errors.BytesLengthException,
)  # fmt: skip
MOST_INFLATED = 2**26  # bytes of a deflated file: twice an image of 4096 x 4096
TAGS = [
    "SeriesInstanceUID", "StudyInstanceUID", "PatientID", "EchoTime", "SliceLocation", "InstanceNumber",
    "ImagePositionPatient", "ImageOrientationPatient", "SeriesDescription", "ScanningSequence",
    "Rows", "Columns", "NumberOfFrames", "SamplesPerPixel",
]  # fmt: skip


class Frame(NamedTuple):
    """One DICOM file's place in its volume."""

    path: Path
    name: str  # relative to the source
    series: str
    echo_time: float | None  # ms
    subject: str
    acquisition: str
    size: tuple[int, int]  # (rows, columns)
    orientation: tuple[float, ...] | None  # direction cosines of rows and columns
    position: float  # along the slice normal; only the order matters
    scale: str  # the tag that the position is of


def is_dicom_file(path: Path) -> bool:
    """Whether the file says that it is DICOM, by its magic or else by its name."""
    if path.suffix.lower() in (".dcm", ".ima", ".dicom"):
        return True
    try:
        with open(path, "rb") as file:
            return file.read(132)[128:] == b"DICM"
    except OSError:
        return False


def read_frame(path: Path, name: str) -> Frame:
    """Read a header; raises ValueError with the reason if the file holds no single image."""
    try:
        _check_inflated(path)
        with _silent():
            header = pydicom.dcmread(path, stop_before_pixels=True, specific_tags=TAGS)
            return _frame(path, name, _check_image(header))
    except DAMAGED as error:
        raise ValueError(_reason(error)) from None


@contextmanager
def _silent() -> Iterator[None]:
    """pydicom's warnings quote what files hold, of many lines each and characters that terminals obey."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _check_inflated(path: Path) -> None:
    """Raises ValueError if a deflated file becomes too large: pydicom inflates it at once."""
    with open(path, "rb") as file, _silent():
        if file.read(132)[128:] != b"DICM":
            return  # without the magic nothing says that it is deflated
        file.seek(0)
        preamble = pydicom.filereader.read_preamble(file, force=False)
        meta = pydicom.filereader._read_file_meta_info(file)
        if preamble is None or meta.get("TransferSyntaxUID") != DeflatedExplicitVRLittleEndian:
            return
        inflated = zlib.decompressobj(-zlib.MAX_WBITS).decompress(file.read(), MOST_INFLATED + 1)
    if len(inflated) > MOST_INFLATED:
        raise ValueError(f"deflated DICOM of more than {MOST_INFLATED} bytes")


def _check_image(header: pydicom.Dataset) -> pydicom.Dataset:
    """The header, if it is that of one grey image."""
    if "Rows" not in header or "Columns" not in header:
        raise ValueError("DICOM without an image")
    if int(header.get("NumberOfFrames") or 1) > 1:
        raise ValueError("multi-frame DICOM; convert it to single frames or to NIfTI first")
    if int(header.get("SamplesPerPixel") or 1) != 1:
        raise ValueError("colour DICOM; only grey images are MR magnitudes")
    size = int(header.Rows), int(header.Columns)
    if not 0 < min(size) <= max(size) <= LARGEST_SIDE:
        raise ValueError(f"DICOM of {size[0]}x{size[1]}; at most {LARGEST_SIDE} a side")
    return header


def _reason(error: Exception) -> str:
    own = type(error) is ValueError and "DICOM" in str(error)
    return str(error) if own else f"not a readable DICOM file ({first_line(error)})"


def _frame(path: Path, name: str, header: pydicom.Dataset) -> Frame:
    orientation = header.get("ImageOrientationPatient")
    echo_time = header.get("EchoTime")
    series = str(header.get("SeriesInstanceUID") or Path(name).parent)
    scale, position = _place(header)
    return Frame(
        path=path,
        name=name,
        series=series,
        echo_time=None if echo_time is None else _finite(float(echo_time)),
        subject=str(header.get("PatientID") or header.get("StudyInstanceUID") or series),
        acquisition=_label(header),
        size=(int(header.Rows), int(header.Columns)),
        orientation=tuple(round(float(cosine), 2) for cosine in orientation) if orientation else None,
        position=_finite(position),
        scale=scale,
    )


def _finite(value: float) -> float:
    """The value; one that isn't finite has no place in an order."""
    if not np.isfinite(value):
        raise ValueError(f"DICOM with {value} for a position or time")
    return value


def _label(header: pydicom.Dataset) -> str:
    """A short word for the contrast, without the echo, so that tables by acquisition stay short."""
    sequence = header.get("ScanningSequence") or ""
    sequence = sequence if isinstance(sequence, str) else "_".join(sequence)
    text = str(header.get("SeriesDescription") or sequence).upper()
    return re.sub(r"[^A-Z0-9]+", "_", text).strip("_")[:24] or "IMPORTED"


def _place(header: pydicom.Dataset) -> tuple[str, float]:
    """A tag, and the position by it; SliceLocation, which may be of any origin, where there is no corner."""
    corner, cosines = header.get("ImagePositionPatient"), header.get("ImageOrientationPatient")
    if np.size(corner) == 3 and np.size(cosines) == 6:
        cosines = np.array(cosines, dtype=float)
        normal = np.cross(cosines[:3], cosines[3:])
        return "ImagePositionPatient", float(normal @ np.array(corner, dtype=float))
    if header.get("SliceLocation") is not None:
        return "SliceLocation", float(header.SliceLocation)
    return "InstanceNumber", float(header.get("InstanceNumber") or 0)


def read_pixels(frame: Frame) -> np.ndarray:
    """The image (H, W) as displayed, row 0 on top, after the rescale of its header."""
    try:
        with _silent(), np.errstate(all="ignore"):  # values are looked at when the volume is whole
            dataset = pydicom.dcmread(frame.path)
            pixels = dataset.pixel_array
            slope, intercept = dataset.get("RescaleSlope"), dataset.get("RescaleIntercept")
            if pixels.shape != frame.size:
                raise ValueError(f"pixels of {pixels.shape}, where its header says {frame.size}")
            if slope is None and intercept is None:
                return pixels
            return pixels * np.float32(1 if slope is None else slope) + np.float32(intercept or 0)
    except DAMAGED as error:
        raise ValueError(f"{printable(frame.name)} has no readable pixels ({first_line(error)})") from None
