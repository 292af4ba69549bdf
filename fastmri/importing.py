"""Images of any scanner as emulated single-coil volumes in fastMRI's layout."""

import hashlib
import os
import re
from pathlib import Path
from typing import NamedTuple

import numpy as np
from loguru import logger
from tqdm import tqdm

from fastmri.dicom import is_dicom_file
from fastmri.opening import printable
from fastmri.pictures import Pictures, array_pictures, is_array_file
from fastmri.rescan import check_images, emulate_scan, matrix_of
from fastmri.series import dicom_volumes
from fastmri.splitting import move_to_val
from fastmri.volumes import SMALLEST_SIDE
from fastmri.writing import write_volume

SPLITS = ("train", "val")


class ImportReport(NamedTuple):
    written: list[Path]
    skipped: list[tuple[Path, str]]  # (file, reason)
    ignored: int  # files of other kinds


class _Emulation(NamedTuple):
    """How images become a scan."""

    snr: float
    seed: int
    matrix: int | tuple[int, int] | None
    acquisition: str | None


class _Found(NamedTuple):
    volumes: list[Pictures]
    skipped: list[tuple[Path, str]]
    ignored: int


def import_images(
    source: Path,
    out: Path,
    *,
    snr: float = 30.0,
    seed: int = 0,
    matrix: int | tuple[int, int] | None = None,
    slice_axis: int | None = None,
    val_fraction: float = 0.2,
    split: str | None = None,
    acquisition: str | None = None,
) -> ImportReport:
    """Write every volume of images under `source` to `out`/singlecoil_{train,val}.

    `snr`: mean magnitude of the foreground over the standard deviation of the complex noise in the image.
    `matrix`: pixels of the longer side, or (rows, columns), by cropping k-space: the field of view stays.
    `split`: all to 'train' or 'val'; else `val_fraction` of the volumes, at least one of two or more, by
    whole subjects where they are known. `slice_axis`: of NIfTI and .npy arrays, else their shortest.
    A volume depends on `seed` and its own relative name alone. Raises ValueError on a wrong option.
    """
    source, out = Path(source), Path(out)
    _check_options(source, out, snr, seed, matrix, slice_axis, val_fraction, split)
    found = _find(source, slice_axis)
    if source.is_file() and found.ignored:
        raise ValueError(f"{source}: is no DICOM, NIfTI (.nii, .nii.gz) or .npy file")
    for path, reason in found.skipped:
        logger.warning("{}: {}", printable(str(path)), reason)
    try:
        emulation = _Emulation(snr, seed, matrix, acquisition)
        report = _write_all(found, out, split, val_fraction, emulation)
    except OSError as error:
        raise ValueError(f"{out}: cannot be written ({error})") from None
    logger.info(
        "{}: {} volumes written to {}, {} skipped with a message, {} files of other kinds",
        source, len(report.written), out, len(report.skipped), report.ignored,
    )  # fmt: skip
    return report


def _write_all(
    found: _Found, out: Path, split: str | None, val_fraction: float, emulation: _Emulation
) -> ImportReport:
    """Write one volume after the other; those that can't be read are named and left out."""
    folder = out / f"singlecoil_{split or 'train'}"
    folder.mkdir(parents=True, exist_ok=True)
    skipped = list(found.skipped)
    written: list[Path] = []
    subjects: list[str] = []
    firsts: dict[str, int] = {}  # the first volume of each subject stands for its name
    number = _next_number(out)
    for pictures in tqdm(found.volumes, desc="import", unit="volume", disable=None):
        current = number + len(written)
        path = folder / f"file{current}.h5"
        try:
            patient = f"imported-{firsts.get(pictures.subject, current)}"
            _import_one(pictures, path, patient, emulation)
        except ValueError as error:
            logger.warning("{}: {}", printable(str(pictures.path)), error)
            skipped.append((pictures.path, str(error)))
        else:
            written.append(path)
            subjects.append(pictures.subject)
            firsts.setdefault(pictures.subject, current)
    if split is None:
        # last, because only now is it known how many could be read
        written = move_to_val(written, subjects, out / "singlecoil_val", val_fraction)
    return ImportReport(written, skipped, found.ignored)


def _check_options(
    source: Path,
    out: Path,
    snr: float,
    seed: int,
    matrix: int | tuple[int, int] | None,
    slice_axis: int | None,
    val_fraction: float,
    split: str | None,
) -> None:
    rules = [
        (source.exists(), f"{source}: no such file or folder to import"),
        (not out.is_file(), f"{out}: the output must be a folder, is a file"),
        (snr > 0, f"snr must be positive, is {snr}"),
        (seed >= 0, f"seed must be 0 or more, is {seed}"),
        (slice_axis in (None, 0, 1, 2), f"slice axis must be 0, 1 or 2, is {slice_axis}"),
        (0 <= val_fraction <= 1, f"val_fraction must be from 0 to 1, is {val_fraction}"),
        (split in (None, *SPLITS), f"split must be train or val, is {split}"),
    ]
    sides = () if matrix is None else (matrix,) if isinstance(matrix, int) else matrix
    # the centre of an even spectrum has no odd crop with the zero frequency at its own centre
    even = all(side >= SMALLEST_SIDE and side % 2 == 0 for side in sides) and len(sides) <= 2
    rules.append((even, f"matrix must be even and at least {SMALLEST_SIDE} a side, is {matrix}"))
    for right, message in rules:
        if not right:
            raise ValueError(message)


def _find(source: Path, slice_axis: int | None) -> _Found:
    """Sort the files under `source` by kind; only DICOM headers are read."""
    root = source.parent if source.is_file() else source
    files = [source] if source.is_file() else sorted(path for path in source.rglob("*") if path.is_file())
    named = [(path, path.relative_to(root).as_posix()) for path in files]
    arrays = [file for file in named if is_array_file(file[0])]
    dicoms = [file for file in named if not is_array_file(file[0]) and is_dicom_file(file[0])]
    volumes, skipped = dicom_volumes(dicoms)
    volumes += [array_pictures(path, name, slice_axis=slice_axis) for path, name in arrays]
    volumes.sort(key=lambda pictures: pictures.name)
    return _Found(volumes, skipped, len(named) - len(arrays) - len(dicoms))


def _next_number(out: Path) -> int:
    """One above the highest file number in either folder, so that a second import adds to the first."""
    names = [path.name for name in SPLITS for path in (out / f"singlecoil_{name}").glob("file*.h5")]
    numbers = [int(match[1]) for name in names if (match := re.fullmatch(r"file(\d+)\.h5", name))]
    return max(numbers, default=1000000) + 1


def _import_one(pictures: Pictures, path: Path, patient: str, emulation: _Emulation) -> None:
    snr, seed, matrix, acquisition = emulation
    images = pictures.read()
    if images.dtype.kind in "biu" or images.dtype == np.float16:
        # the magnitude of the smallest integer overflows, a product of half floats rounds to 11 bits
        images = images.astype(np.float32)
    check_images(images)
    height, width = images.shape[1:]
    size = matrix_of((height, width), matrix)
    words = np.frombuffer(hashlib.sha256(os.fsencode(pictures.name)).digest(), dtype=np.uint32)
    raw = emulate_scan(images, size=size, snr=snr, rng=np.random.default_rng([seed, *words.tolist()]))
    phase = "phase of the input" if np.iscomplexobj(images) else "smooth random phase"
    write_volume(
        path,
        raw.kspace,
        raw.target,
        acquisition=acquisition or pictures.acquisition,
        acquired=(0, size[1]),
        attributes={
            "patient_id": patient,
            "emulated": f"single-coil k-space emulated from images, {phase}, complex Gaussian noise",
            "source": printable(pictures.name),
            "source_size": "x".join(map(str, images.shape[1:])),
            "seed": seed,
            "snr": snr,
        },
    )
