"""The parts of the cascade do what the paper says they do."""

from typing import Any

import pytest
import torch

from custom_nn.adaptive_cs_net import estimate_priors
from custom_nn.layers import SoftThreshold, instance_norm, soft_threshold, to_channels, to_complex
from custom_nn.transform import ThresholdedTransform
from fastmri.fourier import fft1c
from fastmri.physics import apply_mask, zero_filled
from tests.custom_nn.test_models import cascade, scene


def test_soft_threshold_shrinks_towards_zero():
    values = torch.tensor([-3.0, -1.0, -0.5, 0.0, 0.5, 1.0, 3.0])
    assert soft_threshold(values, torch.tensor(1.0)).tolist() == [-2, 0, 0, 0, 0, 0, 2]


def test_soft_threshold_is_the_proximal_step_of_the_l1_norm():
    u, threshold = torch.tensor(0.7), torch.tensor(0.3)
    grid = torch.linspace(-2, 2, 40001)
    best = grid[(0.5 * (grid - u) ** 2 + threshold * grid.abs()).argmin()]
    assert soft_threshold(u, threshold).item() == pytest.approx(best.item(), abs=1e-4)


def test_a_threshold_acts_on_its_channel_alone_and_is_never_negative():
    layer = SoftThreshold(3, 0.0)
    features = torch.randn(2, 3, 4, 4)
    assert torch.equal(layer(features), features)
    layer.threshold.data[:] = torch.tensor([0.0, 1e6, -1e6])
    assert torch.equal(layer(features)[:, 0], features[:, 0])
    assert (layer(features)[:, 1:] == 0).all()


@pytest.mark.parametrize("scale", [0, 1, 2])
def test_every_scale_is_thresholded_skips_included(scale):
    torch.manual_seed(0)
    transform = ThresholdedTransform(3, 2, [4, 6, 8], 0.0, normalize=True)
    x = torch.randn(1, 3, 16, 16)
    before = transform(x)
    transform.thresholds[scale].threshold.data[1] = 1e6
    assert not torch.equal(transform(x), before)
    for layer in transform.thresholds:
        layer.threshold.data[:] = 1e6
    silent, other = transform(x), transform(torch.randn_like(x))
    torch.testing.assert_close(silent, other)  # nothing of the input gets past


def test_normalised_features_do_not_know_brightness_or_contrast():
    features = torch.randn(2, 3, 5, 7)
    normal = instance_norm(features)
    torch.testing.assert_close(normal.mean(dim=(-2, -1)), torch.zeros(2, 3), atol=1e-6, rtol=0)
    torch.testing.assert_close(normal.square().mean(dim=(-2, -1)), torch.ones(2, 3))
    torch.testing.assert_close(instance_norm(3 * features + 2), normal, atol=1e-5, rtol=0)
    assert not instance_norm(torch.ones(1, 3, 1, 1)).any()  # one pixel has no spread: nothing, not NaN


def test_blocks_share_no_weights():
    first, second = cascade().blocks
    assert not any(a is b for a in first.parameters() for b in second.parameters())
    assert not torch.equal(first.transform.output.weight, second.transform.output.weight)


@pytest.mark.parametrize(
    ("option", "off", "channels"),
    [("phase_prior", "none", slice(4, 6)), ("background_prior", False, slice(6, 8))],
)
def test_a_prior_enters_by_channels_of_its_own(option, off, channels):
    _, mask, measured = scene(1, 1, 16, 24)
    options: dict[str, Any] = {"phase_prior": "input"}
    on, off = cascade(**options), cascade(**{**options, option: off})
    kept = [k for k in range(9) if k not in range(*channels.indices(9))]
    for block, smaller in zip(on.blocks, off.blocks, strict=True):
        state = block.state_dict()
        state["transform.analysis.0.weight"] = state["transform.analysis.0.weight"][:, kept]
        smaller.load_state_dict(state)  # the same network but for the prior's channels
    assert not torch.allclose(on(measured, mask, None).image, off(measured, mask, None).image, atol=1e-7)
    for block in on.blocks:
        block.transform.analysis[0].weight.data[:, channels] = 0
    torch.testing.assert_close(on(measured, mask, None).image, off(measured, mask, None).image)


@pytest.mark.parametrize(("phase_prior", "follows"), [("frame", True), ("input", False), ("none", False)])
def test_in_the_phases_frame_turned_data_give_the_turned_picture(phase_prior, follows):
    _, mask, measured = scene(2, 1, 16, 24)
    model = cascade(phase_prior=phase_prior)
    rows = torch.polar(torch.ones(16), torch.linspace(0, 5, 16))[:, None]  # the readout is measured in full
    straight, turned = model(measured, mask, None).image, model(measured * rows, mask, None).image
    error = (turned - straight * rows).norm() / straight.norm()
    assert error < 1e-5 if follows else error > 1e-4


@pytest.mark.parametrize("option", ["gradient_step", "data_consistency"])
def test_the_data_options_change_the_result(option):
    _, mask, measured = scene(1, 1, 16, 24)
    # the first block has no residual to step along, and hard consistency undoes the last one's step
    on, off = (cascade(blocks=3, **{option: chosen}) for chosen in (True, False))
    off.load_state_dict(on.state_dict(), strict=False)  # all weights alike
    found, other = on(measured, mask, None).image, off(measured, mask, None).image
    assert (found - other).norm() > 1e-4 * found.norm()


def test_phase_prior_finds_a_smooth_phase():
    y, x = torch.meshgrid(torch.linspace(-1, 1, 32), torch.linspace(-1, 1, 64), indexing="ij")
    phase = 0.8 * x + 0.5 * y + 0.3 * x * x
    image = torch.polar(torch.exp(-2 * (x**2 + y**2)), phase)[None, None]
    mask = torch.zeros(1, 1, 1, 64, dtype=torch.bool)
    mask[..., 26:38] = True
    priors = estimate_priors(torch.where(mask, fft1c(image), 0), mask, 0.1)
    inside = (image.abs() > 0.2)[0, 0]
    error = torch.angle(priors.phase[0, 0] * torch.exp(-1j * phase))[inside].abs()
    assert error.mean() < 0.05
    assert error.max() < 0.3
    assert priors.sampling.item() == pytest.approx(torch.log2(torch.tensor(64 / 12)).item())


def test_without_a_centre_line_the_cascade_works_on_and_nothing_stays_nothing():
    _, mask, measured = scene(3, 1, 16, 24)
    mask[1:, ..., 12] = False
    measured[2] = 0
    measured = apply_mask(measured, mask)
    image, start = cascade()(measured, mask, None).image, zero_filled(measured)
    changes = [(image[k] - start[k]).norm() / measured[:2].norm() for k in range(3)]
    assert changes[0] > 1e-3
    assert changes[1] > 1e-3
    assert changes[2] == 0


def test_background_prior_finds_the_air():
    image = torch.zeros(1, 1, 16, 64, dtype=torch.complex64)
    image[..., 20:44] = 1
    mask = torch.ones(1, 1, 1, 64, dtype=torch.bool)
    air = estimate_priors(fft1c(image), mask, 0.1).background[0, 0]
    assert air[:, :12].min() > 0.9
    assert air[:, 28:36].max() < 0.01


def test_the_cascade_starts_near_the_data_and_the_gradient_step_takes_it_there():
    _, mask, measured = scene(1, 1, 16, 24)
    found = cascade()(measured, mask, None).image
    start = zero_filled(measured)
    assert (found - start).norm() < 0.5 * start.norm()


def test_channels_are_complex_numbers():
    image = torch.randn(2, 3, 4, 5, dtype=torch.complex64)
    assert to_channels(image).shape == (2, 6, 4, 5)
    assert torch.equal(to_complex(to_channels(image)), image)
