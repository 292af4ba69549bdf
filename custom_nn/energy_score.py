"""How far samples are from a truth in what no band's spread can tell: edges are rare, grain is everywhere.

The energy score (Gneiting & Raftery 2007, JASA 102(477), section 4.2) is proper: in the mean none have a
lower one than samples of the posterior. Here it is of features that tell edges from grain of their spectrum.
"""

from itertools import combinations

import torch
from torch import Tensor
from torch.nn import functional as F

from fastmri.image import image_size
from fastmri.morlet import morlet

WINDOW, STRIDE = 8, 4  # pixels
FAINT = 1e-4  # of the squared maximum: correlations below have no root's steep gradient


def energy_score(samples: Tensor, truth: Tensor) -> Tensor:
    """mean_p |f(x_p) - f(y)| - 1/2 mean_p<q |f(x_p) - f(x_q)|, scalar, mean over slices and places.

    samples float32 (P, N, 1, h, w), at least two, and truth (N, 1, h, w), over the volume's maximum.
    """
    assert len(samples) > 1, "one sample has no spread"
    found = edge_features(torch.cat([truth[None], samples]))
    drawn = range(1, len(samples) + 1)
    pairs = [*combinations(drawn, 2)]
    fit = torch.stack([_distance(part[0], part[k]) for part in found for k in drawn]).sum() / len(drawn)
    spread = torch.stack([_distance(part[k], part[j]) for part in found for k, j in pairs]).sum() / len(pairs)
    return fit - spread / 2


def _distance(one: Tensor, other: Tensor) -> Tensor:
    """The norm over what an octave has at a place: (N, 1, octaves, C, h, w) twice -> scalar."""
    return (one - other).norm(dim=-3).mean(dim=(0, 1, -2, -1)).sum()


def edge_features(images: Tensor) -> list[Tensor]:
    """Of images (..., h, w), by octave and direction: at each place, and in each window, see below.

    At each place a wavelet's modulus, which sparse edges have rarely but large. In each window its mean, and
    how the phase of a wavelet goes with twice that of the next coarser one, which at an edge is everywhere
    alike, and of grain is nowhere: phase harmonics (Mallat, Zhang & Rochette 2020, Information and Inference
    9(3)), and of them the root of the modulus, so that all features have the image's unit.
    """
    waves = morlet(images)  # (..., octaves, directions, h, w)
    moduli, coarser = waves.abs(), waves[..., 1:, :, :, :]
    harmonics = waves[..., :-1, :, :, :] * (coarser * coarser.sgn()).conj()
    harmonics = F.pad(torch.view_as_real(harmonics), (0, 0) * 4 + (0, 1))  # none of the coarsest
    real, imaginary = (_windows(part) for part in harmonics.unbind(-1))
    root = (real.square() + imaginary.square() + FAINT**2) ** (1 / 4)
    return [moduli, torch.cat([_windows(moduli), real / root, imaginary / root], dim=-3)]


def _windows(maps: Tensor) -> Tensor:
    """Means over windows that overlap by half: (..., h, w) -> (..., h', w')."""
    window = min(WINDOW, *image_size(maps))
    return F.avg_pool2d(maps.flatten(0, -3), window, STRIDE).unflatten(0, maps.shape[:-2])
