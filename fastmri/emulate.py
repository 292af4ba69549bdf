"""Single-coil raw data emulated from images: what the simulator and the importer share."""

from typing import NamedTuple

import numpy as np
import torch

from fastmri.fourier import fft2c, ifft2c
from fastmri.image import center_crop


class RawData(NamedTuple):
    kspace: np.ndarray  # complex64 (S, 2h, W), zero outside the acquired columns
    target: np.ndarray  # float32 (S, h, w), the cropped magnitude of the inverse transform


def emulate(
    images: np.ndarray,
    *,
    columns: int,
    recon_size: tuple[int, int],
    acquired: tuple[int, int],
    noise_std: float,
    rng: np.random.Generator,
) -> RawData:
    """Raw data that a scanner would have recorded of `images`.

    `images`: complex (S, H, W), a field of view of twice the reconstruction's rows by `columns` columns,
    sampled at any finer grid (H a multiple of 2h, W of `columns`, or the same). Only the centre of its
    spectrum is kept, so a finer grid shows the truncation that real scans have (no inverse crime).
    `noise_std`: standard deviation of the complex noise per sample of k-space, sqrt(E|n|^2), which equals
    that of the image, because the transform is unitary.
    """
    rows = 2 * recon_size[0]
    assert images.shape[1] >= rows
    assert images.shape[2] >= columns
    spectrum = center_crop(fft2c(torch.from_numpy(images)), (rows, columns))
    # a unitary transform of a finer grid holds more energy: keep pixel intensities as they are
    spectrum = spectrum * np.sqrt(rows * columns / (images.shape[1] * images.shape[2]))
    noise = rng.standard_normal((2, *spectrum.shape), dtype=np.float32) * (noise_std / np.sqrt(2))
    kspace = spectrum + torch.complex(*torch.from_numpy(noise))
    kspace[..., : acquired[0]] = 0
    kspace[..., acquired[1] :] = 0
    kspace = kspace.to(torch.complex64)
    target = center_crop(ifft2c(kspace).abs(), recon_size)
    return RawData(kspace.numpy(), target.numpy())
