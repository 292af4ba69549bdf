"""What holds for every model behind the common contract."""

from typing import Any

import pytest
import torch

from custom_nn.adaptive_cs_net import AdaptiveCSNet
from custom_nn.model import Noise, Reconstruction, parameter_count
from custom_nn.models import Trained, build_model, build_untrained
from fastmri.fourier import fft1c
from fastmri.physics import apply_mask, measured_scale, zero_filled

CASCADE = {
    "blocks": 2,
    "filters": [4, 6, 8],
    "threshold": 0.001,
    "normalize": True,
    "phase_prior": "frame",
    "background_prior": True,
    "background_level": 0.1,
    "gradient_step": True,
    "data_consistency": True,
}
UNET = {"channels": 4, "pools": 2, "dropout": 0.0, "data_consistency": False}
MODELS: dict[str, dict[str, Any]] = {
    "adaptive_cs_net": CASCADE,
    "unet": UNET,
    "pix2pix": UNET | {"downsample": 2},
}
SPATIAL = {
    "cascade": CASCADE,
    "baseline": None,
    "freeze_baseline": True,
    "amplitude": 1.0,
    "filters": [4, 6, 8],
    "tokens": 3,
    "token_width": 8,
    "latent": 2,
    "attention": True,
    "hard_projection": True,
    "high_pass": 0.1,
    "redraws": 0,
    "proxy_weights": "none",
}
GLOBAL = {"cascade": CASCADE, "token_width": 8, "latent": 4, "encoder_weights": "none"}
DRAWING: dict[str, dict[str, Any]] = {"generative": SPATIAL, "generative_global": GLOBAL}
ALL = MODELS | DRAWING
SIZES = [(16, 24), (17, 21)]


def make(name: str, adjacent_slices: int = 1, **changes) -> Trained:
    """Those that draw noise far from their start, where they draw none."""
    torch.manual_seed(0)
    model = build_model(name, ALL[name] | {"adjacent_slices": adjacent_slices} | changes)
    if model.stochastic:
        with torch.no_grad():
            for part, parameter in model.named_parameters():
                if not part.startswith(("encoder.", "proxy.")):
                    parameter.add_(0.2 * torch.randn_like(parameter))
    return model


def consistent(name: str, adjacent_slices: int = 1) -> Trained:
    """With what was measured put back at the end, as those that draw noise always have it."""
    return make(name, adjacent_slices, **{} if name in DRAWING else {"data_consistency": True})


def seeded(*seeds: int) -> Noise:
    """Noise of each slice from a seed of its own."""
    generators = [torch.Generator().manual_seed(seed) for seed in seeds]
    return lambda shape: torch.cat([torch.randn((1, *shape[1:]), generator=each) for each in generators])


def cascade(adjacent_slices: int = 1, **changes) -> AdaptiveCSNet:
    model = make("adaptive_cs_net", adjacent_slices, **changes)
    assert model.name == "adaptive_cs_net"
    return model


def scene(
    count: int, slices: int, height: int, width: int
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Images, masks with a sampled centre, and their measured data."""
    image = 1e-4 * torch.randn(count, slices, height, width, dtype=torch.complex64)
    mask = torch.rand(count, 1, 1, width) < 0.3
    mask[..., width // 2 - 2 : width // 2 + 2] = True
    return image, mask, apply_mask(fft1c(image), mask)


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("slices", [1, 3])
def test_native_size_and_type(name, size, slices):
    _, mask, measured = scene(2, slices, *size)
    result = make(name, slices)(measured, mask, torch.randn)
    assert isinstance(result, Reconstruction)
    assert result.image.shape == (2, 1, *size)
    assert result.image.dtype == torch.complex64
    assert result.image.isfinite().all()


@pytest.mark.parametrize("name", ["unet", "pix2pix"])
def test_a_single_pixel_may_be_left_at_the_bottom(name):
    _, mask, measured = scene(2, 1, 16, 15)
    model = make(name, pools=4 if name == "unet" else 3)
    image = model(measured, mask, torch.randn).image
    assert image.isfinite().all()
    model.eval()
    assert torch.equal(model(measured, mask, torch.randn).image, image)


@pytest.mark.parametrize("name", ALL)
def test_neighbouring_slices_matter(name):
    _, mask, measured = scene(1, 3, 16, 24)
    model = make(name, 3)
    before = model(measured, mask, seeded(0)).image
    measured[:, 0] = measured[:, 0].flip(-2)  # same scale, another neighbour
    assert not torch.allclose(model(measured, mask, seeded(0)).image, before, rtol=1e-3)


@pytest.mark.parametrize("name", ALL)
def test_the_scale_of_the_whole_slice_may_be_given(name):
    _, mask, measured = scene(2, 1, 16, 24)
    model = make(name)
    own = model(measured, mask, seeded(0, 1)).image
    given = model(measured, mask, seeded(0, 1), measured_scale(measured)).image
    assert torch.equal(own, given)
    assert not torch.equal(own, model(measured, mask, seeded(0, 1), 3 * measured_scale(measured)).image)


@pytest.mark.parametrize("name", ALL)
def test_same_result_alone_and_in_a_batch(name):
    _, mask, measured = scene(3, 1, 16, 24)
    model = make(name).eval()
    together = model(measured, mask, seeded(0, 1, 2)).image
    for k in range(3):
        alone = model(measured[k : k + 1], mask[k : k + 1], seeded(k)).image
        assert (alone - together[k : k + 1]).norm() <= 1e-5 * alone.norm()


@pytest.mark.parametrize("name", ALL)
def test_output_scales_with_the_input(name):
    _, mask, measured = scene(1, 1, 16, 24)
    model = make(name).eval()
    small, large = (model(f * measured, mask, seeded(0)).image for f in (1, 1e4))
    assert (large - 1e4 * small).norm() <= 1e-4 * large.norm()


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("size", SIZES)
def test_hard_data_consistency_keeps_every_measured_sample(name, size):
    _, mask, measured = scene(2, 3, *size)
    image = consistent(name, 3)(measured, mask, torch.randn).image
    error = apply_mask(fft1c(image), mask) - measured[:, 1:2]
    assert error.norm() <= 1e-5 * measured[:, 1:2].norm()


@pytest.mark.parametrize("name", ALL)
def test_in_bf16_measured_samples_are_kept_as_in_float32(name):
    """Convolutions alone have fewer bits: physics stays as it is, to 1e-6 of the image."""
    _, mask, measured = scene(2, 3, 16, 24)
    model = consistent(name, 3).eval()
    with torch.autocast("cpu", torch.bfloat16):
        image = model(measured, mask, seeded(0, 1)).image
    error = apply_mask(fft1c(image), mask) - measured[:, 1:2]
    assert error.norm() <= 1e-6 * image.norm()
    assert (model(measured, mask, seeded(0, 1)).image - image).norm() > 1e-4 * image.norm()


@pytest.mark.parametrize("name", ALL)
def test_full_sampling_gives_the_image_back(name):
    image, _, _ = scene(1, 1, 16, 24)
    mask = torch.ones(1, 1, 1, 24, dtype=torch.bool)
    found = consistent(name)(fft1c(image), mask, torch.randn).image
    assert (found - image).norm() <= 1e-5 * image.norm()


@pytest.mark.parametrize("name", ALL)
def test_nothing_measured_gives_nothing_not_nan(name):
    empty = torch.zeros(1, 1, 16, 24, dtype=torch.complex64)
    model = make(name)
    image = model(empty, torch.zeros(1, 1, 1, 24, dtype=torch.bool), torch.randn).image
    assert image.isfinite().all()
    image.abs().sum().backward()
    assert all(p.grad is None or p.grad.isfinite().all() for p in model.parameters())


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("slices", [1, 3])
def test_the_gradient_reaches_every_parameter(name, slices):
    _, mask, measured = scene(2, slices, 16, 24)
    model = make(name, slices)
    target = torch.randn(2, 1, 16, 24)
    (model(measured, mask, torch.randn).image.abs() / 1e-4 - target).square().mean().backward()
    silent = [n for n, p in model.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]
    # the zero-filled image fits the data: the first block has no residual to step along
    assert silent == ["blocks.0.step"] * (name == "adaptive_cs_net")


@pytest.mark.parametrize("name", DRAWING)
def test_the_same_noise_draws_the_same_picture_and_other_noise_another(name):
    _, mask, measured = scene(2, 1, 16, 24)
    model = make(name).eval()
    first, again, other = (model(measured, mask, seeded(*seeds)).image for seeds in ((0, 1), (0, 1), (0, 2)))
    assert torch.equal(first, again)
    assert torch.equal(first[0], other[0])
    assert (first[1] - other[1]).norm() > 0.01 * first[1].norm()


def test_weights_depend_on_the_torch_seed_alone():
    one, two = make("adaptive_cs_net"), make("adaptive_cs_net")
    assert all(torch.equal(a, b) for a, b in zip(one.parameters(), two.parameters(), strict=True))


def test_zero_filled_is_the_inverse_transform_of_the_middle_slice():
    _, mask, measured = scene(2, 3, 16, 24)
    model = build_untrained("zero_filled", {})
    assert torch.equal(model(measured, mask, torch.randn).image, zero_filled(measured[:, 1:2]))
    assert parameter_count(model) == 0
