"""A file in fastMRI's layout, as it is written."""

from pathlib import Path

import h5py
import numpy as np

from fastmri.atomic import replacing
from fastmri.header import Header, format_header
from fastmri.volumes import TARGET


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
