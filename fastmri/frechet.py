"""Frechet distance between the tiles of reconstructions and of the truth, on wavelet features.

Like FID (Heusel et al. 2017, arXiv 1706.08500, eq. 6), but on tiles of magnitude images instead of photos,
and on features that need no weights: the means and root mean squares of a wavelet's moduli, the first layer
of a scattering transform (Bruna & Mallat 2013, IEEE TPAMI 35(8)). The first tells how much of each scale and
direction there is, the second against the first how sparse it is: edges, or grain. Not comparable with FID.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from fastmri.morlet import DIRECTIONS, OCTAVES, morlet

TILE, STRIDE = 96, 32  # pixels
FEATURES = 2 * OCTAVES * DIRECTIONS + 1
FAINTEST = 1e-3  # of the volume's maximum: features are logarithms
SLICES = 16  # at once


class TileMoments(NamedTuple):
    """Sums over tiles, from which mean and covariance of their features follow for any union of volumes."""

    tiles: int
    first: np.ndarray  # float64 (FEATURES,)
    second: np.ndarray  # float64 (FEATURES, FEATURES)


class Gaussians(NamedTuple):
    """n normal distributions of features."""

    mean: np.ndarray  # float64 (n, FEATURES)
    covariance: np.ndarray  # float64 (n, FEATURES, FEATURES)


def tile_moments(images: np.ndarray, max_value: float, device: torch.device) -> TileMoments | None:
    """Moments of the tiles of a volume's magnitude images, float (S, h, w); None if these are too small."""
    if min(images.shape[1:]) < TILE:
        return None
    parts = torch.from_numpy(images / max_value).float().split(SLICES)
    features = torch.cat([tile_features(part.to(device)).cpu() for part in parts]).double().numpy()
    return TileMoments(len(features), features.sum(0), features.T @ features)


def tile_features(images: Tensor) -> Tensor:
    """Features of every tile of images float32 (S, h, w) over their maximum: (S * tiles, FEATURES)."""
    moduli = morlet(images).abs().flatten(1, 2)  # (S, bands, h, w)
    pooled = [_tiles(images[:, None]), _tiles(moduli), _tiles(moduli**2).sqrt()]
    features = torch.cat(pooled, dim=1).flatten(2)  # (S, FEATURES, tiles)
    return (features + FAINTEST).log().transpose(1, 2).flatten(0, 1)


def _tiles(maps: Tensor) -> Tensor:
    return F.avg_pool2d(maps, TILE, STRIDE)


def frechet_distance(one: Sequence[TileMoments], other: Sequence[TileMoments]) -> float:
    """Between all tiles of some volumes and all of others; 0 for the same tiles, no unit."""
    gaussians = [_gaussians(moments, np.ones((1, len(moments)))) for moments in (one, other)]
    return float(_distances(*gaussians)[0])


def frechet_distances(
    one: Sequence[TileMoments], other: Sequence[TileMoments], weights: np.ndarray
) -> np.ndarray:
    """Distances (n,) of volumes in pairs, under every row of weights (n, volumes), such as a bootstrap's."""
    return _distances(_gaussians(one, weights), _gaussians(other, weights))


def _distances(one: Gaussians, other: Gaussians) -> np.ndarray:
    """|m1 - m2|^2 + tr(C1 + C2 - 2 (C1^1/2 C2 C1^1/2)^1/2), (n,)."""
    root = _root(one.covariance)
    cross = np.linalg.eigvalsh(root @ other.covariance @ root)
    traces = np.trace(one.covariance + other.covariance, axis1=1, axis2=2)
    distances = ((one.mean - other.mean) ** 2).sum(1) + traces - 2 * np.sqrt(cross.clip(0)).sum(1)
    return distances.clip(0)


def _gaussians(moments: Sequence[TileMoments], weights: np.ndarray) -> Gaussians:
    """The weighted tiles' mean and covariance."""
    counts = weights @ np.array([each.tiles for each in moments])
    mean = weights @ np.stack([each.first for each in moments]) / counts[:, None]
    second = np.tensordot(weights, np.stack([each.second for each in moments]), axes=1)
    return Gaussians(mean, second / counts[:, None, None] - mean[:, :, None] * mean[:, None])


def _root(matrices: np.ndarray) -> np.ndarray:
    """The square roots of positive semidefinite matrices (n, F, F)."""
    values, vectors = np.linalg.eigh(matrices)
    return (vectors * np.sqrt(values.clip(0))[:, None]) @ vectors.transpose(0, 2, 1)
