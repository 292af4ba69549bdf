"""Small pieces that several networks share."""

from functools import cache

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

    In channels_last, as a convolution wants it, by one copy.
    """
    turned = images if turn is None else [image * turn for image in images]
    parts = [part.permute(0, 2, 3, 1) for image in turned for part in torch.view_as_real(image).unbind(-1)]
    plane = plane.permute(0, 2, 3, 1).expand(*parts[0].shape[:3], 1)
    return torch.cat([*parts, plane], dim=-1).permute(0, 3, 1, 2)


def to_complex(channels: Tensor) -> Tensor:
    """Inverse of `to_channels`; leaves any reduced precision, because physics is complex64."""
    pairs = channels.unflatten(1, (2, -1)).permute(0, 2, 3, 4, 1)
    pairs = pairs.to(torch.float32, memory_format=torch.contiguous_format)  # of bf16, one copy for both
    return torch.view_as_complex(pairs.contiguous())


class _Shrink(torch.autograd.Function):
    """The soft threshold with its derivative from the result's sign: half the passes that autograd takes."""

    @staticmethod
    def forward(ctx: FunctionCtx, features: Tensor, threshold: Tensor) -> Tensor:
        limit = threshold.to(features.dtype)
        shrunk = features.clamp(-limit, limit)
        if torch.compiler.is_compiling():  # torch 2.11 can't trace `out`
            shrunk = features - shrunk
        else:
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


def instance_norm(
    features: Tensor,
    scale: Tensor | None = None,
    shift: Tensor | None = None,
    epsilon: float = NORM_EPSILON,
) -> Tensor:
    """Each channel of each image with mean 0 and standard deviation 1 over (H, W) (arXiv 1607.08022).

    Then scaled and shifted per channel, (C,) each, if asked for. (N, C, H, W).
    """
    if features.is_cuda and features.shape[-2:].numel() > 1:  # torch refuses a single pixel
        return F.instance_norm(features, weight=scale, bias=shift, eps=epsilon)
    # on a CPU torch's leaves channels_last, which a batch norm keeps: of one image it is the same
    images = [_batch_norm(image, scale, shift, epsilon) for image in features.split(1)]
    return images[0] if len(images) == 1 else torch.cat(images)


def _batch_norm(features: Tensor, scale: Tensor | None, shift: Tensor | None, epsilon: float) -> Tensor:
    # positional: no running means, of this batch, no momentum
    return torch.batch_norm(features, scale, shift, None, None, True, 0.0, epsilon, False)


def unit_size(features: Tensor, dim: int = 1) -> Tensor:
    """Every place's features with root mean square 1 over channels (arXiv 1710.10196, section 4.2)."""
    return features * torch.rsqrt(features.square().mean(dim, keepdim=True) + NORM_EPSILON)


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


class _Halve(torch.autograd.Function):
    """Means of 2 x 2 pixels; torch's own gradient takes six times as long on a GPU."""

    @staticmethod
    def forward(ctx: FunctionCtx, features: Tensor) -> Tensor:
        return F.avg_pool2d(features, 2)

    @staticmethod
    def backward(ctx: BackwardCFunction, gradient: Tensor) -> Tensor:
        return F.interpolate(gradient / 4, scale_factor=2, mode="nearest")


def halve(features: Tensor) -> Tensor:
    """Half the size, which must be even."""
    return _Halve.apply(features)


def double(features: Tensor) -> Tensor:
    """Twice the size; bilinear, which leaves no checkerboards. bf16 stays bf16, which autocast would undo.

    On a GPU as matrix products, whose gradients are products again: no sums in changing order, and a third of
    the time.
    """
    with torch.autocast(features.device.type, enabled=False):
        if not features.is_cuda:
            return F.interpolate(features, scale_factor=2, mode="bilinear", align_corners=False)
        return _products(features)


def _products(features: Tensor) -> Tensor:
    """Bilinear doubling along rows, then along columns, of features whose channels come last in memory."""
    count, channels, height, width = features.shape
    matrix = _doubling if torch.compiler.is_compiling() else _kept_doubling  # of a cache it warns
    rows, columns = (matrix(side, features.dtype, features.device) for side in (height, width))
    x = features.permute(0, 2, 3, 1).reshape(count, height, width * channels)
    x = torch.bmm(rows.expand(count, -1, -1), x).view(count * 2 * height, width, channels)
    x = torch.bmm(columns.expand(len(x), -1, -1), x).view(count, 2 * height, 2 * width, channels)
    return x.permute(0, 3, 1, 2)


def _doubling(size: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    """Bilinear doubling of one side as a matrix (2 size, size), whose quarters bf16 has exactly."""
    unit = torch.eye(size, device=device)[None]
    return F.interpolate(unit, scale_factor=2, mode="linear", align_corners=False)[0].mT.to(dtype)


@cache
@torch.inference_mode(False)  # wherever it is made first, training may use it
def _kept_doubling(size: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    return _doubling(size, dtype, device)


def start_small(conv: nn.Conv2d) -> None:
    """Start a correction near zero, so that training starts near the zero-filled image.

    Not at zero: every weight before it must learn from the first step.
    """
    with torch.no_grad():
        conv.weight.mul_(0.1)
        assert conv.bias is not None
        conv.bias.zero_()
