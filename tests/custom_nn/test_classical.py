"""Compressed sensing and the low-pass image: the common contract, and what their minima must be like."""

import ast

import pytest
import torch

from custom_nn.model import Reconstruction
from custom_nn.models import build_untrained
from fastmri.fourier import fft1c
from fastmri.masks import evaluation_mask
from fastmri.physics import apply_mask, center_columns, data_residual, zero_filled
from tests.conftest import ROOT

SOLVED = ("tv", "wavelet")
NAMES = ("low_pass", *SOLVED)


def make(name: str, weight: float = 0.003, iterations: int = 20) -> torch.nn.Module:
    return build_untrained(name, {"weight": weight, "iterations": iterations} if name in SOLVED else {})


def scene(count: int, slices: int, height: int, width: int):
    """Random images, masks with a sampled centre, and their measured data."""
    image = 1e-4 * torch.randn(count, slices, height, width, dtype=torch.complex64)
    mask = torch.rand(count, 1, 1, width) < 0.3
    mask[..., width // 2 - 2 : width // 2 + 2] = True
    return mask, apply_mask(fft1c(image), mask)


def piecewise_constant(noise: float = 0.0):
    """Rectangles of 64 x 64 pixels under a smooth phase, undersampled x4: image, mask, data."""
    image = torch.zeros(1, 1, 64, 64)
    for top, left, height, width, value in [
        (8, 10, 48, 44, 0.6),
        (16, 18, 12, 20, 1.0),
        (36, 30, 14, 14, 0.2),
    ]:
        image[..., top : top + height, left : left + width] = value
    image = torch.polar(image, torch.linspace(-0.5, 0.5, 64).expand_as(image))
    mask = torch.from_numpy(evaluation_mask("random", "file1.h5", 64, 4, 0.08))[None, None, None]
    return image, mask, apply_mask(fft1c(image + noise * torch.randn_like(image)), mask)


def psnr(image: torch.Tensor, truth: torch.Tensor) -> float:
    return float(-10 * torch.log10((image.abs() - truth.abs()).square().mean()))


def total_variation(image: torch.Tensor) -> float:
    """The l1 norm of periodic differences."""
    return sum(float((image - image.roll(1, dim)).abs().sum()) for dim in (-2, -1))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("size", [(16, 24), (17, 21), (9, 5)])
def test_native_size_and_type_of_the_middle_slice(name, size):
    mask, measured = scene(2, 3, *size)
    model = make(name)
    result = model(measured, mask, torch.randn)
    assert not model.stochastic
    assert isinstance(result, Reconstruction)
    assert result.image.shape == (2, 1, *size)
    assert result.image.dtype == torch.complex64
    assert result.image.isfinite().all()
    assert torch.equal(model(measured[:, 1:2], mask, None).image, result.image)


@pytest.mark.parametrize("name", NAMES)
def test_slices_of_a_batch_do_not_touch_each_other(name):
    mask, measured = scene(3, 1, 16, 24)
    model = make(name)
    together = model(measured, mask, None).image
    for k in range(3):
        assert torch.equal(model(measured[k : k + 1], mask[k : k + 1], None).image[0], together[k])


@pytest.mark.parametrize("name", NAMES)
def test_a_weight_means_the_same_in_any_units(name):
    mask, measured = scene(1, 1, 16, 24)
    model = make(name)
    image = model(measured, mask, None).image
    torch.testing.assert_close(model(1024 * measured, mask, None).image, 1024 * image)
    assert not model(0 * measured, mask, None).image.any()


@pytest.mark.parametrize("noise", [0.0, 0.02])
def test_total_variation_beats_zero_filling_on_piecewise_constant_images(noise):
    truth, mask, measured = piecewise_constant(noise)
    image = make("tv", 0.005, 100)(measured, mask, None).image
    assert psnr(image, truth) > psnr(zero_filled(measured), truth) + 3


def test_wavelets_beat_zero_filling_on_piecewise_constant_images():
    truth, mask, measured = piecewise_constant()
    image = make("wavelet", 0.001, 100)(measured, mask, None).image
    assert psnr(image, truth) > psnr(zero_filled(measured), truth) + 3


def test_total_variation_lowers_its_objective():
    _, mask, measured = piecewise_constant(0.02)
    measured = measured / zero_filled(measured).abs().max()
    weight = 0.01

    def objective(image: torch.Tensor) -> float:
        misfit = float(data_residual(image, measured, mask).abs().square().sum())
        return misfit / 2 + weight * total_variation(image)

    values = [objective(make("tv", weight, count)(measured, mask, None).image) for count in (10, 100, 300)]
    assert objective(zero_filled(measured)) > values[0] > values[1] > values[2] > 0.9 * values[1]


@pytest.mark.parametrize("name", SOLVED)
def test_without_a_weight_the_measured_data_stay(name):
    _, mask, measured = piecewise_constant(0.02)
    image = make(name, 0.0)(measured, mask, None).image
    residual = apply_mask(fft1c(image), mask) - measured
    assert residual.norm() < 1e-5 * measured.norm()


@pytest.mark.parametrize("name", SOLVED)
def test_a_huge_weight_flattens(name):
    mask, measured = scene(1, 1, 16, 24)
    image = make(name, 1e3, 300)(measured, mask, None).image
    assert total_variation(image) < 0.03 * total_variation(zero_filled(measured))


def test_low_pass_keeps_the_centre_lines_alone():
    mask, measured = scene(2, 1, 16, 24)
    mask[..., 0] = True
    kept = fft1c(make("low_pass")(measured, mask, None).image)
    center = center_columns(mask)
    assert 4 <= int(center.sum(-1).min()) < int(mask.sum(-1).min())
    torch.testing.assert_close(kept, apply_mask(measured, center), rtol=1e-5, atol=1e-9)


def test_no_command_pays_for_importing_sigpy_unless_it_solves():
    tree = ast.parse((ROOT / "custom_nn" / "classical.py").read_text())
    top = {name for node in tree.body for name in _imported(node)}
    assert "sigpy" not in top


def _imported(node: ast.stmt) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name.split(".")[0] for alias in node.names]
    return [node.module.split(".")[0]] if isinstance(node, ast.ImportFrom) and node.module else []
