"""Texture measures: what was measured does not count, invented grain has energy but no correlation."""

import pytest
import torch

from fastmri.fourier import fft1c, ifft1c, spatial_frequency
from fastmri.physics import apply_mask, high_pass, null_space
from fastmri.spectrum import RINGS, ring_sums, texture

SIZE = (48, 61)
ACQUIRED = (3, 58)


@pytest.fixture
def scene():
    image = torch.randn(2, 1, *SIZE, dtype=torch.complex64)
    column = torch.arange(SIZE[1])
    kspace = apply_mask(fft1c(image), (column >= ACQUIRED[0]) & (column < ACQUIRED[1]))
    mask = torch.rand(2, 1, 1, SIZE[1]) < 0.3
    return ifft1c(kspace), kspace, mask


def test_the_truth_has_all_its_power_and_correlates(scene):
    image, kspace, mask = scene
    found = texture(ring_sums(image, kspace, mask, ACQUIRED))
    assert found == pytest.approx((1, 1), abs=1e-5)


def test_an_image_of_the_measured_samples_has_no_texture(scene):
    image, kspace, mask = scene
    found = texture(ring_sums(image - null_space(image, mask), kspace, mask, ACQUIRED))
    assert found.power_ratio == pytest.approx(0, abs=1e-9)


def test_measured_samples_do_not_count(scene):
    image, kspace, mask = scene
    changed = ring_sums(
        image + ifft1c(apply_mask(fft1c(torch.randn_like(image)), mask)), kspace, mask, ACQUIRED
    )
    torch.testing.assert_close(changed, ring_sums(image, kspace, mask, ACQUIRED), rtol=1e-4, atol=1e-2)


def test_invented_grain_has_the_power_but_does_not_correlate(scene):
    _, kspace, mask = scene
    found = texture(ring_sums(torch.randn_like(kspace), kspace, mask, ACQUIRED))
    assert found.power_ratio == pytest.approx(1, abs=0.1)
    assert abs(found.correlation) < 0.1


def test_half_the_amplitude_is_a_quarter_of_the_power(scene):
    image, kspace, mask = scene
    assert texture(ring_sums(0.5 * image, kspace, mask, ACQUIRED)) == pytest.approx((0.25, 1), abs=1e-5)


def test_rings_add_up_over_slices(scene):
    image, kspace, mask = scene
    whole = ring_sums(image, kspace, mask, ACQUIRED)
    parts = [ring_sums(image[k : k + 1], kspace[k : k + 1], mask[k : k + 1], ACQUIRED) for k in (0, 1)]
    assert whole.shape == (3, RINGS)
    torch.testing.assert_close(whole, sum(parts), rtol=1e-6, atol=1e-6 * whole.abs().max().item())


def test_high_pass_leaves_neither_measured_nor_low_frequencies(scene):
    image, _, mask = scene
    spectrum = fft1c(fft1c(high_pass(image, mask, 0.2)), dim=-2)
    low = spatial_frequency(SIZE) < 0.2
    assert spectrum[(mask | low).expand_as(spectrum)].abs().max() < 1e-5
    kept = ~(mask | low).expand_as(spectrum)
    torch.testing.assert_close(spectrum[kept], fft1c(fft1c(image), dim=-2)[kept], rtol=1e-4, atol=1e-4)
