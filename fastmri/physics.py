"""The forward model in hybrid space, y = M F_w x, and what follows from it.

Undersampling runs along the columns (phase encode) alone and every readout row is measured in full, so the
readout is transformed once, when a slice is read. From there on data are (..., rows of the image, columns of
k-space), rows are independent of each other, and the model is a 1-D Fourier transform along the columns.
Images and data are complex64, (N, C, H, W); masks bool, (N, 1, 1, W).
"""

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, fft
from torch.nn.functional import avg_pool2d

from fastmri.fourier import ifft1c, spatial_frequency
from fastmri.image import crop_start, image_size


def to_hybrid(kspace: Tensor, rows: int) -> Tensor:
    """Transform the readout and crop its oversampling: (..., 2h, W) k-space -> (..., h, W) hybrid. Exact."""
    image_rows = ifft1c(kspace, dim=-2)
    start = crop_start(image_rows.shape[-2], rows)
    return image_rows[..., start : start + rows, :]


def apply_mask(hybrid: Tensor, mask: Tensor) -> Tensor:
    """Measured samples where `mask`, exact +0.0 elsewhere (a product would leave signed zeros)."""
    return torch.where(mask, hybrid, 0)


def zero_filled(masked_kspace: Tensor) -> Tensor:
    """The image of the measured samples alone: F_w^H y."""
    return ifft1c(masked_kspace)


class Measured(NamedTuple):
    """Measured data for operators that start from images and end in images, such as F_w^H M F_w.

    They are circular convolutions, which commute with shifts of the image: neither it nor its spectrum is
    shifted, which would copy both, but data and mask, once. `fft.fft` for what `fft1c` orders and scales.
    """

    samples: Tensor  # complex64 (N, C, H, W); where nothing was measured, nothing that counts
    mask: Tensor  # bool (N, 1, 1, W)

    @staticmethod
    def of(zero_filled_image: Tensor, mask: Tensor) -> "Measured":
        """The data of a zero-filled image (N, C, H, W)."""
        return Measured(fft.fft(zero_filled_image), fft.ifftshift(mask, dim=-1))

    def residual(self, image: Tensor) -> Tensor:
        """F_w^H M (F_w x - y), as `data_residual`."""
        return fft.ifft(apply_mask(fft.fft(image) - self.samples, self.mask))

    def put_back(self, image: Tensor) -> Tensor:
        """The image with the measured samples in place of its own, as `replace_sampled`."""
        return fft.ifft(torch.where(self.mask, self.samples, fft.fft(image)))


def data_residual(image: Tensor, masked_kspace: Tensor, mask: Tensor) -> Tensor:
    """F_w^H M (F_w x - y): the gradient of half the squared misfit. Zero for the truth."""
    return Measured.of(zero_filled(masked_kspace), mask).residual(image)


def replace_sampled(image: Tensor, masked_kspace: Tensor, mask: Tensor) -> Tensor:
    """Hard data consistency: the image with its sampled columns put back to what was measured."""
    return Measured.of(zero_filled(masked_kspace), mask).put_back(image)


def null_space(image: Tensor, mask: Tensor) -> Tensor:
    """F_w^H (1 - M) F_w x: the part of an image that no measured sample sees."""
    return fft.ifft(apply_mask(fft.fft(image), ~fft.ifftshift(mask, dim=-1)))


def high_pass(image: Tensor, mask: Tensor, cutoff: float) -> Tensor:
    """What is left of an image without its measured columns and without frequencies below `cutoff`.

    `cutoff` in cycles per pixel, of both axes together.
    """
    high = spatial_frequency(image_size(image), image.device) >= cutoff
    kept = fft.ifftshift(~mask & high, dim=(-2, -1))
    return fft.ifft2(apply_mask(fft.fft2(image), kept))


def middle_slice(data: Tensor) -> Tensor:
    """The slice that is wanted, without its neighbours: (N, C, H, W) -> (N, 1, H, W)."""
    middle = data.shape[1] // 2
    return data[:, middle : middle + 1]


def measured_scale(masked_kspace: Tensor) -> Tensor:
    """Maximum of |zero-filled| per sample, (..., C, H, W) -> float32 (..., 1, 1, 1); of nothing, 1.

    Known before anything is reconstructed: neither truth nor metadata enter it, and no gradient passes. No
    shift of data or image changes it, so there is none.
    """
    masked_kspace = masked_kspace.detach()
    if masked_kspace.is_cuda:
        scale = fft.ifft(masked_kspace, norm="ortho").abs().amax(dim=(-3, -2, -1), keepdim=True)
    else:
        samples = masked_kspace.reshape(-1, *masked_kspace.shape[-3:])  # one by one they stay in its cache
        highest = torch.stack([_highest(fft.ifft(sample, norm="ortho")) for sample in samples])
        scale = highest.view(*masked_kspace.shape[:-3], 1, 1, 1)
    return torch.where(scale > 0, scale, torch.ones_like(scale))


def _highest(image: Tensor) -> Tensor:
    """The highest modulus of an image that nobody needs any more, on a CPU.

    Real and imaginary parts tell which pixels are in question: moduli take longer.
    """
    parts = torch.view_as_real(image).numpy().reshape(-1)
    np.abs(parts, out=parts)
    in_question = np.flatnonzero(parts >= 0.707 * parts.max()) // 2  # one part is at least 1 / sqrt(2) of it
    moduli = image.flatten()[torch.from_numpy(in_question)].abs()
    return moduli.amax() if len(moduli) else torch.zeros(())


def center_columns(mask: Tensor) -> Tensor:
    """The run of sampled columns around W // 2, bool like `mask`: the calibration lines of any mask."""
    middle = mask.shape[-1] // 2
    right = mask[..., middle:].to(torch.int32).cumprod(-1)
    left = mask[..., :middle].flip(-1).to(torch.int32).cumprod(-1).flip(-1)
    return torch.cat([left * right[..., :1], right], dim=-1).bool()


def low_resolution(masked_kspace: Tensor, mask: Tensor) -> Tensor:
    """Image of the fully sampled centre, tapered by a Hann window over it so that it does not ring."""
    center = center_columns(mask)
    count = center.sum(-1, keepdim=True)  # (N, 1, 1, 1)
    place = center.cumsum(-1) / (count + 1)  # 1 / (n + 1) ... n / (n + 1) inside the run
    window = torch.where(center, torch.sin(torch.pi * place) ** 2, torch.zeros_like(place))
    return ifft1c(masked_kspace * window)


def smooth_phase(image: Tensor, size: int = 9) -> Tensor:
    """The phase of the mean over size x size pixels, as complex64 of modulus 1 (0 where nothing is near)."""
    channels = torch.cat([image.real, image.imag], dim=1)
    mean = avg_pool2d(channels, size, stride=1, padding=size // 2)
    return torch.sgn(torch.complex(*mean.chunk(2, dim=1)))


def sampling_density(mask: Tensor) -> Tensor:
    """log2 of columns over sampled columns, bool (N, 1, 1, W) -> float32 (N, 1, 1, 1)."""
    return torch.log2(mask.shape[-1] / mask.sum(-1, keepdim=True).clamp(min=1)).float()
