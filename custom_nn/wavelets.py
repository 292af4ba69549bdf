"""Images by wavelet bands: in each by itself, samples are to differ as a posterior's would."""

from functools import cache
from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor

from fastmri.image import image_size


class _Level(NamedTuple):
    """What is high and what is low of one level, along one side: matrices (size, size)."""

    high: Tensor
    low: Tensor


def band_count(octaves: int) -> int:
    """How many bands `wavelets` gives."""
    return 3 * (octaves + 1) + 1 if octaves else 1


def wavelets(images: Tensor, octaves: int) -> Tensor:
    """Undecimated wavelets of images (..., h, w), whose sum is the images: (bands, ..., h, w).

    Fine to coarse: of each level what is high along columns and rows, along columns alone, along rows alone;
    then what is left. B3 splines, "a trous" (Starck et al. 2007, IEEE TIP 16(2)), but the finest octave is of
    two levels, because texture falls steeply there.
    """
    if not octaves:
        return images[None]
    bands = []
    sides = (_levels(size, octaves, images.device) for size in image_size(images))
    for rows, columns in zip(*sides, strict=True):
        steep, flat = rows.high @ images, rows.low @ images
        bands += [steep @ columns.high.mT, flat @ columns.high.mT, steep @ columns.low.mT]
    return torch.stack([*bands, flat @ columns.low.mT])


def weighed(images: Tensor, weights: Tensor) -> Tensor:
    """Images (N, C, h, w) whose bands are so many times as strong, (bands, N, C)."""
    octaves = max((len(weights) - 1) // 3 - 1, 0)
    return (weights[..., None, None] * wavelets(images, octaves)).sum(0)


@cache
@torch.inference_mode(False)  # wherever they are made first, training may use them
def _levels(size: int, octaves: int, device: torch.device) -> list[_Level]:
    """The wavelet levels of one side, fine to coarse, each of the image itself: smoothings are one matrix.

    At half the angular frequency B3 is cos^4, what is left of (sin^2 + cos^2)^2 = 1 without sin^4, which is
    high beyond three quarters of the band, and 2 sin^2 cos^2, which is high at half of it.
    """
    whole, low = torch.eye(size), _smoothing(size, (1, 2, 1), 1)
    smoothed = [whole, 2 * low - low @ low]
    low = whole
    for octave in range(octaves):
        low = _smoothing(size, (1, 4, 6, 4, 1), 2**octave) @ low
        smoothed.append(low)
    return [_Level((fine - coarse).to(device), coarse.to(device)) for fine, coarse in pairwise(smoothed)]


def _smoothing(size: int, kernel: tuple[int, ...], step: int) -> Tensor:
    """A kernel over its sum as a matrix (size, size), its values `step` apart; edges repeat."""
    reach = len(kernel) // 2
    near = torch.arange(size)[:, None] + step * torch.arange(-reach, reach + 1)
    weights = torch.tensor(kernel, dtype=torch.float32).expand(size, -1) / sum(kernel)
    return torch.zeros(size, size).scatter_add(1, near.clamp(0, size - 1), weights)
