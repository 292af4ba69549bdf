"""Images by wavelet bands: in each by itself, samples are to differ as a posterior's would."""

from functools import cache

import torch
from torch import Tensor


def band_count(octaves: int) -> int:
    """How many bands `wavelets` gives."""
    return 3 * octaves + 1


def wavelets(images: Tensor, octaves: int) -> Tensor:
    """Undecimated wavelets of images (..., h, w), whose sum is the images: (bands, ..., h, w).

    Fine to coarse: of each octave what is high along columns and rows, along columns alone, along rows alone;
    then what is left. B3 splines, "a trous" (Starck et al. 2007, IEEE TIP 16(2)).
    """
    bands = []
    for octave in range(octaves):
        rows = _smooth(images, 2**octave, dim=-2)
        smooth = _smooth(rows, 2**octave, dim=-1)
        columns = _smooth(images, 2**octave, dim=-1)
        bands += [images - rows - columns + smooth, rows - smooth, columns - smooth]
        images = smooth
    return torch.stack([*bands, images])


def weighed(images: Tensor, weights: Tensor) -> Tensor:
    """Images (N, C, h, w) whose bands are so many times as strong, (bands, N, C)."""
    octaves = (len(weights) - 1) // 3
    return (weights[..., None, None] * wavelets(images, octaves)).sum(0)


def _smooth(images: Tensor, step: int, dim: int) -> Tensor:
    """B3 spline (1, 4, 6, 4, 1) / 16 of so wide a step along one of the last two dimensions."""
    matrix = _spline(images.shape[dim], step, images.device)
    return images @ matrix.mT if dim == -1 else matrix @ images


@cache
@torch.inference_mode(False)  # wherever it is made first, training may use it
def _spline(size: int, step: int, device: torch.device) -> Tensor:
    """The smoothing as a matrix (size, size), one kernel where shifted sums take ten; edges repeat."""
    near = torch.arange(size)[:, None] + step * torch.arange(-2, 3)
    weights = torch.tensor([1.0, 4.0, 6.0, 4.0, 1.0]).expand(size, -1) / 16
    return torch.zeros(size, size).scatter_add(1, near.clamp(0, size - 1), weights).to(device)
