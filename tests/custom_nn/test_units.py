"""What is known of a texture's strength before anything is learned."""

import torch

from custom_nn.units import texture_predictors, texture_units
from fastmri.fourier import fft1c
from fastmri.physics import apply_mask
from fastmri.spectrum import octave_levels


def test_predictors_tell_a_leg_whose_edges_no_measured_column_sees():
    """A disc has the same edges in all directions, a leg along the columns has those that are unmeasured."""
    rows, columns = torch.arange(64)[:, None] - 31.5, torch.arange(64) - 31.5
    pictures = {"disc": rows**2 + columns**2 < 15**2, "leg": (rows * 0 + columns).abs() < 8}
    mask = (torch.arange(64) - 32).abs()[None, None, None] < 3
    above = {}
    for name, picture in pictures.items():
        kspace = fft1c(picture[None, None] + 0j)
        levels = [octave_levels(apply_mask(kspace, m), m, 4) for m in (mask, torch.ones_like(mask))]
        measured, guessed = texture_predictors(torch.zeros(1, 1), *levels)[0, 1:].view(2, 4)
        above[name] = guessed - measured
    assert above["disc"].abs().max() < 1
    assert above["leg"][:3].min() > 1.5


def test_units_follow_contrast_and_brightness_and_fit_the_features():
    image = torch.zeros(1, 1, 40, 36, dtype=torch.complex64)
    image[..., 8:32, 4:18] = torch.randn(24, 14)
    mask = torch.ones(1, 1, 1, 36, dtype=torch.bool)
    levels = octave_levels(fft1c(image), mask, 4)  # nothing is missing
    density = torch.zeros(1, 1, 1, 1)
    found = texture_units(levels, image, density)
    assert [tuple(unit.shape[-2:]) for unit in found] == [(40, 40), (20, 20), (10, 10), (5, 5)]
    for unit, thrice in zip(found, texture_units(3 * levels, 3 * image, density), strict=True):
        torch.testing.assert_close(thrice, 3 * unit)
    assert found[0][..., 20, 10] > 5 * found[0][..., 20, 30] > 0
    nothing = texture_units(torch.zeros_like(levels), torch.zeros_like(image), density)
    assert not any(unit.any() for unit in nothing)


def test_the_fewer_columns_the_farther_along_them_texture_may_be():
    image = torch.zeros(2, 1, 64, 64, dtype=torch.complex64)
    image[..., 24:40, 24:40] = 1
    near, far = texture_units(torch.ones(2, 1), image, torch.tensor([2.0, 5.0])[:, None, None, None])[0][:, 0]
    beside, below = (32, 48), (48, 32)
    assert far[beside] - far.min() > 5 * (near[beside] - near.min())
    assert far[below] - far.min() < 0.01
    assert far[32, 32] < near[32, 32]
