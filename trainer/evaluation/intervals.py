"""How far a mean over volumes may be from that over all volumes: percentile bootstrap."""

from collections.abc import Sequence
from functools import lru_cache

import numpy as np

RESAMPLES = 10_000
FEWER = 500  # of what takes longer than a mean
LEVEL = 0.95
# how often an interval of so many values holds their law's mean: of 10,000 draws of normal values
HELD = {2: 0.50, 3: 0.75, 4: 0.80, 6: 0.86, 12: 0.91, 30: 0.93}
MANY = 10  # volumes, from which nothing is said of it


def bootstrap_interval(values: Sequence[float]) -> list[float] | None:
    """The interval of the mean that holds LEVEL of the means of resampled volumes; None of a single one.

    Efron & Tibshirani 1993, chapter 13. The resamples follow from the number of values alone, so that the
    same volumes are drawn for every method and measure, and twice the same call gives the same interval.

    Of few values it holds the mean less often than LEVEL, see HELD.
    """
    if len(values) < 2:
        return None
    return percentile_interval(np.asarray(values)[_resamples(len(values))].mean(axis=1))


def few_words(volumes: int) -> str:
    """What to add where intervals of so many volumes are shown: how often they hold the mean; '' of MANY."""
    if not 1 < volumes < MANY:
        return ""
    nearest = min(HELD, key=lambda count: abs(count - volumes))
    held = f"with {nearest} normal values {HELD[nearest]:.0%} of the time"
    return f"; of {volumes} volumes an interval holds the mean less often: {held}"


def percentile_interval(values: np.ndarray) -> list[float]:
    """The interval that holds LEVEL of the values, as many below it as above."""
    tail = 50 * (1 - LEVEL)
    return [float(bound) for bound in np.percentile(values, [tail, 100 - tail])]


def bootstrap_weights(count: int) -> np.ndarray:
    """How often each of `count` volumes is in each of FEWER resamples: float64 (FEWER, count)."""
    return np.stack([np.bincount(drawn, minlength=count) for drawn in _resamples(count)[:FEWER]]).astype(
        float
    )


@lru_cache(maxsize=8)
def _resamples(count: int) -> np.ndarray:
    return np.random.default_rng(0).integers(count, size=(RESAMPLES, count))
