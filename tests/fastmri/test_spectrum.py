"""Texture measures: what was measured does not count, invented grain has energy but no correlation."""

from itertools import pairwise

import pytest
import torch

from fastmri.fourier import fft1c, ifft1c, spatial_frequency
from fastmri.physics import apply_mask, high_pass, null_space
from fastmri.spectrum import (
    HALF_BAND,
    RINGS,
    missing_levels,
    null_space_measures,
    octave_levels,
    ring_sums,
    texture,
    texture_curve,
)

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


def test_what_rounding_leaves_does_not_correlate(scene):
    """Neither above half the band nor in any ring, though its power isn't quite 0; a faint texture does."""
    image, kspace, mask = scene
    null = null_space(image, mask)
    sums = ring_sums(image - null, kspace, mask, ACQUIRED)
    assert sums[0].max() > 0
    assert texture(sums).correlation == 0
    assert {ring.correlation for ring in texture_curve(sums)} == {0}
    faint = texture(ring_sums(image - null + 1e-3 * null, kspace, mask, ACQUIRED))
    assert faint == pytest.approx((1e-6, 1), rel=1e-2)


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
    assert whole.shape == (3, RINGS + 1)
    torch.testing.assert_close(whole, sum(parts), rtol=1e-6, atol=1e-6 * whole.abs().max().item())


def test_the_curve_of_the_truth_is_one_everywhere(scene):
    image, kspace, mask = scene
    curve = texture_curve(ring_sums(image, kspace, mask, ACQUIRED))
    assert len(curve) == RINGS
    for ring in curve:
        assert ring == pytest.approx((1, 1), abs=1e-4) or ring == (0, 0)  # a ring may be measured entirely
    assert curve[-1] == pytest.approx((1, 1), abs=1e-4)


def test_null_space_measures_of_known_cases(scene):
    """Of the truth, of nothing, of half of it, of its opposite, and of as much that is not related."""
    image, kspace, mask = scene
    acquired = torch.arange(SIZE[1])
    acquired = (acquired >= ACQUIRED[0]) & (acquired < ACQUIRED[1])
    measured, null = image - null_space(image, mask), null_space(image, mask)
    other = ifft1c(apply_mask(fft1c(null_space(torch.randn_like(image), mask)), acquired))
    other = other * null.norm() / other.norm()

    def found(texture: torch.Tensor) -> tuple[float, float]:
        return null_space_measures(ring_sums(measured + texture, kspace, mask, ACQUIRED))

    assert found(null) == pytest.approx((0, 0), abs=1e-3)
    assert found(0 * null) == pytest.approx((1, 0), abs=1e-6)
    assert found(0.5 * null) == pytest.approx((0.5, 0), abs=1e-4)
    assert found(-null) == pytest.approx((2, 1), abs=1e-4)
    assert found(other) == pytest.approx((2**0.5, 1), abs=0.05)


def test_the_null_space_error_is_the_images_own(scene):
    """What is summed over rings and corners in k-space is the norm in the image."""
    image, kspace, mask = scene
    acquired = torch.arange(SIZE[1])
    acquired = (acquired >= ACQUIRED[0]) & (acquired < ACQUIRED[1])
    guess = ifft1c(apply_mask(fft1c(torch.randn_like(image)), acquired))
    expected = null_space(guess - image, mask).norm() / null_space(image, mask).norm()
    found = null_space_measures(ring_sums(guess, kspace, mask, ACQUIRED))
    assert found.error == pytest.approx(expected.item(), rel=1e-5)


def test_high_pass_leaves_neither_measured_nor_low_frequencies(scene):
    image, _, mask = scene
    spectrum = fft1c(fft1c(high_pass(image, mask, 0.2)), dim=-2)
    low = spatial_frequency(SIZE) < 0.2
    assert spectrum[(mask | low).expand_as(spectrum)].abs().max() < 1e-5
    kept = ~(mask | low).expand_as(spectrum)
    torch.testing.assert_close(spectrum[kept], fft1c(fft1c(image), dim=-2)[kept], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("columns", [4, 60])
def test_a_few_columns_foretell_every_octave(columns):
    """Of random images whose spectrum is the same in all directions."""
    size, octaves = (96, 120), 4
    frequency = spatial_frequency(size)
    spectrum = torch.randn(8, 1, *size, dtype=torch.complex64) / (frequency + 0.05)
    kspace = ifft1c(spectrum, dim=-2)
    place = (torch.arange(size[1]) - size[1] // 2).abs()
    found = octave_levels(
        apply_mask(kspace, place < columns / 2), (place < columns / 2)[None, None, None], octaves
    )
    edges = [2, 0.25, 0.125, 0.0625, 0]
    for k, (high, low) in enumerate(pairwise(edges)):
        octave = spectrum * ((frequency >= low) & (frequency < high))
        expected = octave.abs().square().mean(dim=(1, 2, 3)).sqrt()
        assert found[:, k].mean() == pytest.approx(float(expected.mean()), rel=0.25)


@pytest.mark.parametrize(("columns", "scale"), [(4, 0.05), (30, 0.05), (30, 0.5)])
def test_a_few_columns_foretell_what_the_others_hold(columns, scale):
    """Of random images whose spectrum is the same in all directions: not what was measured itself."""
    size, octaves = (96, 120), 4
    frequency = spatial_frequency(size)
    spectrum = torch.randn(8, 1, *size, dtype=torch.complex64) / (frequency + scale)
    mask = ((torch.arange(size[1]) - size[1] // 2).abs() < columns / 2)[None, None, None]
    found = missing_levels(apply_mask(ifft1c(spectrum, dim=-2), mask), mask, octaves)
    for k, (high, low) in enumerate(pairwise([2, 0.25, 0.125, 0.0625, -1])):
        octave = spectrum * ((frequency > low) & (frequency <= high)) * ~mask
        expected = octave.abs().square().mean(dim=(1, 2, 3)).sqrt()
        assert found[:, k].mean() == pytest.approx(float(expected.mean()), rel=0.2)


def test_of_an_octave_that_was_measured_nothing_is_missing(scene):
    _, kspace, _ = scene
    mask = (torch.arange(SIZE[1]) - SIZE[1] // 2).abs()[None, None, None] < 0.14 * SIZE[1]
    found = missing_levels(apply_mask(kspace, mask), mask, 3)
    assert found[:, 2].max() == 0 < found[:, :2].min()
    everything = torch.ones_like(mask)
    assert missing_levels(kspace, everything, 3).max() == 0


def test_reduced_precision_around_them_leaves_levels_as_they_are(scene):
    _, kspace, mask = scene
    for levels in (octave_levels, missing_levels):
        expected = levels(kspace, mask, 4)
        with torch.autocast("cpu", torch.bfloat16):
            assert torch.equal(levels(kspace, mask, 4), expected)


def test_columns_that_were_not_acquired_do_not_count(scene):
    image, kspace, mask = scene
    column = torch.arange(SIZE[1])
    beyond = (column < ACQUIRED[0]) | (column >= ACQUIRED[1])
    changed = image + ifft1c(apply_mask(fft1c(torch.randn_like(image)), beyond))
    expected = ring_sums(image, kspace, mask, ACQUIRED)
    torch.testing.assert_close(ring_sums(changed, kspace, mask, ACQUIRED), expected, rtol=1e-4, atol=1e-2)


def test_texture_is_above_half_the_band_without_the_corners():
    sums = torch.full((3, RINGS + 1), 9.0)
    sums[:, HALF_BAND:RINGS] = torch.tensor([1.0, 4.0, 1.0])[:, None]
    assert texture(sums) == pytest.approx((0.25, 0.5))
