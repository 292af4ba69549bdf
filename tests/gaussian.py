"""A reconstruction problem whose posterior is known: complex Gaussian rows under the forward model."""

import torch
from torch import Tensor

from fastmri.fourier import fft1c, ifft1c
from fastmri.physics import apply_mask


class GaussianScene:
    """Images (N, 1, 1, W) of one row, normal with a known covariance, of which some columns are measured."""

    def __init__(self, columns: int):
        generator = torch.Generator().manual_seed(0)
        place = torch.arange(columns) / columns
        envelope = 0.2 + torch.sin(torch.pi * place) ** 2  # not stationary, so columns of k-space correlate
        smooth = torch.exp(-((place[:, None] - place) ** 2) / 0.02) + 0.05 * torch.eye(columns)
        self.mask = torch.rand(columns, generator=generator) < 0.4
        self.mask[columns // 2 - 1 : columns // 2 + 1] = True
        covariance = (envelope[:, None] * smooth * envelope).to(torch.complex128)
        self.root = torch.linalg.cholesky(covariance)
        spectrum = fft1c(fft1c(covariance, dim=0).mH, dim=0).mH  # F C F^H
        seen, missing = self.mask.nonzero()[:, 0], (~self.mask).nonzero()[:, 0]
        cross = spectrum[missing][:, seen] @ torch.linalg.inv(spectrum[seen][:, seen])
        conditional = spectrum[missing][:, missing] - cross @ spectrum[seen][:, missing]
        self.seen, self.missing, self.cross = seen, missing, cross
        self.conditional_root = torch.linalg.cholesky((conditional + conditional.conj().T) / 2)

    def draw(self, count: int) -> tuple[Tensor, Tensor]:
        """Images and their measured data, complex64 (count, 1, 1, W)."""
        noise = torch.randn(count, len(self.mask), dtype=torch.complex128)
        image = (noise @ self.root.T)[:, None, None].to(torch.complex64)
        return image, apply_mask(fft1c(image), self.mask)

    def posterior_sample(self, measured: Tensor) -> Tensor:
        """One image given the data, exact: complex64 (N, 1, 1, W)."""
        noise = torch.randn(len(measured), len(self.missing), dtype=torch.complex128)
        spectrum = measured.to(torch.complex128)
        drawn = spectrum[:, 0, 0, self.seen] @ self.cross.T + noise @ self.conditional_root.T
        spectrum[:, 0, 0, self.missing] = drawn
        return ifft1c(spectrum).to(torch.complex64)

    def std(self) -> Tensor:
        """The posterior's standard deviation of real and imaginary parts at each pixel, (W,)."""
        padded = torch.zeros(len(self.mask), len(self.missing), dtype=torch.complex128)
        padded[self.missing] = self.conditional_root
        return (ifft1c(padded.T).abs().square().sum(0) / 2).sqrt().float()
