"""Small pieces that several networks share."""

import torch
from torch import Tensor, nn
from torch.autograd.function import BackwardCFunction, FunctionCtx
from torch.nn import functional as F

NORM_EPSILON = 1e-8


def to_channels(image: Tensor) -> Tensor:
    """Complex (N, C, H, W) to float32 (N, 2C, H, W): real parts, then imaginary parts."""
    return torch.cat([image.real, image.imag], dim=1)


def pack(images: list[Tensor], turn: Tensor | None, plane: Tensor) -> Tensor:
    """`to_channels` of each image times `turn`, and a plane of one value (N, 1, 1, 1): (N, channels, H, W).

    In channels_last, as a convolution wants it and complex numbers are.
    """
    stacked = torch.stack(images, dim=-1)  # (N, C, H, W, images)
    if turn is not None:
        stacked = stacked * turn.unsqueeze(-1)
    parts = torch.view_as_real(stacked).permute(0, 2, 3, 4, 5, 1).flatten(3)  # a view, if C = 1
    plane = plane.permute(0, 2, 3, 1).expand(*parts.shape[:3], 1)
    return torch.cat([parts, plane], dim=-1).permute(0, 3, 1, 2)


def to_complex(channels: Tensor) -> Tensor:
    """Inverse of `to_channels`; leaves any reduced precision, because physics is complex64."""
    channels = channels.float()
    if channels.shape[1] == 2:  # a view, if channels come last in memory
        return torch.view_as_complex(channels.permute(0, 2, 3, 1).contiguous()).unsqueeze(1)
    real, imaginary = channels.chunk(2, dim=1)
    return torch.complex(real.contiguous(), imaginary.contiguous())


class _Shrink(torch.autograd.Function):
    """The soft threshold with its derivative from the result's sign: half the passes that autograd takes."""

    @staticmethod
    def forward(ctx: FunctionCtx, features: Tensor, threshold: Tensor) -> Tensor:
        limit = threshold.to(features.dtype)
        shrunk = features.clamp(-limit, limit)
        torch.sub(features, shrunk, out=shrunk)
        ctx.save_for_backward(shrunk)
        return shrunk

    @staticmethod
    def backward(ctx: BackwardCFunction, gradient: Tensor) -> tuple[Tensor, Tensor]:
        (shrunk,) = ctx.saved_tensors
        sign = shrunk.sign()
        signed = gradient * sign
        return sign.mul_(signed), -signed.sum((0, 2, 3), dtype=torch.float32)[:, None, None]


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
    # on a CPU torch's leaves channels_last, which a batch norm keeps: of one image it is the same
    images = [_batch_norm(image, scale, shift) for image in features.split(1)]
    return images[0] if len(images) == 1 else torch.cat(images)


def _batch_norm(features: Tensor, scale: Tensor | None, shift: Tensor | None) -> Tensor:
    # positional: no running means, of this batch, no momentum
    return torch.batch_norm(features, scale, shift, None, None, True, 0.0, NORM_EPSILON, False)


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


class _Double(torch.autograd.Function):
    """Bilinear doubling with torch's own gradient, of which a compiler makes a scatter, ten times as slow."""

    @staticmethod
    def forward(ctx: FunctionCtx, features: Tensor) -> Tensor:
        ctx.size = features.shape  # type: ignore[attr-defined]
        return F.interpolate(features, scale_factor=2, mode="bilinear", align_corners=False)

    @staticmethod
    def backward(ctx: BackwardCFunction, gradient: Tensor) -> Tensor:
        size = ctx.size  # type: ignore[attr-defined]
        doubled = [2 * side for side in size[-2:]]
        return torch.ops.aten.upsample_bilinear2d_backward(gradient, doubled, size, False, 2.0, 2.0)


def double(features: Tensor) -> Tensor:
    """Twice the size; bilinear, which leaves no checkerboards. bf16 stays bf16, which autocast would undo."""
    with torch.autocast(features.device.type, enabled=False):
        return _Double.apply(features)


def start_small(conv: nn.Conv2d) -> None:
    """Start a correction near zero, so that training starts near the zero-filled image.

    Not at zero: every weight before it must learn from the first step.
    """
    with torch.no_grad():
        conv.weight.mul_(0.1)
        assert conv.bias is not None
        conv.bias.zero_()
