"""The models by name."""

from collections.abc import Callable
from functools import partial
from typing import Any

from custom_nn.adaptive_cs_net import AdaptiveCSNet
from custom_nn.classical import CompressedSensing, LowPass, total_variation, wavelet
from custom_nn.generative import Generative
from custom_nn.generative_global import GenerativeGlobal
from custom_nn.model import ZeroFilled
from custom_nn.pix2pix import Pix2Pix
from custom_nn.unet import UNet

Trained = AdaptiveCSNet | Generative | GenerativeGlobal | Pix2Pix | UNet
Untrained = ZeroFilled | LowPass | CompressedSensing

TRAINED: dict[str, type[Trained]] = {
    model.name: model for model in (AdaptiveCSNet, Generative, GenerativeGlobal, Pix2Pix, UNet)
}
UNTRAINED: dict[str, Callable[..., Untrained]] = {
    "zero_filled": ZeroFilled,
    "low_pass": LowPass,
    "tv": partial(CompressedSensing, total_variation),
    "wavelet": partial(CompressedSensing, wavelet),
}


def build_model(name: str, options: dict[str, Any]) -> Trained:
    """A model by its name in the config, with its options as keywords.

    All, and untrained ones, are called as model(masked_kspace (N, C, H, W) complex64, mask (N, 1, 1, W) bool,
    noise), give a `Reconstruction`, and say by `stochastic` whether noise changes what they give. A row crop
    comes with the `scale` (N, 1, 1, 1) of its whole slice, so that it is seen as it is in the whole; else it
    is measured. A stochastic model also has encode(masked_kspace, mask, scale) -> latent, what all samples of
    the same data share, which it takes as `latent`, and guide(latent, kspace, mask, noise) -> Guidance, what
    the truth costs its latent in training.
    """
    return TRAINED[name](**options)


def build_untrained(name: str, options: dict[str, Any]) -> Untrained:
    """A method without training, alike."""
    return UNTRAINED[name](**options)
