"""Small pieces that several networks share."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F


def to_channels(image: Tensor) -> Tensor:
    """Complex (N, C, H, W) to float32 (N, 2C, H, W): real parts, then imaginary parts."""
    return torch.cat([image.real, image.imag], dim=1)


def to_complex(channels: Tensor) -> Tensor:
    """Inverse of `to_channels`; leaves any reduced precision, because physics is complex64."""
    real, imaginary = channels.float().chunk(2, dim=1)
    return torch.complex(real.contiguous(), imaginary.contiguous())


def soft_threshold(features: Tensor, threshold: Tensor) -> Tensor:
    """sign(u) max(|u| - threshold, 0): the proximal step of the l1 norm."""
    return F.relu(features - threshold) - F.relu(-features - threshold)  # cheaper to differentiate


class SoftThreshold(nn.Module):
    """Soft threshold with one learned, non-negative threshold per channel."""

    def __init__(self, channels: int, initial: float):
        super().__init__()
        self.threshold = nn.Parameter(torch.full((channels,), initial))

    def forward(self, features: Tensor) -> Tensor:  # (N, channels, H, W)
        # |.| rather than softplus: a small start would flatten the gradient of the latter
        return soft_threshold(features, self.threshold.abs()[:, None, None])


def conv3x3(inputs: int, outputs: int, bias: bool = True) -> nn.Conv2d:
    """3x3 convolution that keeps the size."""
    return nn.Conv2d(inputs, outputs, kernel_size=3, padding=1, bias=bias)


def start_small(conv: nn.Conv2d) -> None:
    """Start a correction near zero, so that training starts near the zero-filled image.

    Not at zero: every weight before it must learn from the first step.
    """
    with torch.no_grad():
        conv.weight.mul_(0.1)
        conv.bias.zero_()
