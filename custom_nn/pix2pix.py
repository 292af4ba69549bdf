"""A peer: image translation with a super-resolution stage (Belov et al., arXiv 2103.02940).

pix2pix's generator (Isola et al., arXiv 1611.07004), here the U-Net, corrects the zero-filled image. With
`downsample` it does so at a lower resolution, of which x4 to x32 leave more measured columns, and a second
stage scales its output up: extreme factors are shared between undersampling and super-resolution.
"""

import math
from typing import Literal

from torch import Tensor, nn
from torch.nn import functional as F

from custom_nn.layers import conv3x3, double, start_small, to_channels, to_complex
from custom_nn.model import Noise, Reconstruction
from custom_nn.modules import Modules
from custom_nn.unet import UNet
from fastmri.fourier import fft2c, ifft2c
from fastmri.image import center_fit, image_size
from fastmri.physics import Measured, measured_scale, middle_slice, zero_filled


class Pix2Pix(nn.Module):
    """The U-Net at 1/`downsample` of the resolution, and what scales it up; 1: the U-Net alone."""

    name: Literal["pix2pix"] = "pix2pix"
    stochastic: Literal[False] = False

    def __init__(
        self,
        *,
        channels: int,
        pools: int,
        dropout: float,
        adjacent_slices: int,
        data_consistency: bool,
        downsample: int,
    ):
        super().__init__()
        self.downsample, self.data_consistency = downsample, data_consistency
        self.unet = UNet(
            channels=channels,
            pools=pools,
            dropout=dropout,
            adjacent_slices=adjacent_slices,
            data_consistency=False,
        )
        self.enlarge = Enlarge(channels, int(math.log2(downsample))) if downsample > 1 else None

    def forward(
        self, masked_kspace: Tensor, mask: Tensor, noise: Noise | None, scale: Tensor | None = None
    ) -> Reconstruction:
        scale = measured_scale(masked_kspace) if scale is None else scale
        start = zero_filled(masked_kspace / scale)
        size = height, width = image_size(start)
        small = resample(start, (-(-height // self.downsample), -(-width // self.downsample)))
        corrected = middle_slice(small) + to_complex(self.unet.correct(to_channels(small)))
        image = resample(corrected, size)
        if self.enlarge is not None:
            image = image + to_complex(center_fit(self.enlarge(to_channels(corrected)), size))
        if self.data_consistency:
            image = Measured.of(middle_slice(start), mask).put_back(image)
        return Reconstruction(image * scale)


class Enlarge(nn.Module):
    """The detail that interpolation lacks: (N, 2, h, w) -> (N, 2, 2^doublings h, 2^doublings w).

    `double` keeps edges where `resample` keeps the centre, half a pixel apart, which the convolutions learn.
    """

    def __init__(self, channels: int, doublings: int):
        super().__init__()
        self.enter = conv3x3(2, channels)
        self.stages = Modules(conv3x3(channels, channels) for _ in range(doublings))
        self.output = conv3x3(channels, 2)
        start_small(self.output)

    def forward(self, x: Tensor) -> Tensor:
        x = F.leaky_relu(self.enter(x), 0.2)
        for stage in self.stages:
            x = F.leaky_relu(stage(double(x)), 0.2)
        return self.output(x)


def resample(image: Tensor, size: tuple[int, int]) -> Tensor:
    """Another number of pixels for the same field of view, by the centre of k-space: complex (..., *size)."""
    before = image_size(image)
    if before == tuple(size):
        return image
    gain = math.sqrt(math.prod(size) / math.prod(before))  # the transforms are unitary: values would change
    return ifft2c(center_fit(fft2c(image), size)) * gain
