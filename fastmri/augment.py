"""Variations of a training slice that another scan could have had: flips, phase, intensity, noise."""

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from fastmri.fourier import fft1c, ifft1c


class Augmentation(NamedTuple):
    """How much training slices vary; zero leaves them as they are."""

    flip: bool  # mirror rows and columns, each half of the time
    phase: float  # radians: spread of the coefficients of an added smooth phase
    intensity: float  # log units: spread of a smooth receive field
    noise: float  # largest standard deviation of added complex noise, over the image's maximum

    @property
    def active(self) -> bool:
        return any(self)


def augment(
    hybrid: Tensor, augmentation: Augmentation, acquired: tuple[int, int], rng: np.random.Generator
) -> Tensor:
    """Vary fully sampled hybrid data, complex64 (C, h, W), as an image; one variation for all C slices."""
    image = ifft1c(hybrid)
    if augmentation.flip:
        image = image.flip([axis for axis in (-2, -1) if rng.random() < 0.5])
    if augmentation.phase or augmentation.intensity:
        height, width = image.shape[-2:]
        phase = augmentation.phase * _smooth_field(height, width, rng)
        log_gain = augmentation.intensity * _smooth_field(height, width, rng)
        image = image * torch.polar(torch.exp(log_gain), phase)
    if augmentation.noise:  # a noisier scan: its samples and its target are noisier alike
        std = rng.uniform(0, augmentation.noise) * image.abs().max()
        draw = torch.from_numpy(rng.standard_normal((2, *image.shape), dtype=np.float32))
        image = image + torch.complex(draw[0], draw[1]) * (std / np.sqrt(2))
    varied = fft1c(image)
    varied[..., : acquired[0]] = 0
    varied[..., acquired[1] :] = 0
    return varied


def _smooth_field(height: int, width: int, rng: np.random.Generator) -> Tensor:
    """A random polynomial of second order over [-1, 1]^2, float32 (h, W), coefficients of spread 1."""
    y = torch.linspace(-1, 1, height)[:, None]
    x = torch.linspace(-1, 1, width)
    c = rng.standard_normal(6).astype(np.float32)
    return c[0] + c[1] * y + c[2] * x + c[3] * x * y + c[4] * (y**2 - 1 / 3) + c[5] * (x**2 - 1 / 3)
