"""Morlet wavelets: what an image has of each scale and direction, at every place."""

import math
from functools import cache

import torch
from torch import Tensor

from fastmri.image import image_size

OCTAVES, DIRECTIONS = 4, 4


def morlet(images: Tensor, octaves: slice = slice(None)) -> Tensor:
    """Wavelet coefficients of real images (..., h, w): complex64 (..., OCTAVES or less, DIRECTIONS, h, w).

    Fine to coarse; their moduli are envelopes of what oscillates, their phases tell where in it they are.
    """
    bank = morlet_bank(image_size(images), images.device)[octaves]
    return torch.fft.ifft2(torch.fft.fft2(images)[..., None, None, :, :] * bank)


@cache
@torch.inference_mode(False)  # wherever it is made first, training may use it
def morlet_bank(size: tuple[int, int], device: torch.device) -> Tensor:
    """Transfer functions, centred at 3/8, 3/16, ... cycles per pixel: (OCTAVES, DIRECTIONS, h, w).

    Gaussians of half an octave around their centre, without the part that would let the mean pass.
    """
    rows, columns = (torch.fft.fftfreq(n, device=device) for n in size)
    rows, columns = rows[:, None], columns[None]
    bank = []
    for octave in range(OCTAVES):
        centre, width = 3 / 8 / 2**octave, 3 / 16 / 2**octave
        for direction in range(DIRECTIONS):
            angle = math.pi * direction / DIRECTIONS
            peak = centre * math.sin(angle), centre * math.cos(angle)
            distance = _around(rows - peak[0]) ** 2 + _around(columns - peak[1]) ** 2
            at_zero = math.exp(-(centre**2) / (2 * width**2))
            low = (-(rows**2 + columns**2) / (2 * width**2)).exp()
            bank.append((-distance / (2 * width**2)).exp() - at_zero * low)
    return torch.stack(bank).unflatten(0, (OCTAVES, DIRECTIONS))


def _around(frequency: Tensor) -> Tensor:
    """The alias of a frequency that is nearest to 0: spectra are periodic."""
    return frequency - frequency.round()
