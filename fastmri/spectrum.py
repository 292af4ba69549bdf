"""Texture on unmeasured k-space, ring by ring: is the energy there, and is it the right one?

The power ratio of an image to the truth tells the first, their correlation the second: a ratio near 1 with a
correlation near 0 is invented grain. Measured samples are left out, because any method may copy them.
"""

import math
from functools import cache
from typing import NamedTuple

import torch
from torch import Tensor

from fastmri.fourier import fft1c, spatial_frequency
from fastmri.image import image_size

RINGS = 32  # from 0 to half a cycle per pixel
HALF_BAND = RINGS // 2
LOWER = 3  # halves of octaves that are told apart below the last octave's own
NOTHING = 1e-9  # of the truth's energy: what rounding puts into the null space
INVENTED = 0.9  # a hallucination fraction above which null-space content is no better than another subject's


class Texture(NamedTuple):
    """Texture above half the band, where an interpolation has none."""

    power_ratio: float  # power over the truth's
    correlation: float  # with the truth, -1 to 1; 0 where there is no power


class NullSpace(NamedTuple):
    """What a method put where nothing was measured (Bhadra et al. 2021, IEEE TMI 40(11))."""

    error: float  # ||P (estimate - truth)|| / ||P truth||, P the projection onto the null space
    hallucination: float  # part of the energy it put there that does not correlate with the truth, 0 to 1


def ring_sums(image: Tensor, kspace: Tensor, mask: Tensor, acquired: tuple[int, int]) -> Tensor:
    """Sums over a batch of the image's power, the truth's, and their product: float64 (3, RINGS + 1).

    The last is of the corners beyond half a cycle per pixel, so that all are the null space's.
    image complex64 (N, 1, H, W); kspace, the truth's complete hybrid data, alike; mask (N, 1, 1, W);
    `acquired` is the range of columns that the scan holds, outside of which the truth is zero by definition.
    """
    estimate, truth = fft1c(fft1c(image), dim=-2), fft1c(kspace, dim=-2)
    column = torch.arange(mask.shape[-1], device=mask.device)
    unmeasured = ~mask & (column >= acquired[0]) & (column < acquired[1])
    products = torch.stack([estimate.abs() ** 2, truth.abs() ** 2, (estimate * truth.conj()).real])
    sums = (products.double() * unmeasured).sum(dim=(1, 2))  # (3, H, W)
    rings = torch.zeros(3, RINGS + 1, dtype=torch.float64, device=image.device)
    return rings.index_add_(1, _ring(image_size(image), image.device).flatten(), sums.flatten(1))


def _ring(size: tuple[int, int], device: torch.device) -> Tensor:
    """The ring of every place of a centred spectrum, (H, W); RINGS for what lies beyond the last."""
    return (spatial_frequency(size, device) / 0.5 * RINGS).long().clamp(max=RINGS)


def octave_levels(masked_kspace: Tensor, mask: Tensor, octaves: int) -> Tensor:
    """Root mean square of an image's octaves as measured columns foretell it, finest first: (N, octaves).

    masked_kspace complex64 (N, 1, H, W), mask bool (N, 1, 1, W). The last octave is with all below.
    """
    places = _octave_places(image_size(masked_kspace), octaves, 1, mask.device)
    foretold = _foretold(masked_kspace, mask, places)
    return foretold.amplitude * places.mean(0).sqrt()


def missing_levels(masked_kspace: Tensor, mask: Tensor, octaves: int) -> Tensor:
    """Root mean square of each octave's unmeasured samples, as the measured ones foretell: (N, octaves).

    As of `octave_levels`; 0 where all of an octave was measured.

    By halves of octaves, since within one most is near its lower end, which may be measured.
    """
    halves = [2] * (octaves - 1) + [2 + LOWER]
    places = _octave_places(image_size(masked_kspace), sum(halves), 2, mask.device)
    foretold = _foretold(masked_kspace, mask, places)
    energy = foretold.amplitude.square() * (places.sum(0) - foretold.measured) / len(places)
    return torch.stack([part.sum(1) for part in energy.split(halves, dim=1)], dim=1).sqrt()


class _Foretold(NamedTuple):
    amplitude: Tensor  # (N, rings): root mean square of the places of a ring
    measured: Tensor  # (N, rings): how many of them


def _foretold(masked_kspace: Tensor, mask: Tensor, places: Tensor) -> _Foretold:
    """What measured columns foretell of rings that hold these places (H W, rings), alike in all directions.

    The columns at the centre have all frequencies of one direction, so even a few tell of each. By the mean
    amplitude, which the lowest frequencies do not drown, 2 / sqrt(pi) of it as of normal samples; under a
    Hann window over rows, lest their ends count as edges.
    """
    window = torch.hann_window(masked_kspace.shape[-2], periodic=False, device=mask.device)[:, None]
    amplitude = fft1c(masked_kspace * window / window.square().mean().sqrt(), dim=-2).abs()
    with torch.autocast(mask.device.type, enabled=False):  # which would round to 8 bits
        sums = amplitude.flatten(1) @ places
        counts = mask.expand(amplitude.shape).flatten(1).float() @ places
    return _Foretold(2 / math.pi**0.5 * sums / counts.clamp(min=1), counts)


@cache
@torch.inference_mode(False)  # wherever they are made first, training may use them
def _octave_places(size: tuple[int, int], rings: int, per_octave: int, device: torch.device) -> Tensor:
    """Whether each place of a centred spectrum is in each ring, the last with all below: (H W, rings)."""
    frequency = spatial_frequency(size, device).clamp(min=1e-6)
    ring = (-torch.log2(frequency / 0.5) * per_octave).floor().clamp(0, rings - 1)
    return (ring.flatten()[:, None] == torch.arange(rings, device=device)).float()


def texture(sums: Tensor) -> Texture:
    """Power ratio and correlation above half the band, of `ring_sums` added up over slices."""
    return _texture(*sums[:, HALF_BAND:RINGS].sum(1).tolist())


def texture_curve(sums: Tensor) -> list[Texture]:
    """Power ratio and correlation in each of RINGS rings, of `ring_sums` added up over slices."""
    return [_texture(*ring) for ring in sums[:, :RINGS].T.tolist()]


def null_space_measures(sums: Tensor) -> NullSpace:
    """Error and hallucination fraction in the null space, of `ring_sums`: the transform is unitary."""
    power, truth, product = sums.sum(1).tolist()
    error = (max(power + truth - 2 * product, 0.0) / truth) ** 0.5 if truth else 0.0
    explained = max(product, 0.0) ** 2 / (power * truth) if power * truth else 0.0
    return NullSpace(error, max(1 - explained, 0.0) if power > NOTHING * truth else 0.0)


def _texture(power: float, truth: float, product: float) -> Texture:
    some = power > NOTHING * truth > 0  # else the correlation would be one of rounding errors
    return Texture(power / truth if truth else 0.0, product / (power * truth) ** 0.5 if some else 0.0)
