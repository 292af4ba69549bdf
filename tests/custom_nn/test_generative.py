"""What texture may and may not do to a baseline."""

from functools import partial

import pytest
import torch

from custom_nn.encoder import MobileNetEncoder, pretrained_mobilenet
from custom_nn.gains import BandGains
from custom_nn.generative import OPPOSITE, Generative
from custom_nn.generative_global import GenerativeGlobal
from custom_nn.layers import to_channels
from custom_nn.models import build_model
from custom_nn.units import TYPICAL
from fastmri.fourier import fft1c
from fastmri.physics import apply_mask, smooth_phase
from fastmri.spectrum import octave_levels
from tests.custom_nn.test_models import CASCADE, GLOBAL, SPATIAL, scene


def spatial(trained: bool = True, **changes) -> Generative:
    """The recommended model; `trained`: with weights far from their start."""
    torch.manual_seed(0)
    model = build_model("generative", SPATIAL | {"adjacent_slices": 1} | changes)
    assert model.name == "generative"
    if trained:
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.add_(0.2 * torch.randn_like(parameter))
    return model


def global_() -> GenerativeGlobal:
    torch.manual_seed(0)
    model = build_model("generative_global", GLOBAL | {"adjacent_slices": 1})
    assert model.name == "generative_global"
    return model


HIGHEST_GAINS = BandGains({4: [[4.0, 4.0]] * 7}, {4: [[0.0, 1.0]] * 7})
OF_FULL_DATA = BandGains({1: [[4.0, 4.0]] * 7}, {1: [[0.0, 1.0]] * 7})  # so that all else is drawn again


@pytest.mark.parametrize("gains", [None, HIGHEST_GAINS, OF_FULL_DATA])
@pytest.mark.parametrize("amplitude", [0.3, 1.0])
@pytest.mark.parametrize("size", [(16, 24), (17, 21)])
@pytest.mark.parametrize("adjacent_slices", [1, 3])
def test_measured_samples_are_kept_whatever_weights_noise_and_amplitude(
    gains, amplitude, size, adjacent_slices
):
    _, mask, measured = scene(2, adjacent_slices, *size)
    model = spatial(amplitude=amplitude, adjacent_slices=adjacent_slices, redraws=2)
    model.gains = gains
    result = model(measured, mask, torch.randn)
    middle = adjacent_slices // 2
    known = measured[:, middle : middle + 1]
    kept = apply_mask(fft1c(result.image), mask)
    assert (kept - known).norm() <= 1e-5 * known.norm()
    assert (result.image - result.baseline).norm() > 0.01 * result.baseline.norm()  # texture there is


def test_without_projection_they_are_not():
    _, mask, measured = scene(2, 1, 16, 24)
    image = spatial(hard_projection=False)(measured, mask, torch.randn).image
    assert (apply_mask(fft1c(image), mask) - measured).norm() > 1e-3 * measured.norm()


@pytest.mark.parametrize("gains", [None, OF_FULL_DATA])
def test_amplitude_0_is_the_baseline_exactly(gains):
    _, mask, measured = scene(2, 1, 17, 21)
    model = spatial(amplitude=0.0, redraws=2)
    model.gains = gains
    baseline = model.baseline(1e-5 * measured, mask, torch.randn).image
    result = model(1e-5 * measured, mask, torch.randn)
    assert torch.equal(result.image, baseline)
    assert torch.equal(result.baseline, baseline)


def test_at_the_start_the_model_is_its_baseline():
    _, mask, measured = scene(2, 1, 17, 21)
    result = spatial(trained=False)(measured, mask, torch.randn)
    assert torch.equal(result.image, result.baseline)


@pytest.mark.parametrize(("make", "layers"), [(partial(spatial, trained=False), 5), (global_, 6)])
def test_strengths_of_noise_start_at_nothing(make, layers):
    found = [p for name, p in make().named_parameters() if name.endswith("noise_strength")]
    assert len(found) == layers
    assert not any(parameter.any() for parameter in found)


@pytest.mark.parametrize("changes", [{}, {"tokens": 1}, {"attention": False}, {"high_pass": 0.0}])
def test_gradients_reach_all_that_trains_and_nothing_frozen(changes):
    image, mask, measured = scene(2, 1, 16, 24)
    model = spatial(**changes)
    result = model(measured, mask, torch.randn)
    guidance = model.guide(result.latent, fft1c(image), mask, torch.randn)
    (result.image.abs().sum() * 1e4 + guidance.kl + guidance.texture).backward()
    for name, parameter in model.named_parameters():
        assert (parameter.grad is None) == name.startswith("baseline."), name
        alone = name.endswith(("query.weight", "key.weight", "key.bias")) and changes.get("tokens") == 1
        assert parameter.grad is None or alone or parameter.grad.abs().sum() > 0, name  # one token: no choice


def test_a_baseline_that_is_not_frozen_trains_too():
    _, mask, measured = scene(2, 1, 16, 24)
    model = spatial(freeze_baseline=False)
    (model(measured, mask, torch.randn).image.abs().sum() * 1e4).backward()
    silent = [
        name for name, p in model.baseline.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0
    ]
    assert silent == ["blocks.0.step"]  # the zero-filled image fits the data: it has no residual


@pytest.mark.parametrize("make", [spatial, global_])
def test_a_shared_latent_gives_the_same_sample_and_spares_the_shared_part(make):
    _, mask, measured = scene(2, 1, 16, 24)
    model = make().eval()
    first = model(measured, mask, torch.randn)

    def draw(**shared) -> torch.Tensor:
        generator = torch.Generator().manual_seed(1)
        return model(measured, mask, lambda shape: torch.randn(shape, generator=generator), **shared).image

    assert torch.equal(draw(), draw(latent=first.latent))


def test_the_proxy_sees_high_unmeasured_frequencies_alone():
    """What is low or was measured may change without any change of the guidance."""
    image, mask, measured = scene(2, 1, 16, 24)
    model = spatial()
    latent = model(measured, mask, torch.randn).latent
    kspace = fft1c(image)
    changed = torch.where(mask, kspace + 1e-4, kspace)

    def kl(truth: torch.Tensor) -> torch.Tensor:
        return model.guide(latent, truth, mask, torch.randn).kl

    torch.testing.assert_close(kl(changed), kl(kspace), rtol=1e-4, atol=1e-5)
    assert not torch.allclose(kl(kspace.flip(-2)), kl(kspace), rtol=1e-3)
    model.high_pass = 0.0
    assert not torch.allclose(kl(changed), kl(kspace), rtol=1e-3)


def test_the_latent_that_guides_is_drawn():
    """By noise, as its divergence supposes: of a mean alone the picture would not depend on the noise."""
    image, mask, measured = scene(2, 1, 16, 24)
    model = spatial()
    latent = model(measured, mask, torch.randn).latent
    first, second = (model.guide(latent, fft1c(image), mask, torch.randn) for _ in range(2))
    assert torch.equal(first.kl, second.kl)
    assert not torch.equal(first.texture, second.texture)


def test_a_pretrained_proxy_stays_as_it_is_and_its_head_learns(tmp_path):
    file = tmp_path / "mobilenet.pth"
    state = MobileNetEncoder(frozen=True).features.state_dict()
    torch.save({f"features.{name}": value for name, value in state.items()}, file)
    image, mask, measured = scene(2, 1, 32, 40)
    model = spatial(proxy_weights=str(file))
    frozen = model.proxy.pretrained
    assert frozen is not None
    frozen.features.load_state_dict(pretrained_mobilenet(str(file), "model.proxy_weights"))
    result = model(measured, mask, torch.randn)
    guidance = model.guide(result.latent, fft1c(image), mask, torch.randn)
    (guidance.kl + guidance.texture).backward()
    assert not any(parameter.requires_grad for parameter in frozen.parameters())
    for name, parameter in model.proxy.head.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().sum() > 0, name
    other = model.guide(result.latent, fft1c(image.flip(-2)), mask, torch.randn)
    assert not torch.allclose(other.kl, guidance.kl, rtol=1e-3)  # it sees the truth


def test_the_global_model_trains_all_but_its_proxy():
    image, mask, measured = scene(2, 1, 32, 40)
    model = global_()
    with torch.no_grad():
        for norms in model.norms:
            for norm in norms:
                norm.noise_strength.fill_(0.1)
    result = model(measured, mask, torch.randn)
    guidance = model.guide(result.latent, fft1c(image), mask, torch.randn)
    (result.image.abs().sum() * 1e4 + guidance.kl + guidance.texture).backward()
    for name, parameter in model.named_parameters():
        assert (parameter.grad is None) == name.startswith("proxy."), name
        assert parameter.requires_grad != name.startswith("proxy."), name
    silent = [n for n, p in model.named_parameters() if p.grad is not None and not p.grad.abs().sum() > 0]
    assert silent == ["cascade.blocks.0.step"]  # the zero-filled image fits the data: it has no residual


def test_the_global_model_s_texture_vector_is_held_to_what_the_proxy_sees_in_the_truth():
    image, mask, measured = scene(2, 1, 32, 40)
    model = global_().eval()
    latent = model(measured, mask, torch.randn).latent
    found = model.guide(latent, fft1c(image), mask, torch.randn)
    w = model.mapping(latent.posterior.mean, torch.zeros(2, 0))[:, 0]
    wanted = model.proxy(image.abs() / latent.scale) @ model.projection
    torch.testing.assert_close(found.texture, (w - wanted).abs().mean())
    other = model.guide(latent, fft1c(image.roll(1, dims=0)), mask, torch.randn)
    assert torch.equal(other.kl, found.kl)
    assert not torch.allclose(other.texture, found.texture, rtol=1e-3)  # the truth alone changed


def test_the_global_model_draws_its_latent_in_training_alone():
    _, mask, measured = scene(2, 1, 32, 40)
    model = global_()
    still = lambda shape: torch.zeros(shape)  # noqa: E731  strengths start at 0: only the latent can differ
    assert not torch.equal(model(measured, mask, torch.randn).image, model(measured, mask, still).image)
    model.eval()
    assert torch.equal(model(measured, mask, torch.randn).image, model(measured, mask, still).image)


def test_a_full_slice_trains_within_8_gib():
    """Of one step at 320 x 368 with the default widths, what the autograd graph holds for its gradients."""
    cascade = CASCADE | {"filters": [16, 32, 64, 128, 256], "blocks": 10}
    options = {
        "filters": [32, 64, 128, 256],
        "tokens": 16,
        "token_width": 64,
        "latent": 8,
        "cascade": cascade,
    }
    model = spatial(trained=False, **options)
    image, mask, measured = scene(1, 1, 320, 368)
    held = {}

    def pack(tensor):
        held[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        first = model(measured, mask, torch.randn)
        second = model(measured, mask, torch.randn, latent=first.latent)
        guidance = model.guide(first.latent, fft1c(image), mask, torch.randn)
        total = (first.image + second.image).abs().mean() * 1e4 + guidance.kl + guidance.texture
    assert total.requires_grad
    parameters = sum(parameter.numel() * 4 * 5 for parameter in model.parameters())
    assert sum(held.values()) + parameters < 6 * 2**30  # leaves room for what one operation needs


def test_the_guidance_is_the_l1_of_the_image_that_the_proxys_latent_draws():
    image, mask, measured = scene(2, 1, 16, 24)
    model = spatial(trained=False)  # whose texture is nothing
    latent = model(measured, mask, torch.randn).latent
    found = model.guide(latent, fft1c(image), mask, torch.randn).texture
    expected = to_channels(latent.baseline - image / latent.scale).abs().mean()
    torch.testing.assert_close(found, expected)


def test_a_phase_of_the_whole_slice_turns_samples_and_changes_no_guidance():
    image, mask, measured = scene(2, 1, 16, 24)
    model, turn = spatial(), torch.exp(torch.tensor(1.3j))

    def drawn(factor) -> tuple:
        noise = partial(torch.randn, generator=torch.Generator().manual_seed(1))
        result = model(factor * measured, mask, noise)
        guidance = model.guide(result.latent, fft1c(factor * image), mask, noise)
        return result.image, guidance.kl

    (one, kl), (other, turned_kl) = drawn(1), drawn(turn)
    assert (other - turn * one).norm() < 1e-3 * one.norm()
    torch.testing.assert_close(turned_kl, kl, rtol=1e-3, atol=1e-5)


def test_guidance_does_not_know_units():
    image, mask, measured = scene(2, 1, 16, 24)
    model = spatial()

    def found(factor):
        noise = partial(torch.randn, generator=torch.Generator().manual_seed(1))
        latent = model(factor * measured, mask, noise).latent
        return torch.stack([*model.guide(latent, fft1c(factor * image), mask, noise)])

    torch.testing.assert_close(found(100.0), found(1.0), rtol=1e-3, atol=1e-5)


def test_predictors_are_told_the_guess_beside_the_measured():
    _, mask, measured = scene(2, 1, 16, 24)
    model = spatial()
    condition = model.encode(measured, mask)
    scales = (condition.predictors.shape[1] - 1) // 2
    guess = octave_levels(fft1c(condition.baseline), torch.ones_like(mask), scales)
    torch.testing.assert_close(condition.predictors[:, 1 + scales :], (guess / TYPICAL).clamp(min=1e-3).log())


def test_a_texture_is_in_phase_with_the_baseline():
    _, mask, measured = scene(2, 1, 16, 24)
    model = spatial()
    condition = model.encode(measured, mask)
    torch.testing.assert_close(condition.phase, smooth_phase(condition.baseline))


def test_texture_leaves_a_tenth_of_what_is_opposite_to_the_baselines_phase():
    _, mask, measured = scene(2, 1, 16, 24)
    model = spatial(hard_projection=False)
    condition = model.encode(measured, mask)
    texture = torch.randn(2, 2, 16, 24)
    drawn = to_channels(
        (condition.baseline + model._texture(condition, texture, mask)) * condition.phase.conj()
    )
    guess = to_channels(condition.baseline * condition.phase.conj())
    plain = guess + texture
    torch.testing.assert_close(drawn[:, 1], plain[:, 1])  # in quadrature
    ahead = guess[:, 0] > 0
    kept = torch.where(plain[:, 0] > 0, plain[:, 0], OPPOSITE * plain[:, 0])
    torch.testing.assert_close(drawn[:, 0][ahead], kept[ahead])
    assert (plain[:, 0][ahead] < 0).any()
    nothing = model._texture(condition, torch.zeros_like(texture), mask)
    assert not nothing.any()
