"""Conformal risk control: a setting under which, on average, no more goes wrong than was agreed.

Angelopoulos et al. 2022, arXiv 2208.02814. Whole volumes are exchangeable, their pixels and slices are not,
so a loss is one number per volume, such as the part of its pixels that an interval misses.
"""

import math

import numpy as np

ROUNDING = 1e-9  # of a level and of a mean: 1 - 0.9 is a little below 0.1


def control_risk(losses: np.ndarray, alpha: float) -> int | None:
    """Index of the first setting whose expected loss on one more volume is at most alpha; None if none is.

    losses float (volumes, settings) in [0, 1], not increasing along settings. Takes the first setting with
    (sum of losses + 1) / (volumes + 1) <= alpha (theorem 1 there): the expectation is over the volumes that
    calibrate as well, and at least alpha - 2 / (volumes + 1) where losses fall in small steps (theorem 2).
    """
    assert losses.ndim == 2
    assert 0 < alpha < 1
    bound = (losses.sum(axis=0) + 1) / (len(losses) + 1)
    held = np.flatnonzero(bound <= alpha + ROUNDING)
    return int(held[0]) if held.size else None


def fewest_volumes(alpha: float) -> int:
    """How many volumes it takes before anything can be promised: with none missed, 1 / (n + 1) <= alpha."""
    return math.ceil(1 / (alpha + ROUNDING) - 1)
