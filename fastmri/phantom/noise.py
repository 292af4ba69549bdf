"""Band-limited noise, continuous in all three directions: warps, lobules, fibres, trabeculae."""

import math
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import torch
from torch.nn import functional as F

TILE = 144  # samples per side of a periodic plane of noise


class Noise(NamedTuple):
    """Noise of unit variance around given wavelengths; a function of its seed and the place alone."""

    seed: int
    wavelength: tuple[float, float, float]  # mm along x, y, z
    bandwidth: float = 0.4  # spread of spatial frequencies around the centre, relative
    cells: int = 5  # samples per wavelength, between which noise is linear


def sample(noise: Noise, x: np.ndarray, y: np.ndarray, z: float) -> np.ndarray:
    """Noise at (x, y, z) mm; neighbouring planes are blended so that the variance stays 1."""
    depth = 2 * z / noise.wavelength[2]
    index = math.floor(depth)
    angle = (depth - index) * math.pi / 2
    below, above = (_plane(noise.seed, index + k, noise.bandwidth, noise.cells) for k in (0, 1))
    plane = math.cos(angle) * below + math.sin(angle) * above
    grid = torch.empty(*x.shape, 2)
    for axis, (t, wavelength) in enumerate(zip((x, y), noise.wavelength[:2], strict=True)):
        grid[..., axis] = torch.from_numpy(t * np.float32(noise.cells / wavelength))
    # wrapped into the periodic plane, then onto grid_sample's [-1, 1]; in place, as it is costly
    grid.remainder_(TILE).mul_(2 / TILE).sub_(1)
    return F.grid_sample(plane[None, None], grid[None], align_corners=True)[0, 0].numpy()


@lru_cache(maxsize=64)  # slices share planes
def _plane(seed: int, index: int, bandwidth: float, cells: int) -> torch.Tensor:
    """One periodic plane of noise, (TILE + 1, TILE + 1): the last row and column repeat the first."""
    rng = np.random.default_rng((seed, index + 1000))
    white = torch.from_numpy(rng.standard_normal((TILE, TILE), dtype=np.float32))
    frequency = torch.hypot(torch.fft.fftfreq(TILE)[:, None], torch.fft.rfftfreq(TILE)[None, :])
    band = torch.exp(-0.5 * ((frequency * cells - 1) / bandwidth) ** 2)
    band[0, 0] = 0
    plane = torch.fft.irfft2(torch.fft.rfft2(white) * band, s=(TILE, TILE))
    return F.pad((plane / plane.std())[None], (0, 1, 0, 1), mode="circular")[0]
