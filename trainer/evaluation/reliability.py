"""How often the truth is within the intervals that samples state, level by level, calibrated or not."""

from typing import Any

import numpy as np
from scipy.stats import norm
from scipy.stats import t as student

from trainer.evaluation.intervals import bootstrap_interval
from trainer.evaluation.trust import FACTORS, Trust

LEVELS = np.array([*(round(0.05 * k, 2) for k in range(1, 20)), 0.99])
NORMAL = norm.ppf((1 + LEVELS) / 2)  # standard deviations a side that hold them: sqrt(2) erfinv(level)


def held(found: Trust) -> np.ndarray:
    """Part of the body's pixels within the normal law's intervals of LEVELS."""
    return 1 - np.interp(NORMAL, FACTORS, found.beyond)


def exact_coverage(samples: int) -> np.ndarray:
    """What these intervals would hold if truth and so many samples were of one normal law in every pixel.

    Less than the level, because mean and standard deviation are of a few samples: the error over the latter
    is Student's t with samples - 1 degrees of freedom, times sqrt(1 + 1 / samples).
    """
    return 2 * student.cdf(NORMAL / np.sqrt(1 + 1 / samples), samples - 1) - 1


def reliability_rows(trusts: list[Trust], samples: int) -> list[dict[str, Any]]:
    """Coverage over LEVELS, mean and range over volumes, per acceleration, of all acquisitions and each."""
    table = []
    for acceleration in dict.fromkeys(each.acceleration for each in trusts):
        alike = [each for each in trusts if each.acceleration == acceleration]
        for acquisition in ["all", *sorted({each.acquisition for each in alike})]:
            chosen = [each for each in alike if acquisition in ("all", each.acquisition)]
            row = {"acceleration": acceleration, "acquisition": acquisition, "volumes": len(chosen)}
            row |= {"samples": samples, "level": LEVELS.tolist(), "coverage": _over_volumes(chosen)}
            table.append(row | {"exact": exact_coverage(samples).tolist()})
    return table


def _over_volumes(chosen: list[Trust]) -> dict[str, list[Any]]:
    """Level by level; `interval` is the bootstrap's, of the mean."""
    parts = np.stack([held(each) for each in chosen])  # (volumes, LEVELS)
    return {
        "mean": parts.mean(axis=0).tolist(),
        "min": parts.min(axis=0).tolist(),
        "max": parts.max(axis=0).tolist(),
        "interval": [bootstrap_interval(level) for level in parts.T],
    }
