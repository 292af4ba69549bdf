"""Which phase-encode columns are sampled: fastMRI's mask functions, to the column.

Every kind samples the centre [pad, pad + n), n = round(W * center_fraction), pad = (W - n + 1) // 2, and
adds its own pattern. Where the official code would keep no centre line at all (widths below 50 at a
fraction of 0.01), one is kept here: without it there is no image to start from. Offset sampling ("magic")
is Defazio, arXiv 1912.01101.
"""

import os
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.random import RandomState

Pattern = Callable[[int, int, int, RandomState], np.ndarray]  # (width, acceleration, low, rng) -> columns

CENTER = 0.32  # of the sampled columns, those of the centre: fastMRI's rule
_LEGACY = RandomState()  # never drawn from but after it was seeded


class Pair(NamedTuple):
    """An acceleration and the fraction of columns that its centre has."""

    acceleration: int
    center_fraction: float


class MaskSettings(NamedTuple):
    """A kind of mask and the pairs that may be drawn."""

    kind: str
    pairs: tuple[Pair, ...]

    @classmethod
    def make(
        cls, kind: str, accelerations: list[int], center_fractions: list[float] | None
    ) -> "MaskSettings":
        """Pairs from lists; without fractions fastMRI's rule 0.32 / R, which is 0.08 at 4 and 0.04 at 8."""
        fractions = center_fractions or [CENTER / acceleration for acceleration in accelerations]
        return cls(kind, tuple(map(Pair, accelerations, fractions)))

    def center_fraction(self, acceleration: int) -> float:
        """The listed fraction, or the rule's for an acceleration that is not listed."""
        return dict(self.pairs).get(acceleration, CENTER / acceleration)


def evaluation_mask(
    kind: str, fname: str, width: int, acceleration: int, center_fraction: float
) -> np.ndarray:
    """The mask, bool (width,), that the official code gives a volume; depends on the base name alone."""
    return draw_mask(
        kind, width, acceleration, center_fraction, _seeded(tuple(map(ord, os.path.basename(fname))))
    )


def training_mask(
    kind: str, width: int, acceleration: int, center_fraction: float, rng: np.random.Generator
) -> np.ndarray:
    """A new mask, bool (width,), reproducible from the state of `rng`."""
    legacy = _seeded(rng.integers(2**32, size=4, dtype=np.uint32))
    return draw_mask(kind, width, acceleration, center_fraction, legacy)


def _seeded(seed: np.ndarray | tuple[int, ...]) -> RandomState:
    """What `RandomState(seed)` is, at a tenth of the time: that would gather the system's entropy first."""
    _LEGACY.seed(seed)
    return _LEGACY


def draw_mask(
    kind: str, width: int, acceleration: int, center_fraction: float, rng: RandomState
) -> np.ndarray:
    """A mask, bool (width,), drawn as the official code draws one for a single (acceleration, fraction)."""
    low = center_lines(kind, width, acceleration, center_fraction)
    rng.randint(1)  # the official code draws which pair to use, even if there is only one
    mask = np.zeros(width, dtype=bool)
    pad = (width - low + 1) // 2
    mask[pad : pad + low] = True
    mask[KINDS[kind](width, acceleration, low, rng)] = True
    return mask


def center_lines(kind: str, width: int, acceleration: int, center_fraction: float) -> int:
    """Number of centre columns; ValueError if the settings can't reach the acceleration."""
    low = max(round(width * center_fraction), 1)
    if kind == "magic_fraction":  # the centre gives way to the acceleration
        low = max(min(low, round(width / acceleration)), 1)
    problem = None
    if kind != "magic" and low > width / acceleration:  # magic adds its lines whatever the centre
        problem = f"need {low} centre lines, more than the {width / acceleration:.1f} that may be sampled"
    elif kind == "equispaced_fraction" and low * acceleration >= width:
        problem = "leave no line outside the centre"
    if problem:
        raise ValueError(
            f"masks.kind {kind}: acceleration {acceleration} with centre fraction {center_fraction} "
            f"at width {width} would {problem}"
        )
    return low


def achieved_acceleration(mask: np.ndarray, acquired: tuple[int, int]) -> float:
    """Acquired columns over sampled acquired columns: zero padding counts on neither side."""
    inside = mask[acquired[0] : acquired[1]]
    return len(inside) / max(int(inside.sum()), 1)


def _random(width: int, acceleration: int, low: int, rng: RandomState) -> np.ndarray:
    probability = (width / acceleration - low) / (width - low) if low < width else 0.0
    return rng.uniform(size=width) < probability


def _random_exact(width: int, acceleration: int, low: int, rng: RandomState) -> np.ndarray:
    """Exactly round(width / acceleration) columns with the centre, which `random` keeps only on average."""
    pad = (width - low + 1) // 2
    outside = np.r_[0:pad, pad + low : width]
    return rng.choice(outside, size=max(round(width / acceleration) - low, 0), replace=False)


def _equispaced(width: int, acceleration: int, low: int, rng: RandomState) -> np.ndarray:
    return np.arange(rng.randint(0, acceleration), width, acceleration)


def _equispaced_fraction(width: int, acceleration: int, low: int, rng: RandomState) -> np.ndarray:
    spacing = acceleration * (low - width) / (low * acceleration - width)
    offset = rng.randint(0, round(spacing))
    return np.around(np.arange(offset, width - 1, spacing)).astype(int)


def _magic(width: int, acceleration: int, low: int, rng: RandomState) -> np.ndarray:
    return _offset_columns(width, acceleration, rng)


def _magic_fraction(width: int, acceleration: int, low: int, rng: RandomState) -> np.ndarray:
    outside = round(width / acceleration) - low
    return _offset_columns(width, round(width / outside), rng) if outside > 0 else np.arange(0)


def _offset_columns(width: int, spacing: int, rng: RandomState) -> np.ndarray:
    """Columns at distances from the centre that differ between its two sides, so conjugates fill gaps.

    On the positive side (distance 0 is the centre itself) they start one after an even offset or two after
    an odd one; on the negative side (distance 0 is the column before the centre) the other way round.
    """
    offset = rng.randint(0, spacing)
    positive_start, negative_start = (offset + 1, offset + 2) if offset % 2 == 0 else (offset + 2, offset - 1)
    half = (width + 1) // 2
    positive = np.arange(positive_start, half, spacing)
    negative = width - 1 - np.arange(negative_start, width - half, spacing)
    return (np.r_[positive, negative] + width // 2) % width  # fftshift


KINDS: dict[str, Pattern] = {
    "random": _random,
    "random_exact": _random_exact,
    "equispaced": _equispaced,
    "equispaced_fraction": _equispaced_fraction,
    "magic": _magic,
    "magic_fraction": _magic_fraction,
}
