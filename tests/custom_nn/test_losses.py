"""Losses equal piq's where both are defined, and stay finite where piq's gradient does not."""

import piq
import pytest
import torch

from custom_nn.losses import l1_and_reward, multi_scale_ssim, possible_scales, ssim_terms
from custom_nn.wavelets import band_count, wavelets


def pair(height: int, width: int) -> tuple[torch.Tensor, torch.Tensor]:
    target = torch.nn.functional.avg_pool2d(torch.rand(2, 1, height + 4, width + 4), 5, stride=1)
    return (target + 0.05 * torch.randn_like(target)).clamp(0, 1), target


@pytest.mark.parametrize("size", [(161, 161), (170, 201), (320, 320)])
def test_five_scales_equal_piq(size):
    prediction, target = pair(*size)
    expected = piq.multi_scale_ssim(prediction, target, data_range=1.0, reduction="none")
    torch.testing.assert_close(multi_scale_ssim(prediction, target), expected, rtol=1e-4, atol=1e-5)


def test_fewer_scales_equal_piq_with_renormalised_weights():
    prediction, target = pair(100, 128)
    weights = torch.tensor([0.0448, 0.2856, 0.3001, 0.2363])
    shares = weights / weights.sum()
    expected = piq.multi_scale_ssim(prediction, target, scale_weights=shares, reduction="none")
    torch.testing.assert_close(multi_scale_ssim(prediction, target), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("side", "scales"), [(11, 1), (20, 1), (21, 2), (40, 2), (41, 3), (81, 4), (160, 4), (161, 5), (320, 5)]
)
def test_scales_that_fit(side, scales):
    assert min(possible_scales(side), 5) == scales
    image = torch.rand(1, 1, side, side)
    assert multi_scale_ssim(image, image).item() == pytest.approx(1, abs=1e-5)


def test_one_scale_is_ssim():
    prediction, target = pair(64, 64)
    expected = piq.ssim(prediction, target, downsample=False, reduction="none")
    torch.testing.assert_close(multi_scale_ssim(prediction, target, scales=1), expected, rtol=1e-4, atol=1e-5)


def test_the_gradient_is_finite_where_contrast_is_opposite():
    target = torch.rand(1, 1, 48, 48)
    prediction = (1 - target).requires_grad_()
    multi_scale_ssim(prediction, target).backward()
    assert prediction.grad is not None
    assert prediction.grad.isfinite().all()


def test_predictions_above_the_maximum_still_count():
    target = torch.rand(1, 1, 48, 48)
    prediction = (target * 1.8).requires_grad_()
    ssim_terms(prediction, target, ms_ssim=1.0, ssim=0.0)["ms_ssim"].backward()
    assert prediction.grad is not None
    assert (prediction.grad != 0).float().mean() > 0.9


@pytest.mark.parametrize("weights", [(0.84, 0.0), (0.0, 1.0), (0.0, 0.0), (1.0, 1.0)])
def test_the_terms_that_have_a_weight(weights):
    prediction, target = pair(48, 48)
    expected = {
        "ms_ssim": 1 - multi_scale_ssim(prediction, target).mean(),
        "ssim": 1 - multi_scale_ssim(prediction, target, scales=1).mean(),
    }
    terms = ssim_terms(prediction, target, *weights)
    assert list(terms) == [name for name, weight in zip(expected, weights, strict=True) if weight]
    for name, term in terms.items():
        torch.testing.assert_close(term, expected[name])
    assert all(abs(term) < 1e-5 for term in ssim_terms(target, target, *weights).values())


def test_no_term_hides_what_is_not_a_number():
    target = torch.rand(1, 1, 48, 48)
    prediction = target.clone()
    prediction[0, 0, 3, 3] = float("nan")
    assert all(term.isnan() for term in ssim_terms(prediction, target, 1.0, 1.0).values())


def test_one_picture_has_its_l1_and_rewards_no_spread():
    prediction, target = pair(24, 24)
    l1, reward = l1_and_reward(prediction[None], target, 0)
    torch.testing.assert_close(l1, (prediction - target).abs().mean())
    assert not reward.any()


def test_bands_tell_grain_from_blobs_of_the_same_strength():
    torch.manual_seed(0)
    truth = torch.randn(64, 1, 64, 64)  # grain, of which a posterior that knows nothing draws more
    grain = torch.randn(2, 64, 1, 64, 64)
    blobs = torch.nn.functional.avg_pool2d(torch.randn(2, 64, 76, 76), 13, stride=1)[:, :, None]
    blobs = blobs / blobs.std() * grain.std()

    def objective(samples: torch.Tensor, octaves: int) -> float:
        l1, reward = l1_and_reward(samples, truth, octaves)
        return float(l1 - reward.sum(0).mean())

    assert objective(blobs, 0) == pytest.approx(objective(grain, 0), abs=0.05)
    assert objective(blobs, 3) > objective(grain, 3) + 0.15


@pytest.mark.parametrize("octaves", [0, 1, 3])
def test_wavelets_add_up_to_the_image(octaves):
    image = torch.randn(2, 3, 1, 17, 24)
    bands = wavelets(image, octaves)
    assert bands.shape == (band_count(octaves), *image.shape)
    torch.testing.assert_close(bands.sum(0), image)


def test_a_wave_falls_into_the_band_of_its_direction_and_scale():
    place = torch.arange(64)

    def strongest(period: float, columns: bool) -> int:
        wave = torch.cos(2 * torch.pi * place / period).expand(1, 64, 64)
        bands = wavelets(wave if columns else wave.mT, 2)[..., 16:48, 16:48]
        return int(bands.square().mean(dim=(1, 2, 3)).argmax())

    assert [strongest(period, columns=True) for period in (2.5, 4, 8, 32)] == [1, 4, 7, 9]  # along columns
    assert [strongest(period, columns=False) for period in (2.5, 4, 8, 32)] == [2, 5, 8, 9]
