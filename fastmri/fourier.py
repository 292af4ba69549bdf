"""Centred orthonormal Fourier transforms, for torch tensors."""

from collections.abc import Callable

import torch
from torch import Tensor, fft


def fft2c(image: Tensor) -> Tensor:
    """Image to k-space over the last two axes, zero frequency at index N // 2. Unitary."""
    return _centred(fft.fft2, image, (-2, -1))


def ifft2c(kspace: Tensor) -> Tensor:
    """K-space to image over the last two axes: inverse and adjoint of `fft2c`."""
    return _centred(fft.ifft2, kspace, (-2, -1))


def fft1c(image: Tensor, dim: int = -1) -> Tensor:
    """Image to k-space along one axis; `fft2c` is `fft1c` along -1 and then along -2."""
    return _centred(fft.fftn, image, (dim,))


def ifft1c(kspace: Tensor, dim: int = -1) -> Tensor:
    """K-space to image along one axis: inverse and adjoint of `fft1c`."""
    return _centred(fft.ifftn, kspace, (dim,))


def _centred(transform: Callable[..., Tensor], x: Tensor, dim: tuple[int, ...]) -> Tensor:
    # only the transformed axes are shifted; the order matters for odd sizes
    return fft.fftshift(transform(fft.ifftshift(x, dim=dim), dim=dim, norm="ortho"), dim=dim)


def spatial_frequency(size: tuple[int, int], device: torch.device | None = None) -> Tensor:
    """Distance from the centre at every place of a centred spectrum, in cycles per pixel: float32 (H, W)."""
    row, column = ((torch.arange(n, device=device) - n // 2) / n for n in size)
    return torch.hypot(row[:, None], column)
