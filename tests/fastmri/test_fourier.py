"""The transforms are unitary, adjoint to their inverses, and equal the official code's."""

import numpy as np
import pytest
import torch

from fastmri.fourier import fft1c, fft2c, ifft1c, ifft2c
from fastmri.image import center_crop
from tests.conftest import shared

SIZES = [(8, 8), (15, 7), (17, 20), (64, 37)]


def random_image(*shape: int) -> torch.Tensor:
    return torch.randn(shape, dtype=torch.complex128)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(("forward", "inverse"), [(fft2c, ifft2c), (fft1c, ifft1c)])
def test_unitary_and_adjoint(size, forward, inverse):
    x, y = random_image(2, *size), random_image(2, *size)
    torch.testing.assert_close(inverse(forward(x)), x)
    torch.testing.assert_close(forward(x).norm(), x.norm())
    torch.testing.assert_close(
        torch.vdot(forward(x).flatten(), y.flatten()), torch.vdot(x.flatten(), inverse(y).flatten())
    )


@pytest.mark.parametrize("size", SIZES)
def test_two_axes_are_one_after_the_other(size):
    x = random_image(*size)
    torch.testing.assert_close(fft2c(x), fft1c(fft1c(x, dim=-1), dim=-2))


@pytest.mark.parametrize("size", SIZES)
def test_constant_image_lies_at_the_centre(size):
    spectrum = fft2c(torch.ones(size, dtype=torch.complex128)).abs()
    assert np.unravel_index(int(spectrum.argmax()), size) == (size[0] // 2, size[1] // 2)
    torch.testing.assert_close(spectrum.sum(), spectrum.max())


def test_equals_the_official_code():
    stored = np.load(shared("oracles/fourier.npz"))
    for k in range(4):
        x = torch.from_numpy(stored[f"x{k}"])
        for name, transform in (("fft", fft2c), ("ifft", ifft2c)):
            torch.testing.assert_close(
                transform(x), torch.from_numpy(stored[f"{name}{k}"]), rtol=1e-5, atol=1e-5
            )
    cropped = center_crop(torch.from_numpy(stored["crop_in"]), (10, 13))
    assert torch.equal(cropped, torch.from_numpy(stored["crop_10x13"]))
