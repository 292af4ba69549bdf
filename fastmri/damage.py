"""What is wrong with one file: samples, shapes and attributes against what fastMRI's files promise."""

from collections import defaultdict
from pathlib import Path
from typing import NamedTuple

import h5py
import numpy as np
import torch

from fastmri.contents import load_mask
from fastmri.fourier import ifft2c
from fastmri.image import center_crop
from fastmri.inspecting import inspect
from fastmri.opening import find_dataset, opening, printable, read_number
from fastmri.volumes import TARGET, Volume, read_header

WITH_TARGET = ("singlecoil_train", "singlecoil_val")  # folders
TARGET_TOLERANCE = 1e-4  # relative, per slice; float32 transforms differ by about 1e-6
ATTRIBUTE_TOLERANCE = 1e-3  # relative


class FileReport(NamedTuple):
    path: Path
    volume: Volume | None  # None where the file can't be read
    notes: list[str]  # what it is, and what is unusual but allowed
    problems: list[str]


def check_file(path: Path) -> FileReport:
    """Everything that can be said of one file; never raises for what is in it."""
    named = f"{printable(str(path))}: "
    volume, notes, problems = None, [], []
    try:
        volume = inspect(path)
        # what is beyond float32 is named as infinite, and need not be warned of too
        with opening(path, "unreadable") as file, np.errstate(over="ignore", invalid="ignore"):
            notes += _notes(file, volume)
            problems += _check_shapes(file, volume, path.parent.name)
            mask = _mask(file, volume, problems)
            found = _check_slices(file, volume, mask, problems)
            problems += _check_attributes(file, found) if volume.has_target else []
    except ValueError as error:
        problems.append(str(error).removeprefix(named))
    return FileReport(path, volume, notes, problems)


def _notes(file: h5py.File, volume: Volume) -> list[str]:
    notes = [origin for origin in ("emulated", "simulated") if origin in file.attrs]
    if not volume.has_target:
        notes.append("undersampled" if volume.has_mask else "no target")
    if find_dataset(file, "ismrmrd_header") is None:
        notes.append("no header")
    missing = [name for name in ("acquisition", "patient_id") if name not in file.attrs]
    missing += [name for name in ("max", "norm") if volume.has_target and name not in file.attrs]
    return notes + [f"no attribute {name}" for name in missing]


def _check_shapes(file: h5py.File, volume: Volume, folder: str) -> list[str]:
    problems = []
    if folder in WITH_TARGET and not volume.has_target:
        problems.append(f"no dataset '{TARGET}', which every file of {folder} needs")
    header = read_header(file) if volume.has_target else None  # else a narrow file may say more than it has
    if header is not None and header.recon[:2] != volume.recon_size:
        problems.append(
            f"header says a reconstruction of {header.recon[:2]}, {TARGET} is {volume.recon_size}"
        )
    if volume.has_target and file[TARGET].dtype.kind != "f":
        problems.append(f"{TARGET} must be real floating point, is {file[TARGET].dtype}")
    return problems


def _mask(file: h5py.File, volume: Volume, problems: list[str]) -> np.ndarray | None:
    """The mask, bool (columns,), where there is one that fits; else its problem is added."""
    if not volume.has_mask:
        return None
    try:
        return load_mask(file, volume.kspace_shape[2])
    except ValueError as error:
        problems.append(str(error))
    return None


def _check_slices(
    file: h5py.File, volume: Volume, mask: np.ndarray | None, problems: list[str]
) -> dict[str, float]:
    """The target's `max` and `norm`; adds the problems of samples, each with the slices that have it.

    Reads a slice at a time.
    """
    slices: defaultdict[str, list[int]] = defaultdict(list)
    worst: defaultdict[str, float] = defaultdict(float)
    largest, squares = -np.inf, 0.0
    for k in range(volume.num_slices):
        target = file[TARGET][k].astype(np.float64) if volume.has_target else None
        for problem, error in _slice_problems(file["kspace"][k], target, mask).items():
            slices[problem].append(k)
            worst[problem] = max(worst[problem], error)
        if target is not None:
            largest, squares = max(largest, float(target.max())), squares + float((target**2).sum())
    problems += [
        f"{problem} in {_ranges(where)}" + f" (relative error {worst[problem]:.2g})" * (worst[problem] > 0)
        for problem, where in slices.items()
    ]
    return {"max": largest, "norm": squares**0.5}


def _slice_problems(
    kspace: np.ndarray, target: np.ndarray | None, mask: np.ndarray | None
) -> dict[str, float]:
    """Each problem of a slice with its size, 0 where it has none."""
    problems = _sample_problems("kspace", kspace)
    undersampled = mask is not None and not problems and not kspace[:, ~mask].any()
    if target is None:
        if mask is not None and not problems and not undersampled:
            problems.append("kspace is not zero outside the mask")
        return dict.fromkeys(problems, 0.0)
    problems += _sample_problems(TARGET, target)
    if not problems and not undersampled:  # of undersampled k-space the target is no transform
        error = target_error(kspace, target)
        if not error <= TARGET_TOLERANCE:
            return {f"{TARGET} is not the cropped inverse transform of kspace": error}
    return dict.fromkeys(problems, 0.0)


def _sample_problems(name: str, samples: np.ndarray) -> list[str]:
    if not np.isfinite(samples).all():
        return [f"{name} is NaN or infinite"]
    return [] if samples.any() else [f"{name} is all zero"]


def target_error(kspace: np.ndarray, target: np.ndarray) -> float:
    """||target - crop(|ifft2c(kspace)|)|| / ||target|| of one slice: (rows, columns) and (h, w)."""
    image = ifft2c(torch.from_numpy(kspace.astype(np.complex64))).abs()
    truth = torch.from_numpy(target.astype(np.float64))
    return float((center_crop(image, target.shape).double() - truth).norm() / truth.norm())


def _check_attributes(file: h5py.File, found: dict[str, float]) -> list[str]:
    """Whether `max` and `norm` are those of the target, as metrics rely on the first."""
    problems = []
    for name, true in found.items():
        stated = read_number(file, name)
        given = true if stated is None else stated
        # a target that is not finite has been named already
        if np.isfinite(true) and not abs(given - true) <= ATTRIBUTE_TOLERANCE * abs(true):
            problems.append(f"attribute {name} is {given:.6g}, that of {TARGET} is {true:.6g}")
    return problems


def _ranges(numbers: list[int]) -> str:
    """[0, 1, 2, 5] -> 'slices 0-2, 5'."""
    starts = [n for n in numbers if n - 1 not in numbers]
    ends = [n for n in numbers if n + 1 not in numbers]
    parts = [str(a) if a == b else f"{a}-{b}" for a, b in zip(starts, ends, strict=True)]
    return f"slice{'s' * (len(numbers) > 1)} {', '.join(parts)}"
