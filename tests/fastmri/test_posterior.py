"""The law of posterior samples, on a case whose exact samples are known."""

import pytest
import torch

from fastmri.metrics import psnr_of_error
from fastmri.posterior import law, sample_counts, spread_ratio, squared_errors
from tests.gaussian import GaussianScene


@pytest.mark.parametrize(
    ("samples", "decibel"), [(1, 0.0), (2, 1.249), (4, 2.041), (8, 2.499), (10**9, 3.010)]
)
def test_the_law(samples, decibel):
    assert law(samples) == pytest.approx(decibel, abs=1e-3)


def test_counts_double():
    assert [sample_counts(n) for n in (1, 2, 5, 8)] == [[1], [1, 2], [1, 2, 4], [1, 2, 4, 8]]


def test_exact_samples_obey_the_law():
    """Of a Gaussian prior under the forward model, where conditional samples can be drawn exactly."""
    scene = GaussianScene(columns=24)
    truth, measured = scene.draw(4000)
    samples = torch.stack([scene.posterior_sample(measured) for _ in range(8)])
    counts = sample_counts(8)
    errors = squared_errors(samples.abs(), truth.abs(), counts) / truth.numel()
    values = [psnr_of_error(float(error), 1.0) for error in errors]
    for count, value in zip(counts, values, strict=True):
        assert value - values[0] == pytest.approx(law(count), abs=0.05)


@pytest.mark.parametrize("wide", [0.5, 1.0, 2.0])
def test_a_gap_tells_how_wide_samples_spread(wide):
    error, noise = torch.randn(200_000), torch.randn(8, 200_000)  # of a mean, and of samples about it
    one, mean = squared_errors(wide * noise + error, torch.zeros(200_000), [1, 8])
    spread = spread_ratio(10 * (one / mean).log10(), 8)
    assert spread == pytest.approx(wide**2, rel=0.03)
    assert spread_ratio(torch.tensor(law(8)), 8) == pytest.approx(1)


def test_samples_that_do_not_differ_gain_nothing():
    truth = torch.randn(5, 6)
    errors = squared_errors(torch.zeros(8, 5, 6), truth, sample_counts(8))
    torch.testing.assert_close(errors, truth.double().square().sum().expand(4))


def test_every_sample_counts_in_every_mean():
    samples = torch.randn(8, 50)
    found = squared_errors(samples, torch.zeros(50), [1, 4])
    pairs = samples.unflatten(0, (2, 4)).mean(1)
    assert found.tolist() == pytest.approx(
        [float(samples.square().sum()) / 8, float(pairs.square().sum()) / 2]
    )
