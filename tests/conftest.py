"""Tiny files in fastMRI's real layout, and where the reference values are."""

import os
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter

from fastmri.emulate import emulate
from fastmri.volumes import TARGET
from fastmri.writing import write_volume

os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")  # what is tested must hold on a CPU; see test_cuda.py
SHARED = Path(__file__).resolve().parents[2] / "shared"
ROOT = Path(__file__).resolve().parents[1]
# files that take longest, by what takes long: those of one word are one process's, which makes it once
LONGEST = {"test_processes": "torchrun", "test_benchmark": "benchmark", "test_report": "benchmark"}


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """For `make test`: a file is one process's, and the longest come first, so that none waits for them."""
    items.sort(key=lambda item: item.path.stem not in LONGEST)
    for item in items:
        stem = item.path.stem
        group = LONGEST.get(stem, f"{item.path.parent.name}/{stem}")
        item.add_marker(pytest.mark.xdist_group(group))


def shared(name: str) -> Path:
    """A reference file beside the checkout, or a skip."""
    path = SHARED / name
    if not path.exists():
        pytest.skip(f"{path} is not here")
    return path


def smooth_images(slices: int, rows: int, columns: int, seed: int) -> np.ndarray:
    """Complex images (slices, rows, columns) with structure, complex64, magnitudes of about 1e-4."""
    rng = np.random.default_rng(seed)
    parts = gaussian_filter(rng.standard_normal((2, slices, rows, columns)), (0, 0.5, 1.5, 1.5))
    return (1e-3 * (parts[0] + 1j * parts[1])).astype(np.complex64)


def write_tiny_volume(
    path: Path,
    *,
    slices: int = 3,
    rows: int = 64,
    columns: int = 48,
    seed: int = 0,
    acquisition: str = "CORPD_FBK",
) -> Path:
    """A volume of k-space (slices, rows, columns), two padded columns a side, a square target of rows / 2."""
    path.parent.mkdir(parents=True, exist_ok=True)
    recon = (rows // 2, min(rows // 2, columns))
    acquired = (2, columns - 2)
    raw = emulate(
        smooth_images(slices, rows, columns, seed),
        columns=columns,
        recon_size=recon,
        acquired=acquired,
        noise_std=1e-5,
        rng=np.random.default_rng(seed),
    )
    write_volume(
        path,
        raw.kspace,
        raw.target,
        acquisition=acquisition,
        acquired=acquired,
        attributes={"patient_id": str(seed)},
    )
    return path


def read_target(path: str | Path, slice_num: int) -> np.ndarray:
    """One slice of the raw target, float32 (h, w), as h5py reads it."""
    with h5py.File(path) as file:
        return file[TARGET][slice_num].astype(np.float32)


@pytest.fixture(scope="session")
def tiny_data(tmp_path_factory) -> Path:
    """A data folder of mixed widths and both acquisitions; 3 volumes to train, 3 to validate. Read only."""
    folder = tmp_path_factory.mktemp("data")
    for k, (part, columns, slices) in enumerate(
        [("train", 48, 3), ("train", 40, 2), ("train", 48, 4), ("val", 48, 3), ("val", 41, 2), ("val", 48, 3)]
    ):
        path = folder / f"singlecoil_{part}" / f"file{1000001 + k}.h5"
        acquisition = ("CORPD_FBK", "CORPDFS_FBK")[k % 2]
        write_tiny_volume(path, slices=slices, columns=columns, seed=k, acquisition=acquisition)
    return folder


@pytest.fixture(autouse=True)
def _seeded():
    torch.manual_seed(0)
