"""How sure a posterior sampler is, and whether it may be: intervals of pixels, and a lower bound of PSNR."""

from typing import NamedTuple

import numpy as np

from fastmri.conformal import control_risk
from fastmri.metrics import psnr_of_error

FACTORS = np.geomspace(0.01, 1000, 1151)  # of the standard deviation: half the width of an interval
SLACKS = np.linspace(-10, 40, 5001)  # dB from the PSNR that the samples foretell down to its lower bound
BODY = 0.05  # pixels above this part of the estimate's maximum: air would be covered by anything
FAINTEST_STD = 1e-4  # of that maximum


class Belief(NamedTuple):
    """What the samples of a volume say of themselves, without the truth."""

    body: np.ndarray  # bool (S, h, w)
    std: np.ndarray  # float (S, h, w), at least FAINTEST_STD
    psnr: np.ndarray  # dB (S,), foretold for the mean of the samples


class Trust(NamedTuple):
    """What became of it in one volume at one acceleration."""

    fname: str
    max_value: float  # with the name, tells the volume
    acceleration: int
    acquisition: str
    beyond: np.ndarray  # (FACTORS,) part of the body's pixels whose error is more than so many std
    std: float  # mean over the body, over the truth's maximum
    foretold: np.ndarray  # dB (S,)
    psnr: np.ndarray  # dB (S,)


def belief(mean: np.ndarray, std: np.ndarray, samples: int) -> Belief:
    """From the mean and the standard deviation of so many samples, float (S, h, w) each.

    The error of their mean is the posterior's variance, (1 + 1/P) times, see `fastmri.posterior`; the data
    range is the mean's maximum, because the truth's is not known.
    """
    top = float(mean.max()) or 1.0
    std = np.maximum(std, FAINTEST_STD * top)
    errors = (std.astype(np.float64) ** 2).mean(axis=(1, 2)) * (1 + 1 / samples)
    return Belief(mean > BODY * top, std, np.array([psnr_of_error(error, top) for error in errors]))


def trust(
    fname: str,
    acceleration: int,
    acquisition: str,
    mean: np.ndarray,
    std: np.ndarray,
    target: np.ndarray,
    samples: int,
) -> Trust:
    """Hold a volume's belief against its raw target, float (S, h, w)."""
    said, top = belief(mean, std, samples), float(target.max())
    error = np.abs(mean - target)
    ratios = (error / said.std)[said.body]
    counts, _ = np.histogram(ratios, bins=[0, *FACTORS, np.inf])
    beyond = 1 - np.cumsum(counts[:-1]) / max(ratios.size, 1)
    errors = (
        (error.astype(np.float64) ** 2).mean(axis=(1, 2)).clip((FAINTEST_STD * top) ** 2)
    )  # of empty slices 0
    psnr = np.array([psnr_of_error(each, top) for each in errors])
    width = float(said.std[said.body].mean()) / top if ratios.size else 0.0
    return Trust(fname, top, acceleration, acquisition, beyond, width, said.psnr, psnr)


def missed_bounds(found: Trust) -> np.ndarray:
    """Part of a volume's slices whose PSNR is below the bound, for each of SLACKS."""
    return (found.psnr[:, None] < found.foretold[:, None] - SLACKS).mean(axis=0)


class Bounds(NamedTuple):
    """What a calibrated run promises of a file.

    Of a file's slices the part above their own bounds is expected to be `level` at least: over files, and
    over the volumes that calibrated. No single slice, nor all of a file's together, have that probability.
    """

    psnr: np.ndarray  # dB (S,): that of the samples' mean is at least this
    factor: float  # so many standard deviations a side hold `level` of the truth's pixels
    level: float

    def line(self, slice_num: int | None = None) -> str:
        """To be read beside a picture: of one slice, or of all, each of which has its own."""
        kept = f"kept by {self.level:.0%} of slices, mean over files"
        if slice_num is not None:
            return f"PSNR of the mean at least {self.psnr[slice_num]:.1f} dB, a bound {kept}"
        low, high = self.psnr.min(), self.psnr.max()
        return f"PSNR of the mean at least {low:.1f} to {high:.1f} dB by slice, bounds {kept}"


class Calibration(NamedTuple):
    """What makes intervals and bounds of one acceleration hold."""

    factor: float  # of the standard deviation
    slack: float  # dB


def calibrate(found: list[Trust], level: float) -> Calibration:
    """From volumes that nothing was trained on. Raises ValueError if nothing is wide enough."""
    alpha = 1 - level
    factor = control_risk(np.stack([each.beyond for each in found]), alpha)
    slack = control_risk(np.stack([missed_bounds(each) for each in found]), alpha)
    if factor is None or slack is None:
        raise ValueError(
            f"x{found[0].acceleration}: no interval holds {level:.0%} of the truth on {len(found)} volumes"
        )
    return Calibration(float(FACTORS[factor]), float(SLACKS[slack]))


def coverage(found: Trust, calibration: Calibration) -> float:
    """Part of a volume's body that the intervals hold."""
    return 1 - float(found.beyond[_place(FACTORS, calibration.factor)])


def bounds_held(found: Trust, calibration: Calibration) -> float:
    """Part of a volume's slices whose PSNR is at least its bound."""
    return 1 - float(missed_bounds(found)[_place(SLACKS, calibration.slack)])


def _place(settings: np.ndarray, value: float) -> int:
    return int(np.abs(settings - value).argmin())
