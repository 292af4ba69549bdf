"""A scan of images that exist: smooth phase, noise, a smaller matrix if asked for."""

import numpy as np
from skimage.filters import threshold_otsu

from fastmri.emulate import RawData, emulate
from fastmri.volumes import SMALLEST_SIDE

MAX_MAGNITUDE = 1e-3  # the order of fastMRI's knees
LINEAR, QUADRATIC, WAVES = 0.8, 0.5, 0.4  # radians at the edge of the field of view, standard deviations


def check_images(images: np.ndarray) -> None:
    """Raise ValueError with the reason if images (S, H, W) can't be a scan."""
    if min(images.shape[1:]) < SMALLEST_SIDE:
        raise ValueError(
            f"slices of {images.shape[1:]} are too small; {SMALLEST_SIDE} pixels a side are needed"
        )
    broken = images.size - np.count_nonzero(np.isfinite(images))
    if broken:
        raise ValueError(f"{broken} of {images.size} values are NaN or infinite")
    magnitude = np.abs(images)
    if magnitude.max() == magnitude.min():
        raise ValueError("every pixel is zero" if not magnitude.any() else "every pixel has the same value")


def matrix_of(size: tuple[int, int], matrix: int | tuple[int, int] | None) -> tuple[int, int]:
    """Rows and columns after the crop of k-space; an int keeps the pixels' aspect, rounded to even."""
    longer = max(size)
    if matrix is None or matrix == longer:
        return size
    if isinstance(matrix, int):
        height, width = (2 * round(side * matrix / longer / 2) for side in size)
        if matrix < longer:  # rounding must not ask for more than there is
            height, width = (
                min(new, side - side % 2) for new, side in zip((height, width), size, strict=True)
            )
    else:
        height, width = matrix
    if height > size[0] or width > size[1]:
        raise ValueError(f"images of {size[0]}x{size[1]} are smaller than the matrix asked for, {matrix}")
    if min(height, width) < SMALLEST_SIDE:
        raise ValueError(f"a matrix of {height}x{width} is too small; {SMALLEST_SIDE} a side are needed")
    return height, width


def emulate_scan(
    images: np.ndarray, *, size: tuple[int, int], snr: float, rng: np.random.Generator
) -> RawData:
    """Raw data (S, 2h, w) of upright images (S, H, W): air oversamples the readout, rows are stored flipped.

    `size`: (h, w), at most (H, W). Noise: mean foreground magnitude / `snr`, as emulate's `noise_std`.
    Raises ValueError if no foreground is left of images that are scaled to fastMRI's magnitudes.
    """
    scale = MAX_MAGNITUDE / float(np.abs(images).max())
    scaled = (images[:, ::-1] * scale).astype(np.complex64)
    foreground = _foreground(np.abs(scaled))
    if not np.iscomplexobj(images):
        scaled *= np.exp(1j * random_phase(scaled.shape, rng))
    rows = images.shape[1]
    # fastMRI's centre crop of 2H rows starts at H // 2
    padded = np.pad(scaled, ((0, 0), (rows // 2, rows - rows // 2), (0, 0)))
    return emulate(
        padded,
        columns=size[1],
        recon_size=size,
        acquired=(0, size[1]),
        noise_std=foreground / snr,
        rng=rng,
    )


def _foreground(magnitude: np.ndarray) -> float:
    """The mean of what is brighter than Otsu's threshold."""
    finite = np.isfinite(magnitude).all()
    bright = magnitude[magnitude > threshold_otsu(magnitude)] if finite else magnitude[:0]
    if not bright.any():
        raise ValueError("has no finite foreground once it is scaled")
    return float(bright.mean())


def random_phase(shape: tuple[int, int, int], rng: np.random.Generator) -> np.ndarray:
    """Random phase in radians, float32 (S, H, W): a quadratic and a few slow waves, smooth over slices."""
    z, y, x = np.meshgrid(
        *(np.linspace(-1, 1, n, dtype=np.float32) for n in shape), indexing="ij", sparse=True
    )
    phase = np.full(shape, rng.uniform(-np.pi, np.pi), dtype=np.float32)
    for term in (x, y, z):
        phase += np.float32(rng.normal(0, LINEAR)) * term
    for term in (x * x, y * y, x * y, x * z, y * z):
        phase += np.float32(rng.normal(0, QUADRATIC)) * term
    for _ in range(4):  # at most a cycle over the field of view
        ky, kx, kz = rng.uniform(-np.pi, np.pi, 3).astype(np.float32)
        amplitude, start = np.float32(rng.normal(0, WAVES)), np.float32(rng.uniform(-np.pi, np.pi))
        phase += amplitude * np.cos(kx * x + ky * y + 0.5 * kz * z + start)
    return phase
