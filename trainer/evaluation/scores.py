"""What is measured of a method's volume."""

from typing import NamedTuple

import numpy as np

from fastmri.frechet import TileMoments, tile_moments
from fastmri.masks import achieved_acceleration
from fastmri.metrics import psnr_of_error, volume_metrics
from fastmri.spectrum import Texture, null_space_measures, texture, texture_curve
from fastmri.volumes import Volume
from trainer.evaluation.estimates import Estimates
from trainer.evaluation.perceptual import Perceptual
from trainer.evaluation.trust import Trust, trust


class Measures(NamedTuple):
    """What is measured of a method's volume.

    Of the mean of samples the first three are the mean magnitude's, the others the complex mean's.
    """

    psnr: float  # dB
    ssim: float
    nmse: float
    power_ratio: float  # on unmeasured k-space above half the band
    correlation: float  # there, with the truth
    null_space_error: float  # over the truth's norm there
    hallucination: float  # part of the null space's energy that does not correlate with the truth's
    dc_residual: float  # ||M F x - y|| / ||y||


class Tiles(NamedTuple):
    """What a Frechet distance needs of a volume."""

    estimate: TileMoments
    truth: TileMoments


class Score(NamedTuple):
    """One method on one volume at one acceleration."""

    method: str
    fname: str
    acceleration: int
    acquisition: str
    achieved_acceleration: float
    metrics: Measures
    perceptual: dict[str, float | None]  # by name, see `perceptual`; empty if not asked for
    curve: list[Texture]  # by ring of spatial frequency
    tiles: Tiles | None  # if perceptual metrics are asked for, and images are at least a tile


class Spread(NamedTuple):
    """What the means of 1, 2, 4, ... samples of one volume score: to be held against the posterior's law."""

    fname: str
    acceleration: int
    psnr: dict[int, float]  # number of samples -> dB

    @property
    def gap(self) -> float:
        """PSNR of the largest mean over that of one sample, in dB."""
        return self.psnr[max(self.psnr)] - self.psnr[1]


class Result(NamedTuple):
    """What was computed of one volume at one acceleration."""

    volume: Volume
    acceleration: int
    mask: np.ndarray  # bool (W,)
    target: np.ndarray  # float32 (S, h, w)
    estimates: Estimates


def score(result: Result, perceptual: Perceptual | None) -> list[Score]:
    """Raises ValueError that names the file if it can't be scored: nothing may hide in a mean."""
    volume, target = result.volume, result.target
    achieved = achieved_acceleration(result.mask, volume.acquired)
    truth = _tiles(target, target, perceptual)
    scores = []
    for name, found in result.estimates.methods.items():
        prediction = found.magnitude.numpy()
        if not (np.isfinite(prediction).all() and np.isfinite(target).all() and target.any()):
            raise ValueError(
                f"{volume.path}: {name} at x{result.acceleration}, or its target, is not finite or all zero; "
                "`check` tells more of the file"
            )
        energy = result.estimates.energy
        residual = float((found.misfit / energy).sqrt()) if energy else 0.0
        null = null_space_measures(found.rings)
        measures = Measures(*volume_metrics(target, prediction), *texture(found.rings), *null, residual)
        seen = perceptual(target, prediction) if perceptual else {}
        curve = texture_curve(found.rings)
        seen_tiles = _tiles(target, prediction, perceptual)
        tiles = Tiles(seen_tiles, truth) if seen_tiles and truth else None
        named = (name, volume.fname, result.acceleration, volume.acquisition)
        scores.append(Score(*named, achieved, measures, seen, curve, tiles))
    return scores


def _tiles(target: np.ndarray, images: np.ndarray, perceptual: Perceptual | None) -> TileMoments | None:
    return tile_moments(images, float(target.max()), perceptual.device) if perceptual else None


def trusts(result: Result) -> list[Trust]:
    """How far a stochastic model of at least two samples may be believed; nothing of others."""
    estimates = result.estimates
    name = next((name for name in estimates.methods if name.startswith("mean_")), None)
    if name is None:
        return []
    assert estimates.std is not None
    mean, std = estimates.methods[name].magnitude.numpy(), estimates.std.numpy()
    samples = int(name.removeprefix("mean_"))
    volume = result.volume
    named = (volume.fname, result.acceleration, volume.acquisition)
    return [trust(*named, mean, std, result.target, samples)]


def spread(result: Result) -> list[Spread]:
    errors = result.estimates.errors
    if errors is None:
        return []
    top, pixels = float(result.target.max()), result.target.size
    values = [psnr_of_error(error / pixels, top) for error in errors.tolist()]
    counts = [2**k for k in range(len(values))]
    return [Spread(result.volume.fname, result.acceleration, dict(zip(counts, values, strict=True)))]


def mean_gaps(spreads: list[Spread]) -> dict[int, float]:
    """Mean over volumes of the gap to one sample in dB, by acceleration."""
    accelerations = dict.fromkeys(spread.acceleration for spread in spreads)
    return {
        r: float(np.mean([spread.gap for spread in spreads if spread.acceleration == r]))
        for r in accelerations
    }
