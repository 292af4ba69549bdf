"""Metrics equal fastMRI's, per volume, with the volume's maximum as data range."""

import json

import numpy as np
import pytest

from fastmri.metrics import psnr, ssim, volume_metrics
from tests.conftest import shared


@pytest.mark.parametrize("name", ["noisy", "blurred", "scaled"])
def test_equals_the_official_code(name):
    stored = np.load(shared("oracles/metrics.npz"))
    expected = json.loads(shared("oracles/metrics.json").read_text())[name]
    found = volume_metrics(stored["target"], stored[name])
    for metric in ("nmse", "psnr", "ssim"):
        assert getattr(found, metric) == pytest.approx(expected[metric], rel=1e-5)


def test_an_exact_prediction_is_perfect():
    target = np.random.default_rng(0).random((3, 16, 16)).astype(np.float32)
    assert volume_metrics(target, target) == (np.inf, 1.0, 0.0)


def test_nan_is_never_perfect():
    target = np.random.default_rng(0).random((1, 16, 16)).astype(np.float32)
    prediction = target.copy()
    prediction[0, 3, 3] = np.nan
    assert np.isnan(psnr(target, prediction, 1.0))


def test_the_data_range_is_the_volumes_not_the_slices():
    rng = np.random.default_rng(0)
    target = rng.random((2, 16, 16)).astype(np.float32) * np.array([1, 0.1], np.float32)[:, None, None]
    prediction = target + 0.01
    assert volume_metrics(target, prediction).psnr == pytest.approx(
        20 * np.log10(target.max() / 0.01), abs=1e-3
    )
    slicewise = np.mean([psnr(t, p, t.max()) for t, p in zip(target, prediction, strict=True)])
    assert slicewise < volume_metrics(target, prediction).psnr - 5


def test_the_data_range_does_not_follow_the_prediction():
    target = np.random.default_rng(0).random((1, 16, 16)).astype(np.float32)
    prediction = target.copy()
    prediction[0, 0, 0] = 50  # one hot pixel spoils its own windows, not the scale of all others
    assert ssim(target, prediction, target.max()) > 0.8
