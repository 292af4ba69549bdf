"""The generative model: a baseline, and texture where nothing was measured.

x = x_mmse + a P(texture), where P projects onto the null space of the measurement, so that no measured sample
can change, and a in [0, 1] is the one knob between fidelity and texture: a = 0 is the baseline exactly. The
texture is drawn by noise, and by texture vectors that are read by attention at each place.
"""

from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from custom_nn.adaptive_cs_net import AdaptiveCSNet
from custom_nn.encoder import Proxy
from custom_nn.gains import BandGains
from custom_nn.latent import Gaussian, Guidance, gaussian, kl_divergence
from custom_nn.layers import to_channels, to_complex
from custom_nn.model import Noise, Reconstruction
from custom_nn.redrawing import STRIDE, believed, taken_columns
from custom_nn.texture import Features, MappingNetwork, TextureDecoder
from custom_nn.units import brightness, texture_predictors, texture_units
from fastmri.fourier import fft1c
from fastmri.image import pad_to_multiple
from fastmri.physics import (
    apply_mask,
    high_pass,
    measured_scale,
    middle_slice,
    null_space,
    sampling_density,
    smooth_phase,
    zero_filled,
)
from fastmri.spectrum import missing_levels, octave_levels

MIDDLE_DENSITY, DENSITY_RANGE = 3.5, 1.5  # log2 of accelerations: x4 to x32 are about -1 to 1
OPPOSITE = 0.1  # how much is left of what is opposite to the smooth phase: gradients are to pass


class Condition(NamedTuple):
    """What all samples of the same data share; images over `scale`, but for the first."""

    image: Tensor  # complex64 (N, 1, H, W): x_mmse as the baseline gives it
    scale: Tensor  # (N, 1, 1, 1)
    baseline: Tensor  # complex64 (N, 1, H, W): x_mmse
    phase: Tensor  # complex64 (N, 1, H, W), modulus 1: texture is drawn in phase with the baseline
    units: list[Tensor]  # (N, 1, H / 2^k, W / 2^k): about how strong texture is, padded
    predictors: Tensor  # (N, 1 + 2 scales): what foretells the slice's texture as a whole
    features: list[Tensor]  # (N, filters[k], H / 2^k, W / 2^k), padded
    summary: Tensor  # (N, filters[-1])
    prior: Gaussian  # of z (N, tokens, latent), from the input alone


class Generative(nn.Module):
    """Baseline and texture generator; each draw of noise is another sample of what may have been there."""

    name: Literal["generative"] = "generative"
    stochastic: Literal[True] = True

    def __init__(
        self,
        *,
        adjacent_slices: int,
        cascade: dict,
        baseline: str | None,
        freeze_baseline: bool,
        amplitude: float,
        filters: list[int],
        tokens: int,
        token_width: int,
        latent: int,
        attention: bool,
        hard_projection: bool,
        high_pass: float,
        redraws: int,
        proxy_weights: str,
    ):
        super().__init__()
        self.amplitude, self.hard_projection, self.high_pass = amplitude, hard_projection, high_pass
        self.frozen, self.redraws = freeze_baseline, redraws
        self.baseline = AdaptiveCSNet(**cascade, adjacent_slices=adjacent_slices)
        self.baseline.requires_grad_(not freeze_baseline)
        self.features = Features(5, filters)
        self.prior = nn.Linear(filters[-1], 2 * tokens * latent)
        nn.init.zeros_(self.prior.weight)  # a standard normal at the start
        nn.init.zeros_(self.prior.bias)
        self.mapping = MappingNetwork(tokens, latent, filters[-1], token_width)
        self.decoder = TextureDecoder(filters, token_width, attention)
        self.proxy = Proxy(proxy_weights, tokens * latent)
        self.latent_shape = (tokens, latent)
        self.gains: BandGains | None = None  # of a trained model, see `trainer.spreading`
        self.to(memory_format=torch.channels_last)

    def forward(
        self,
        masked_kspace: Tensor,
        mask: Tensor,
        noise: Noise,
        scale: Tensor | None = None,
        latent: Condition | None = None,
    ) -> Reconstruction:
        condition = self.encode(masked_kspace, mask, scale) if latent is None else latent
        texture = self._draw(condition, mask, mask, noise)
        if self.redraws and self.gains is not None:  # of a trained model
            texture = self._redrawn(condition, texture, masked_kspace, mask, noise)
        return self._added(condition, texture)

    def decoded(self, condition: Condition, noise: Noise, draws: int) -> list[Tensor]:
        """Draws of a texture by the prior, which `rendered` makes a sample of: two where there are gains."""
        return [self._decode(condition, condition.prior.sample(noise), noise) for _ in range(draws)]

    def rendered(self, condition: Condition, decoded: list[Tensor], mask: Tensor) -> Reconstruction:
        """The sample, not drawn again, of what was `decoded`; of two where there are no gains, the first."""
        return self._added(condition, self._texture(condition, self._weighed(decoded, mask), mask))

    def encode(self, masked_kspace: Tensor, mask: Tensor, scale: Tensor | None = None) -> Condition:
        """What all samples of these data share: the baseline's image, and what the texture is told."""
        scale = measured_scale(masked_kspace) if scale is None else scale
        with torch.set_grad_enabled(torch.is_grad_enabled() and not self.frozen):
            image = self.baseline(masked_kspace, mask, None, scale).image
            baseline = image / scale
        measured = middle_slice(masked_kspace) / scale
        zero = zero_filled(measured)
        phase = smooth_phase(baseline.detach())
        images = torch.cat([baseline, zero], dim=1) * phase.conj()
        density = sampling_density(mask)
        sparsity = (density - MIDDLE_DENSITY) / DENSITY_RANGE
        plane = sparsity.expand(-1, 1, *baseline.shape[-2:])
        padded, _ = pad_to_multiple(
            torch.cat([to_channels(images), plane], dim=1), 2 ** (len(self.features.enter) - 1)
        )
        features = self.features(padded)
        summary = features[-1].mean(dim=(-2, -1))
        levels = octave_levels(measured, mask, len(features))
        guessed = octave_levels(fft1c(baseline.detach()), torch.ones_like(mask), len(features))
        missing = missing_levels(measured, mask, len(features))
        units = texture_units(missing, baseline.detach(), density)
        predictors = texture_predictors(sparsity.flatten(1), levels, guessed)
        prior = gaussian(self.prior(summary), self.latent_shape)
        return Condition(image, scale, baseline, phase, units, predictors, features, summary, prior)

    def guide(self, latent: Condition, kspace: Tensor, mask: Tensor, noise: Noise) -> Guidance:
        """What the truth's own texture says: z as its proxy has it, the image drawn with it, and their cost.

        kspace: complete hybrid data (N, 1, H, W). A conditional variational autoencoder's two terms, with
        the prior from the input. Layers get no noise here: an error of one picture would silence it, but
        what noise draws is by its nature not the truth's.
        """
        truth = zero_filled(kspace) / latent.scale
        seen = high_pass(truth, mask, self.high_pass) if self.high_pass else truth
        posterior = gaussian(self.proxy(seen * latent.phase.conj()), self.latent_shape)
        drawn = self._decode(latent, posterior.sample(noise), lambda shape: truth.real.new_zeros(shape))
        image = latent.baseline + self.amplitude * self._texture(latent, drawn, mask)
        texture = (to_channels(image) - to_channels(truth)).abs().mean()
        return Guidance(kl_divergence(posterior, latent.prior), texture)

    def _draw(self, condition: Condition, mask: Tensor, measured: Tensor, noise: Noise) -> Tensor:
        """A texture by the prior, in the null space of `mask`; gains are by what was `measured` indeed."""
        decoded = self.decoded(condition, noise, 1 if self.gains is None else 2)
        return self._texture(condition, self._weighed(decoded, measured), mask)

    def _weighed(self, decoded: list[Tensor], measured: Tensor) -> Tensor:
        return decoded[0] if self.gains is None else self.gains(*decoded, measured)

    def _added(self, condition: Condition, texture: Tensor) -> Reconstruction:
        if not self.amplitude:  # not even rounded
            return Reconstruction(condition.image, condition.image, condition)
        image, scale = condition.baseline + self.amplitude * texture, condition.scale
        return Reconstruction(image * scale, condition.baseline * scale, condition)

    def _redrawn(
        self, start: Condition, texture: Tensor, masked_kspace: Tensor, mask: Tensor, noise: Noise
    ) -> Tensor:
        """Textures of data sparser than the densest that gains are of, drawn again; others as they are.

        Each time from the measured columns and some of the sample's own, which its neighbours have alike.
        """
        assert self.gains is not None
        density, densest = sampling_density(mask), self.gains.density[0]
        sparse = density > densest + 0.5  # densities of one acceleration differ
        if not sparse.any():  # waits for the device
            return texture
        kept = believed(brightness(start.baseline, density))
        for turn in range(self.redraws):
            image = (start.baseline + self._unmeasured(kept * texture, mask)) * start.scale
            wanted = (density - (turn + 1) * STRIDE).clamp(min=densest)
            taken = taken_columns(mask, wanted, noise(tuple(mask.shape)))
            data = torch.where(mask, masked_kspace, apply_mask(fft1c(image), taken))
            condition = self.encode(data, taken)
            drawn = (condition.baseline + self._draw(condition, taken, mask, noise)) * condition.scale
            texture = torch.where(sparse, drawn / start.scale - start.baseline, texture)
        return torch.where(sparse, self._unmeasured(kept * texture, mask), texture)

    def _decode(self, condition: Condition, z: Tensor, noise: Noise) -> Tensor:
        """The texture of a latent, (N, 2, H, W) in phase and in quadrature with the baseline."""
        height, width = condition.baseline.shape[-2:]
        w = self.mapping(z, condition.summary)
        channels = self.decoder(condition.features, condition.units, condition.predictors, w, noise)
        return channels[..., :height, :width]

    def _texture(self, condition: Condition, channels: Tensor, mask: Tensor) -> Tensor:
        """What channels add to the baseline, complex64 (N, 1, H, W).

        Anatomy is not opposite to a phase that is smooth. So what texture makes so is shrunk, or it would be
        bright where it ought to be dark: errors of magnitudes would not be those of the parts in phase.
        """
        guess = (condition.baseline * condition.phase.conj()).real
        in_phase, quadrature = channels.chunk(2, dim=1)
        in_phase = F.leaky_relu(guess + in_phase, OPPOSITE, inplace=True) - F.leaky_relu(guess, OPPOSITE)
        return self._unmeasured(to_complex(torch.cat([in_phase, quadrature], dim=1)) * condition.phase, mask)

    def _unmeasured(self, texture: Tensor, mask: Tensor) -> Tensor:
        return null_space(texture, mask) if self.hard_projection else texture
