"""Texture vectors, and the networks that they modulate.

Style-based synthesis (Karras et al., arXiv 1812.04948, and its demodulation, arXiv 1912.04958), with a set of
vectors, read by attention at each place, where StyleGAN has one for the whole picture.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from custom_nn.layers import conv3x3, double, halve, instance_norm, unit_size
from custom_nn.model import Noise
from custom_nn.modules import Modules
from fastmri.image import image_size

PICTURE_NOISE = 4  # fields of noise that each picture is given
NOISE_GAIN = 10.0  # strengths start at 0 and grow by a learning rate a step: so much faster than weights
STRONGEST = 6.0  # units of a picture: rounding of more would touch what was measured, whatever the weights
FAINTEST = 0.1  # least strength of a place: from 0 no gradient leads back
FARTHEST = 4.0  # how many times stronger, or fainter, all of a slice may be than its units


class MappingNetwork(nn.Module):
    """Learned tokens and their latents to texture vectors: z (N, K, Z), summary (N, S) -> w (N, K, D)."""

    def __init__(self, tokens: int, latent: int, summary: int, width: int, layers: int = 3):
        super().__init__()
        self.tokens = nn.Parameter(torch.randn(tokens, width))
        widths = [width + latent + summary, *[width] * layers]
        self.layers = Modules(map(nn.Linear, widths[:-1], widths[1:]))

    def forward(self, z: Tensor, summary: Tensor) -> Tensor:
        tokens = self.tokens.expand(len(z), -1, -1)
        summary = summary[:, None].expand(-1, tokens.shape[1], -1)
        w = unit_size(torch.cat([tokens, z, summary], dim=-1), dim=-1)
        for layer in self.layers[:-1]:
            w = F.leaky_relu(layer(w), 0.2)
        return self.layers[-1](w)


class TokenAttention(nn.Module):
    """A style for each place, read from the texture vectors: (N, P, C), (N, K, D) -> (N, P, C).

    Places attend to tokens, not to each other: K weights a place, linear in the number P of places. Query and
    value are linear, so they are applied to the tokens: two products of K x C a place are all that is left.
    Without `attention` every place gets the tokens' mean, (N, 1, C).
    """

    def __init__(self, channels: int, width: int, attention: bool):
        super().__init__()
        self.key = nn.Linear(width, width) if attention else None
        self.query = nn.Linear(channels, width, bias=False) if attention else None
        self.value = nn.Linear(width, channels)
        with torch.no_grad():
            self.value.bias.fill_(1)  # the convolution as it is

    def forward(self, places: Tensor, w: Tensor) -> Tensor:
        style = self.value(w)  # (N, K, C)
        if self.query is None or self.key is None:
            return style.mean(1, keepdim=True)
        asked = self.key(w) @ self.query.weight / self.query.out_features**0.5  # (N, K, C)
        return (places @ asked.mT).softmax(dim=-1) @ style


class ModulatedConv(nn.Module):
    """A 3x3 convolution whose input is scaled place by place, and whose output is demodulated.

    y_o = conv(s x; W)_o / sqrt(sum_i s_i^2 sum W_oi^2): StyleGAN2's eqs. 1 to 3, where the style s varies
    over places but counts as constant over the 3 x 3 pixels of one output, which spares a second convolution.
    Then noise of a learned strength per channel, 0 at the start, and LeakyReLU.
    """

    def __init__(self, inputs: int, outputs: int, width: int, attention: bool):
        super().__init__()
        self.attend = TokenAttention(inputs, width, attention)
        self.conv = conv3x3(inputs, outputs)
        self.noise_strength = nn.Parameter(torch.zeros(outputs))

    def forward(self, x: Tensor, w: Tensor, noise: Noise) -> Tensor:
        size, weight, bias = image_size(x), self.conv.weight, self.conv.bias
        assert bias is not None
        places = x.permute(0, 2, 3, 1).flatten(1, 2)  # (N, H W, C): a view, if channels come last in memory
        style = self.attend(places, w)
        demodulation = torch.rsqrt((style * style) @ weight.square().sum(dim=(2, 3)).T + 1e-8)
        y = F.conv2d(_as_image(style * places, size), weight, padding=1)
        local = self.attend.query is not None
        y = y * (_as_image(demodulation, size) if local else demodulation.mT[..., None]).to(y.dtype)
        y = y + inject_noise(self.noise_strength, y, noise) + bias[:, None, None].to(y.dtype)
        return F.leaky_relu(y, 0.2, inplace=True)


def _as_image(places: Tensor, size: tuple[int, int]) -> Tensor:
    """(N, H W, C) to (N, C, H, W)."""
    return places.unflatten(1, size).permute(0, 3, 1, 2)


class AdaptiveInstanceNorm(nn.Module):
    """Each channel normalised over its places, then scaled and shifted by the one texture vector w (N, D).

    By the standard deviation, per channel over (H, W) (arXiv 1703.06868, eq. 8), with noise of a learned
    strength added before, 0 at the start.
    """

    def __init__(self, channels: int, width: int):
        super().__init__()
        self.style = nn.Linear(width, 2 * channels)
        self.noise_strength = nn.Parameter(torch.zeros(channels))
        with torch.no_grad():
            self.style.bias[:channels].fill_(1)
            self.style.bias[channels:].zero_()

    def forward(self, x: Tensor, w: Tensor, noise: Noise) -> Tensor:
        x = x + inject_noise(self.noise_strength, x, noise)
        scale, shift = self.style(w)[:, :, None, None].chunk(2, dim=1)
        return scale * instance_norm(x) + shift


def inject_noise(strength: Tensor, x: Tensor, noise: Noise) -> Tensor:
    """One field of noise for all channels, each with its strength (C,): (N, C, H, W), of the type of x."""
    strength = NOISE_GAIN * strength[:, None, None].to(x.dtype)
    return strength * noise((x.shape[0], 1, *x.shape[-2:])).to(x.dtype)


class Features(nn.Module):
    """Features of the condition at every scale, finest first: two convolutions each, pooling between."""

    def __init__(self, channels: int, filters: list[int]):
        super().__init__()
        self.enter = Modules(map(conv3x3, [channels, *filters[:-1]], filters))
        self.stay = Modules(map(conv3x3, filters, filters))

    def forward(self, x: Tensor) -> list[Tensor]:
        features = []
        for scale, (enter, stay) in enumerate(zip(self.enter, self.stay, strict=True)):
            x = F.leaky_relu(enter(halve(x) if scale else x), 0.2, inplace=True)
            x = unit_size(F.leaky_relu(stay(x), 0.2, inplace=True))
            features.append(x)
        return features


class TextureDecoder(nn.Module):
    """From the coarsest features to a picture of two channels, modulated by texture vectors at each scale.

    Every scale adds a picture of its own (StyleGAN2's skip generator), of its features and of noise, so that
    coarse noise need not pass the finer scales to be seen, in `custom_nn.units.texture_units`. What is left
    of its strength the condition's features tell at each place, and `texture_predictors` of all, as powers of
    them: it differs by more than demodulated styles can follow. So do the decoder's features, in which noise
    is: noise whose strength is drawn as well has the statistics of edges (Gaussian scale mixture, Wainwright
    & Simoncelli, NIPS 1999).
    """

    def __init__(self, filters: list[int], width: int, attention: bool):
        super().__init__()
        coarse, fine = filters[:0:-1], filters[-2::-1]
        self.bottom = ModulatedConv(filters[-1], filters[-1], width, attention)
        self.ascend = Modules(
            ModulatedConv(a, b, width, attention) for a, b in zip(coarse, fine, strict=True)
        )
        self.refine = Modules(ModulatedConv(b, b, width, attention) for b in fine)
        self.pictures = Modules(conv3x3(count + PICTURE_NOISE, 2) for count in filters[::-1])
        self.strengths = Modules(conv3x3(count, 2) for count in filters[::-1])
        self.bursts = Modules(conv3x3(count, 2, bias=False) for count in filters[::-1])
        self.forecasts = Modules(nn.Linear(1 + 2 * len(filters), 2) for _ in filters)
        for part in (self.pictures, self.strengths, self.bursts, self.forecasts):
            for parameter in part.parameters():
                nn.init.zeros_(parameter)  # no texture at the start, and nowhere where it will be stronger

    def forward(
        self, features: list[Tensor], units: list[Tensor], predictors: Tensor, w: Tensor, noise: Noise
    ) -> Tensor:
        """`units` (N, 1, H / 2^k, W / 2^k), finest first as features are; `predictors` (N, 1 + 2 scales)."""
        x = self.bottom(features[-1], w, noise)
        picture = units[-1] * self._picture(0, x, features[-1], predictors, noise)
        for scale, (skip, unit) in enumerate(zip(features[-2::-1], units[-2::-1], strict=True)):
            x = double(self.ascend[scale](x, w, noise))
            x = self.refine[scale](unit_size(x + skip), w, noise)
            picture = double(picture) + unit * self._picture(scale + 1, x, skip, predictors, noise)
        return picture

    def _picture(self, scale: int, x: Tensor, features: Tensor, predictors: Tensor, noise: Noise) -> Tensor:
        drawn = NOISE_GAIN * noise((x.shape[0], PICTURE_NOISE, *image_size(x))).to(x.dtype)
        rate = 8 / x.shape[1]  # strengths learn as fast at every width
        logits = rate * (self.strengths[scale](features) + self.bursts[scale](x))
        picture = self.pictures[scale](torch.cat([x, drawn], dim=1)) * (FAINTEST + F.softplus(logits))
        forecast = NOISE_GAIN * self.forecasts[scale](predictors)[:, :, None, None]
        reach = math.log(FARTHEST)
        return picture.clamp(-STRONGEST, STRONGEST) * (reach * torch.tanh(forecast / reach)).exp()
