"""Coverage on new volumes is what was promised, whatever the errors look like."""

import numpy as np
import pytest

from fastmri.conformal import control_risk, fewest_volumes

SETTINGS = np.linspace(0, 12, 1201)
ALPHA = 0.1


def volumes(rng: np.random.Generator, count: int) -> np.ndarray:
    """Errors over standard deviations (count, pixels): heavy tails, and each volume a scale of its own."""
    scale = rng.lognormal(0, 0.4, (count, 1))
    return scale * np.abs(rng.standard_t(5, (count, 400)))


def missed(ratios: np.ndarray) -> np.ndarray:
    """The part of each volume's pixels beyond each setting, (volumes, settings)."""
    return np.stack([np.searchsorted(np.sort(-row), -SETTINGS) / row.size for row in ratios])


@pytest.mark.parametrize("count", [12, 40])
def test_coverage_of_synthetic_errors_is_in_the_theoretical_band(count):
    rng = np.random.default_rng(0)
    found = []
    for _ in range(300):
        setting = control_risk(missed(volumes(rng, count)), ALPHA)
        found.append(missed(volumes(rng, 1))[0, setting])
    slack = 3 * np.std(found) / len(found) ** 0.5
    assert ALPHA - 2 / (count + 1) - slack <= np.mean(found) <= ALPHA + slack


def test_wrong_standard_deviations_are_made_up_for():
    """A model that says half of its error needs twice the factor."""
    rng = np.random.default_rng(1)
    ratios = volumes(rng, 40)
    right, halved = (SETTINGS[control_risk(missed(r), ALPHA)] for r in (ratios, 2 * ratios))
    assert halved == pytest.approx(2 * right, rel=0.01)


@pytest.mark.parametrize("level", [0.51, 0.6, 0.7, 0.75, 0.8, 0.9, 0.95, 0.98, 0.99])
def test_the_fewest_volumes_are_enough_and_one_less_is_not(level):
    """Though 1 - 0.9 is a little below 1 / (9 + 1) in floating point."""
    alpha = 1 - level
    least = fewest_volumes(alpha)
    assert control_risk(np.zeros((least, 1)), alpha) == 0
    assert control_risk(np.zeros((least - 1, 1)), alpha) is None


def test_too_few_volumes_promise_nothing():
    rng = np.random.default_rng(2)
    assert fewest_volumes(ALPHA) == 9
    assert fewest_volumes(0.25) == 3
    assert control_risk(0 * missed(volumes(rng, 8)), ALPHA) is None
    assert control_risk(0 * missed(volumes(rng, 9)), ALPHA) == 0
