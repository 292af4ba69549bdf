"""The super-resolution stage: what it sees, and that at the start it interpolates."""

import pytest
import torch

from custom_nn.pix2pix import resample
from fastmri.fourier import fft2c
from fastmri.physics import zero_filled
from tests.custom_nn.test_models import make, scene


@pytest.mark.parametrize(("size", "small"), [((16, 24), (8, 12)), ((17, 21), (9, 11))])
def test_resampling_keeps_values_and_the_centre_of_kspace(size, small):
    image = torch.randn(2, 1, *size, dtype=torch.complex64)
    reduced = resample(image, small)
    assert reduced.shape == (2, 1, *small)
    again = resample(reduced, size)
    torch.testing.assert_close(resample(again, small), reduced, rtol=1e-5, atol=1e-5)
    constant = torch.full((1, 1, *size), 3 + 4j)
    torch.testing.assert_close(
        resample(constant, small), torch.full((1, 1, *small), 3 + 4j), rtol=1e-5, atol=1e-5
    )
    spectrum = fft2c(again)
    assert (spectrum.abs() > 1e-4).sum() == 2 * small[0] * small[1]


def test_nothing_beyond_the_centre_of_kspace_is_seen():
    _, mask, measured = scene(1, 1, 16, 24)
    model = make("pix2pix", downsample=2).eval()
    scale = torch.ones(1, 1, 1, 1) * 1e-3
    before = model(measured, mask, None, scale).image
    beyond = measured.clone()
    beyond[..., :6] += 1e-3  # the outer quarter of the columns
    torch.testing.assert_close(model(beyond, mask, None, scale).image, before, rtol=1e-3, atol=1e-8)
    within = measured.clone()
    within[..., 12] += 1e-3
    assert not torch.allclose(model(within, mask, None, scale).image, before, rtol=1e-3)


def test_without_a_second_stage_it_is_the_unet():
    _, mask, measured = scene(1, 1, 16, 24)
    unet, model = make("unet").eval(), make("pix2pix", downsample=1).eval()
    assert model.name == "pix2pix"
    model.unet.load_state_dict(unet.state_dict())
    assert torch.equal(model(measured, mask, None).image, unet(measured, mask, None).image)


def test_data_consistency_puts_back_what_is_beyond():
    _, mask, measured = scene(1, 1, 16, 24)
    image = make("pix2pix", downsample=2, data_consistency=True).eval()(measured, mask, None).image
    kept = torch.where(mask, fft2c(image) - fft2c(zero_filled(measured)), 0)
    assert kept.norm() < 1e-5 * measured.norm()
