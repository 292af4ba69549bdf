"""What every reconstruction model takes and gives."""

from collections.abc import Callable
from typing import Any, Literal, NamedTuple

from torch import Tensor, nn

from fastmri.physics import middle_slice, zero_filled

Noise = Callable[[tuple[int, ...]], Tensor]  # shape -> standard normal float32, on the model's device


class Reconstruction(NamedTuple):
    """What a model gives."""

    image: Tensor  # complex64 (N, 1, H, W), in the units of the input; W as native, not cropped
    baseline: Tensor | None = None  # alike, of a model that adds texture to a baseline's image
    latent: Any = None  # of a stochastic model, which alone reads it: what all samples of the same data share


class ZeroFilled(nn.Module):
    """The inverse transform of the measured samples: where every model starts, and its lower bound."""

    stochastic: Literal[False] = False

    def forward(
        self, masked_kspace: Tensor, mask: Tensor, noise: Noise | None, scale: Tensor | None = None
    ) -> Reconstruction:
        return Reconstruction(zero_filled(middle_slice(masked_kspace)))


def parameter_count(model: nn.Module) -> int:
    """Number of trained values."""
    return sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)
