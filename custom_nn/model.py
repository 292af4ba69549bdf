"""What every reconstruction model takes and gives, and the models by name."""

from collections.abc import Callable
from typing import NamedTuple

from torch import Tensor, nn

from fastmri.physics import middle_slice, zero_filled

Noise = Callable[[tuple[int, ...]], Tensor]  # shape -> standard normal float32, on the model's device


class Reconstruction(NamedTuple):
    """What a model gives."""

    image: Tensor  # complex64 (N, 1, H, W), in the units of the input; W as native, not cropped
    baseline: Tensor | None = None  # alike, of a model that adds texture to a baseline's image
    latent: tuple | None = None  # of a stochastic model: what all samples of the same data share


class ZeroFilled(nn.Module):
    """The inverse transform of the measured samples: where every model starts, and its lower bound."""

    stochastic = False

    def forward(
        self, masked_kspace: Tensor, mask: Tensor, noise: Noise, scale: Tensor | None = None
    ) -> Reconstruction:
        return Reconstruction(zero_filled(middle_slice(masked_kspace)))


def build_model(name: str, options: dict) -> nn.Module:
    """A model by its name in the config, with its options as keywords.

    All are called as model(masked_kspace (N, C, H, W) complex64, mask (N, 1, 1, W) bool, noise), give a
    `Reconstruction`, and say by `stochastic` whether noise changes what they give. A row crop comes with the
    `scale` (N, 1, 1, 1) of its whole slice, so that it is seen as it is in the whole; else it is measured.
    A stochastic model also has encode(masked_kspace, mask, scale) -> latent, what all samples of the same
    data share, which it takes as `latent`, and guide(latent, kspace, mask, noise) -> Guidance, what the truth
    costs its latent in training.
    """
    # here, because these files need the contract above
    from custom_nn.adaptive_cs_net import AdaptiveCSNet
    from custom_nn.generative import Generative
    from custom_nn.generative_global import GenerativeGlobal
    from custom_nn.pix2pix import Pix2Pix
    from custom_nn.unet import UNet

    models = {
        "adaptive_cs_net": AdaptiveCSNet,
        "generative": Generative,
        "generative_global": GenerativeGlobal,
        "pix2pix": Pix2Pix,
        "unet": UNet,
        "zero_filled": ZeroFilled,
    }
    return models[name](**options)


def parameter_count(model: nn.Module) -> int:
    """Number of trained values."""
    return sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)
