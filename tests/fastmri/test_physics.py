"""Hybrid space is exact, and the data operators do what their names say."""

import math

import pytest
import torch

from fastmri.fourier import fft1c, fft2c, ifft1c, ifft2c, spatial_frequency
from fastmri.image import center_crop
from fastmri.physics import (
    apply_mask,
    center_columns,
    data_residual,
    high_pass,
    low_resolution,
    measured_scale,
    null_space,
    replace_sampled,
    to_hybrid,
    zero_filled,
)

SIZES = [(16, 24), (15, 21)]


def scene(height: int, width: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """An image, a mask, and the measured data of the image."""
    image = torch.randn(2, 1, height, width, dtype=torch.complex64)
    mask = torch.rand(2, 1, 1, width) < 0.4
    mask[..., width // 2] = True
    return image, mask, apply_mask(fft1c(image), mask)


@pytest.mark.parametrize(("rows", "columns"), [(64, 37), (30, 20), (50, 41)])
def test_readout_crop_is_exact(rows, columns):
    kspace = torch.randn(3, rows, columns, dtype=torch.complex64)
    size = (rows // 2, min(columns, rows // 2))
    hybrid = to_hybrid(kspace, size[0])
    found = center_crop(ifft1c(hybrid).abs(), size)
    expected = center_crop(ifft2c(kspace).abs(), size)
    assert hybrid.shape == (3, rows // 2, columns)
    assert (found - expected).norm() <= 1e-6 * expected.norm()


@pytest.mark.parametrize("size", SIZES)
def test_operators_without_shifts_are_those_with_them(size):
    _, mask, measured = scene(*size)
    image = torch.randn_like(measured)
    expected = {
        data_residual: ifft1c(apply_mask(fft1c(image) - measured, mask)),
        replace_sampled: ifft1c(torch.where(mask, measured, fft1c(image))),
    }
    for operator, plain in expected.items():
        assert (operator(image, measured, mask) - plain).norm() < 1e-6 * plain.norm()
    plain = ifft1c(apply_mask(fft1c(image), ~mask))
    assert (null_space(image, mask) - plain).norm() < 1e-6 * plain.norm()


@pytest.mark.parametrize("size", SIZES)
def test_high_pass_leaves_what_is_high_and_not_measured(size):
    image, mask, _ = scene(*size)
    kept = ~mask & (spatial_frequency(size) >= 0.2)
    plain = ifft2c(apply_mask(fft2c(image), kept))
    assert (high_pass(image, mask, 0.2) - plain).norm() < 1e-6 * plain.norm()


@pytest.mark.parametrize("size", SIZES)
def test_what_was_not_measured_does_not_count(size):
    image, mask, measured = scene(*size)
    other = torch.where(mask, measured, 1e3)
    for operator in (data_residual, replace_sampled):
        expected = operator(2 * image, measured, mask)
        assert (operator(2 * image, other, mask) - expected).norm() < 1e-4 * image.norm()


@pytest.mark.parametrize("size", SIZES)
def test_truth_has_no_residual(size):
    image, mask, measured = scene(*size)
    assert data_residual(image, measured, mask).abs().max() < 1e-6
    torch.testing.assert_close(replace_sampled(image, measured, mask), image)


def test_residual_sees_a_change_of_phase():
    image, mask, measured = scene(16, 24)
    turned = image * torch.exp(torch.tensor(0.3j))
    assert data_residual(turned, measured, mask).norm() > 0.1 * image.norm()


def test_residual_is_the_gradient_of_the_misfit():
    image, mask, measured = scene(8, 12)
    guess = torch.randn_like(image).requires_grad_()
    misfit = 0.5 * (apply_mask(fft1c(guess), mask) - measured).abs().square().sum()
    (gradient,) = torch.autograd.grad(misfit, guess)
    torch.testing.assert_close(gradient, data_residual(guess.detach(), measured, mask))


@pytest.mark.parametrize("size", SIZES)
def test_null_space_is_a_projection_that_no_sample_sees(size):
    image, mask, _ = scene(*size)
    hidden = null_space(image, mask)
    torch.testing.assert_close(null_space(hidden, mask), hidden)
    assert apply_mask(fft1c(hidden), mask).abs().max() < 1e-5
    torch.testing.assert_close(hidden + zero_filled(apply_mask(fft1c(image), mask)), image)


def test_replaced_samples_are_the_measured_ones():
    image, mask, measured = scene(16, 24)
    other = replace_sampled(torch.randn_like(image), measured, mask)
    error = apply_mask(fft1c(other), mask) - measured
    assert error.norm() < 1e-6 * measured.norm()


def test_masked_samples_are_positive_zeros():
    data = torch.full((1, 1, 2, 4), -1 - 1j, dtype=torch.complex64)
    masked = torch.view_as_real(apply_mask(data, torch.tensor([True, False, True, False])))
    assert not torch.signbit(masked[..., 1::2, :]).any()
    assert (masked[..., 1::2, :] == 0).all()


def test_scale_follows_the_measured_data_and_is_never_zero():
    _, _, measured = scene(16, 24)
    scale = measured_scale(measured)
    torch.testing.assert_close(measured_scale(7 * measured), 7 * scale)
    torch.testing.assert_close(zero_filled(measured / scale).abs().amax((1, 2, 3)), torch.ones(2))
    assert measured_scale(torch.zeros_like(measured)).tolist() == [[[[1.0]]]] * 2


@pytest.mark.parametrize("factor", [1e-30, 1.0, 1e30])  # whose squares are nothing, or beyond all numbers
@pytest.mark.parametrize("columns", [24, 41])
def test_scale_is_the_zero_filled_maximum_of_every_sample(factor, columns):
    torch.manual_seed(0)
    data = factor * torch.randn(3, 3, 16, columns, dtype=torch.complex64)
    expected = zero_filled(data).abs().amax((1, 2, 3), keepdim=True)
    torch.testing.assert_close(measured_scale(data), expected, rtol=1e-6, atol=0)
    alone = torch.stack([measured_scale(sample) for sample in data])
    assert torch.equal(alone, measured_scale(data))  # to the bit, or a slice would depend on its neighbours


def test_scale_of_data_with_a_gradient_has_none():
    data = torch.randn(1, 1, 4, 8, dtype=torch.complex64, requires_grad=True)
    assert not measured_scale(data).requires_grad


def test_scale_of_samples_that_are_no_numbers_is_1():
    """The loss tells."""
    assert measured_scale(torch.full((1, 1, 4, 8), torch.nan, dtype=torch.complex64)).item() == 1


@pytest.mark.parametrize(
    ("mask", "center"),
    [
        ("1001110010", "0001110000"),
        ("1001011111", "0000011111"),
        ("0000010000", "0000010000"),
        ("1111101111", "0" * 10),
        ("1" * 10, "1" * 10),
    ],
)
def test_center_is_the_run_of_samples_around_the_middle(mask, center):
    found = center_columns(torch.tensor([c == "1" for c in mask]))
    assert "".join(str(int(v)) for v in found) == center


def test_low_resolution_uses_the_centre_alone():
    _, mask, measured = scene(16, 24)
    spectrum = fft1c(low_resolution(measured, mask))
    assert apply_mask(spectrum, ~center_columns(mask)).abs().max() < 1e-5
    assert spectrum.abs().max() > 0.1


def test_low_resolution_is_tapered():
    mask = torch.zeros(1, 1, 1, 16, dtype=torch.bool)
    mask[..., 6:10] = True
    window = fft1c(low_resolution(torch.ones(1, 1, 2, 16, dtype=torch.complex64), mask))[0, 0, 0].real
    hann = [math.sin(math.pi * k / 5) ** 2 for k in range(1, 5)]
    assert window.tolist() == pytest.approx([0] * 6 + hann + [0] * 6, abs=1e-6)
