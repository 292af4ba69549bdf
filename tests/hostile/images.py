"""Images to import that are broken, or made to harm, each from a good tiny one."""

import gzip
import io
import pickle
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import nibabel
import numpy as np
import pydicom
from pydicom.uid import UID, DeflatedExplicitVRLittleEndian, ExplicitVRLittleEndian, MRImageStorage

PIXELS = np.pad(np.arange(1, 145).reshape(1, 12, 12), ((0, 0), (4, 4), (4, 4))).astype(np.uint16)


def good_npy() -> bytes:
    file = io.BytesIO()
    np.save(file, PIXELS.astype(np.float32))
    return file.getvalue()


def good_nifti() -> bytes:
    return nibabel.Nifti1Image(PIXELS[0][..., None].astype(np.float32), np.eye(4)).to_bytes()


def good_dicom(syntax: UID = ExplicitVRLittleEndian, **fields) -> bytes:
    meta = pydicom.dataset.FileMetaDataset()
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = MRImageStorage, UID("1.2.3")
    meta.TransferSyntaxUID = syntax
    dataset = pydicom.dataset.FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
    dataset.SOPClassUID, dataset.SOPInstanceUID = MRImageStorage, "1.2.3"
    dataset.Modality, dataset.PatientID = "MR", "Doe^John"
    dataset.SeriesInstanceUID = f"1.2.{zlib.crc32(repr((syntax, fields)).encode())}"  # each one by itself
    dataset.SliceLocation, dataset.Rows, dataset.Columns = 1.0, *PIXELS.shape[1:]
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.BitsAllocated = dataset.BitsStored = 16
    dataset.HighBit, dataset.PixelRepresentation = 15, 0
    for name, value in fields.items():
        setattr(dataset, name, value)
    dataset.PixelData = PIXELS.tobytes()
    file = io.BytesIO()
    dataset.save_as(file, enforce_file_format=True)
    return file.getvalue()


def npy_of(shape: str, kind: str = "<f4") -> bytes:
    """A header alone."""
    header = f"{{'descr': '{kind}', 'fortran_order': False, 'shape': {shape}, }}".encode()
    return b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header


def nifti_of(shape: tuple[int, ...], offset: float = 352, slope: float = 1) -> bytes:
    """A header with so many voxels, and those of the good one."""
    data = bytearray(good_nifti())
    data[40:56] = np.array([len(shape), *shape, *[1] * (7 - len(shape))], "<i2").tobytes()
    data[108:116] = np.array([offset, slope], "<f4").tobytes()
    return bytes(data)


def zeros(size: int) -> bytes:
    """A gzip file that becomes so many bytes."""
    packed = zlib.compressobj(9, wbits=31)
    return b"".join([*(packed.compress(bytes(2**20)) for _ in range(size // 2**20)), packed.flush()])


def deflated(size: int) -> bytes:
    """A deflated DICOM file that becomes so many bytes."""
    data = good_dicom(DeflatedExplicitVRLittleEndian)
    plain = zlib.decompress(data[_dataset(data) :], -15)
    element = (
        (0x7FE1).to_bytes(2, "little") + (0x10).to_bytes(2, "little") + b"OB\0\0" + size.to_bytes(4, "little")
    )
    packed = zlib.compressobj(9, wbits=-15)
    parts = [packed.compress(plain + element), *(packed.compress(bytes(2**20)) for _ in range(size // 2**20))]
    return data[: _dataset(data)] + b"".join(parts) + packed.flush()


def _dataset(data: bytes) -> int:
    """Where what follows the file's meta information begins."""
    file = io.BytesIO(data)
    pydicom.filereader.read_preamble(file, force=False)
    length = pydicom.filereader._read_file_meta_info(file).FileMetaInformationGroupLength
    return 132 + 12 + length


def zipped() -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.npy", good_npy())
    return file.getvalue()


class Harm:
    def __reduce__(self):
        return (Path("unpickled").touch, ())


def undefined() -> bytes:
    """Sequences in sequences, none of which ends."""
    start = b"\x08\x00\x15\x11SQ\0\0\xff\xff\xff\xff" + b"\xfe\xff\x00\xe0\xff\xff\xff\xff"
    data = good_dicom()
    return data[: _dataset(data)] + start * 3000


HARMS: dict[str, tuple[Callable[[], bytes], str]] = {  # file name: its content, what is said of it
    "terabytes.npy": (lambda: npy_of("(10000, 10000, 10000)"), "is too large"),
    "short.npy": (lambda: npy_of("(30, 1000, 1000)"), "declares 120000000 bytes"),
    "below.npy": (lambda: npy_of("(-1, 5, 5)"), "shape (-1, 5, 5) is none"),
    "truth.npy": (lambda: npy_of("(True, 5, 5)"), "shape (True, 5, 5) is none"),
    "code.npy": (lambda: npy_of("__import__('os')"), "not a readable .npy file"),
    "pickle.npy": (lambda: pickle.dumps(Harm()), "not a readable .npy file"),
    "object.npy": (lambda: npy_of("(1, 5, 5)", "|O") + pickle.dumps(Harm()), "Python objects are not loaded"),
    "zip.npy": (zipped, "not a readable .npy file"),
    "torn.npy": (lambda: npy_of("((((") + bytes(99), "not a readable .npy file"),
    "terabytes.nii": (lambda: nifti_of((32000, 32000, 32000)), "is too large"),
    "short.nii": (lambda: nifti_of((400, 400, 400)), "declares 256000000 bytes"),
    "below.nii": (lambda: nifti_of((-20, -20, 1)), "shape (-20, -20, 1) is none"),
    "seven.nii": (lambda: nifti_of((1, 20, 20, 1, 1, 1, 2)), "declares 3200 bytes"),
    "kind.nii": (lambda: good_nifti()[:70] + b"\xe7\x03" + good_nifti()[72:], "not a readable NIfTI header"),
    "far.nii": (lambda: nifti_of((20, 20, 1), offset=1e30), "not a readable NIfTI"),
    "bomb.nii.gz": (lambda: zeros(2**26), "neither NIfTI-1 nor NIfTI-2"),
    "image.nii.gz": (
        lambda: gzip.compress(nifti_of((512, 512, 200))) + zeros(2**26),
        "declares 209715200 bytes",
    ),
    "cut.nii.gz": (lambda: gzip.compress(good_nifti())[:-20], "not a readable NIfTI"),
    "inflate.dcm": (lambda: deflated(2**27), "deflated DICOM of more than"),
    "undefined.dcm": (undefined, "not a readable DICOM"),
    "colour.dcm": (lambda: good_dicom(SamplesPerPixel=3), "colour DICOM"),
    "rows.dcm": (lambda: good_dicom(Rows=65535, Columns=65535), "DICOM of 65535x65535"),
    "zero.dcm": (lambda: good_dicom(Rows=0), "DICOM of 0x20"),
    "more.dcm": (lambda: good_dicom(Rows=400), "no readable pixels"),
    "place.dcm": (lambda: good_dicom(SliceLocation="1e999"), "DICOM with inf"),
    "frames.dcm": (lambda: good_dicom(NumberOfFrames=2000000000), "multi-frame DICOM"),
    "odd.dcm": (lambda: good_dicom()[:141], "not a readable DICOM"),  # a length of the group in half
    "slope.dcm": (lambda: good_dicom(RescaleSlope="1e38"), "NaN or infinite"),
    "cut.dcm": (lambda: good_dicom(StudyID="2")[:-300], "no readable pixels"),
    "long.dcm": (
        lambda: good_dicom()[: _dataset(good_dicom())] + b"\x08\0\x3e\x10UN\0\0\xf0\xff\xff\xff",
        "DICOM",
    ),
}
