"""The predecessor's generative model, as a reference: one texture vector for the whole picture.

An encoder of the zero-filled magnitude gives a variational latent z, a mapping network the texture vector w,
and AdaIN (arXiv 1703.06868) applies w, with noise, at every scale of every block of the cascade. A frozen
proxy network on the truth gives the target of w.
"""

from functools import partial
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn

from custom_nn.adaptive_cs_net import AdaptiveCSNet
from custom_nn.encoder import MOBILENET_FEATURES, MobileNetEncoder
from custom_nn.latent import Gaussian, Guidance, gaussian, kl_divergence, standard_normal
from custom_nn.model import Noise, Reconstruction
from custom_nn.modules import Modules
from custom_nn.texture import AdaptiveInstanceNorm, MappingNetwork
from fastmri.physics import measured_scale, middle_slice, zero_filled


class Encoded(NamedTuple):
    """What the encoder makes of the input; all samples of the same data share it."""

    scale: Tensor  # (N, 1, 1, 1)
    posterior: Gaussian  # of z, (N, 1, latent)


class GenerativeGlobal(nn.Module):
    """The cascade, modulated everywhere by one vector per slice."""

    name: Literal["generative_global"] = "generative_global"
    stochastic: Literal[True] = True
    projection: Tensor

    def __init__(
        self,
        *,
        adjacent_slices: int,
        cascade: dict,
        latent: int,
        token_width: int,
        encoder_weights: str,
    ):
        super().__init__()
        # AdaIN normalises in the cascade's stead
        self.cascade = AdaptiveCSNet(**{**cascade, "normalize": False}, adjacent_slices=adjacent_slices)
        self.encoder = MobileNetEncoder(frozen=False)
        self.head = nn.Linear(MOBILENET_FEATURES, 2 * latent)
        self.mapping = MappingNetwork(1, latent, 0, token_width)
        self.norms = Modules(
            Modules(AdaptiveInstanceNorm(count, token_width) for count in cascade["filters"])
            for _ in range(cascade["blocks"])
        )
        self.proxy = MobileNetEncoder(frozen=True)
        # from features to the size of w: fixed, because a target that learns could make itself easy
        self.register_buffer(
            "projection", torch.randn(MOBILENET_FEATURES, token_width) / MOBILENET_FEATURES**0.5
        )

    def forward(
        self,
        masked_kspace: Tensor,
        mask: Tensor,
        noise: Noise,
        scale: Tensor | None = None,
        latent: Encoded | None = None,
    ) -> Reconstruction:
        encoded = self.encode(masked_kspace, mask, scale) if latent is None else latent
        w = self._texture_vector(encoded, noise)
        styles = [partial(_styled, norms, w, noise) for norms in self.norms]
        image = self.cascade(masked_kspace, mask, noise, encoded.scale, styles).image
        return Reconstruction(image, latent=encoded)

    def encode(self, masked_kspace: Tensor, mask: Tensor, scale: Tensor | None = None) -> Encoded:
        """What all samples of these data share: the latent's distribution."""
        scale = measured_scale(masked_kspace) if scale is None else scale
        features = self.encoder(zero_filled(middle_slice(masked_kspace)).abs() / scale)
        return Encoded(scale, gaussian(self.head(features), (1, self.head.out_features // 2)))

    def guide(self, latent: Encoded, kspace: Tensor, mask: Tensor, noise: Noise) -> Guidance:
        """How far z is from a standard normal, and w from what the proxy sees in the truth.

        kspace: complete hybrid data (N, 1, H, W).
        """
        truth = zero_filled(kspace).abs() / latent.scale
        with torch.no_grad():
            target = self.proxy(truth) @ self.projection
        texture = (self._texture_vector(latent, noise) - target).abs().mean()
        return Guidance(kl_divergence(latent.posterior, standard_normal(latent.posterior)), texture)

    def _texture_vector(self, encoded: Encoded, noise: Noise) -> Tensor:
        """w (N, D); z is drawn in training and its mean in evaluation."""
        z = encoded.posterior.sample(noise) if self.training else encoded.posterior.mean
        return self.mapping(z, z.new_zeros(len(z), 0))[:, 0]


def _styled(
    norms: Modules[AdaptiveInstanceNorm], w: Tensor, noise: Noise, scale: int, features: Tensor
) -> Tensor:
    return norms[scale](features, w, noise)
