"""Small pieces that several networks share."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

NORM_EPSILON = 1e-8


def to_channels(image: Tensor) -> Tensor:
    """Complex (N, C, H, W) to float32 (N, 2C, H, W): real parts, then imaginary parts."""
    return torch.cat([image.real, image.imag], dim=1)


def to_complex(channels: Tensor) -> Tensor:
    """Inverse of `to_channels`; leaves any reduced precision, because physics is complex64."""
    real, imaginary = channels.float().chunk(2, dim=1)
    return torch.complex(real.contiguous(), imaginary.contiguous())


class _Shrink(torch.autograd.Function):
    """The soft threshold with its derivative from the result's sign: half the passes that autograd takes."""

    @staticmethod
    def forward(ctx, features: Tensor, threshold: Tensor) -> Tensor:
        limit = threshold.to(features.dtype)
        shrunk = features - features.clamp(-limit, limit)
        ctx.save_for_backward(shrunk)
        return shrunk

    @staticmethod
    def backward(ctx, gradient: Tensor) -> tuple[Tensor, Tensor]:
        (shrunk,) = ctx.saved_tensors
        sign = shrunk.sign()
        signed = gradient * sign
        return signed * sign, -signed.sum((0, 2, 3), dtype=torch.float32)[:, None, None]


def soft_threshold(features: Tensor, threshold: Tensor) -> Tensor:
    """sign(u) max(|u| - threshold, 0) for threshold (C, 1, 1): the proximal step of the l1 norm."""
    return _Shrink.apply(features, threshold)


class SoftThreshold(nn.Module):
    """Soft threshold with one learned, non-negative threshold per channel."""

    def __init__(self, channels: int, initial: float):
        super().__init__()
        self.threshold = nn.Parameter(torch.full((channels,), initial))

    def forward(self, features: Tensor) -> Tensor:  # (N, channels, H, W)
        # |.| rather than softplus: a small start would flatten the gradient of the latter
        return soft_threshold(features, self.threshold.abs()[:, None, None])


def instance_norm(features: Tensor, scale: Tensor | None = None, shift: Tensor | None = None) -> Tensor:
    """Each channel of each image with mean 0 and standard deviation 1 over (H, W) (arXiv 1607.08022).

    Then scaled and shifted per channel, (C,) each, if asked for. (N, C, H, W).
    """
    if features.is_cuda and features.shape[-2:].numel() > 1:  # torch refuses a single pixel
        return F.instance_norm(features, weight=scale, bias=shift, eps=NORM_EPSILON)
    # written out, because on a CPU torch's leaves channels_last and then costs as much again
    places = features.permute(0, 2, 3, 1).flatten(1, 2)  # (N, H W, C): a view, if channels come last
    places = places - places.mean(1, keepdim=True)
    places = places * torch.rsqrt(places.square().mean(1, keepdim=True) + NORM_EPSILON)
    if scale is not None:
        places = scale * places + shift
    return places.unflatten(1, features.shape[-2:]).permute(0, 3, 1, 2)


class InstanceNorm(nn.Module):
    """Instance norm with a learned scale and shift per channel."""

    def __init__(self, channels: int):
        super().__init__()
        self.scale = nn.Parameter(torch.ones(channels))
        self.shift = nn.Parameter(torch.zeros(channels))

    def forward(self, features: Tensor) -> Tensor:  # (N, channels, H, W)
        return instance_norm(features, self.scale, self.shift)


def conv3x3(inputs: int, outputs: int, bias: bool = True) -> nn.Conv2d:
    """3x3 convolution that keeps the size."""
    return nn.Conv2d(inputs, outputs, kernel_size=3, padding=1, bias=bias)


def double(features: Tensor) -> Tensor:
    """Twice the size; bilinear, which leaves no checkerboards. bf16 stays bf16, which autocast would undo."""
    with torch.autocast(features.device.type, enabled=False):
        return F.interpolate(features, scale_factor=2, mode="bilinear", align_corners=False)


def start_small(conv: nn.Conv2d) -> None:
    """Start a correction near zero, so that training starts near the zero-filled image.

    Not at zero: every weight before it must learn from the first step.
    """
    with torch.no_grad():
        conv.weight.mul_(0.1)
        conv.bias.zero_()
